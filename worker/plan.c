/* SPDX-License-Identifier: MIT */
/* From the settings to what the worker works with; what is wrong with them is found here, before it starts.
 */
#include "worker/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "proto/buffer.h"

/* study-xgboost lies beside this program. */
static void add_built_in_runner(struct worker_plan *plan, const struct worker_config *config)
{
    char path[4096];
    size_t size = sizeof path - sizeof "study-xgboost";
    struct command command = {};

    if (uv_exepath(path, &size))
        return;
    strcpy(strrchr(path, '/') + 1, "study-xgboost");
    if (access(path, X_OK) < 0)
        return;
    command_add(&command, path);
    if (config->libxgboost) {
        command_add(&command, "--libxgboost");
        command_add(&command, config->libxgboost);
    }
    if (config->model_dir) {
        command_add(&command, "--model-dir");
        command_add(&command, config->model_dir);
    }
    runner_table_set(&plan->runners, "xgboost", strlen("xgboost"), &command);
}

/* Here rather than when the first model is there to be saved. */
static int make_model_dir(const char *dir, struct problem *problem)
{
    BUFFER_AUTO struct buffer inside = {};

    buffer_printf(&inside, "%s/.", dir);
    if ((mkdir(dir, 0777) < 0 && errno != EEXIST) || access(buffer_text(&inside), W_OK | X_OK) < 0)
        return problem_set(problem, PROBLEM_INVALID, "", "model_dir %s: %s", dir, strerror(errno));
    return 0;
}

int worker_plan_make(struct worker_plan *plan, const struct worker_config *config, struct problem *problem)
{
    struct gpu_surroundings surroundings = {.visible = getenv("CUDA_VISIBLE_DEVICES"),
                                            .slurm_local_id = getenv("SLURM_LOCALID"),
                                            .count = gpu_count};

    if (config->model_dir && make_model_dir(config->model_dir, problem))
        return -1;
    add_built_in_runner(plan, config);
    if (runner_table_read(&plan->runners, &config->runners, problem) ||
        data_paths_read(&plan->data, &config->data, &config->data_dirs, problem) ||
        gpu_list_read(&plan->gpus, config->gpus ? config->gpus : "auto", &surroundings, problem) ||
        slot_places_make(&plan->gpus, config->slots, config->trials_per_gpu, &plan->places, &plan->n_slots,
                         problem))
        return -1;
    if (plan->runners.n_entries == 0)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "there is no runner: give --runner NAME=COMMAND (study-xgboost "
                           "is not beside this program)");
    if (config->stop_on_stdin_eof && uv_guess_handle(STDIN_FILENO) != UV_NAMED_PIPE)
        return problem_set(problem, PROBLEM_INVALID, "", "stop_on_stdin_eof needs a pipe on stdin");
    return 0;
}

void worker_plan_deinit(struct worker_plan *plan)
{
    free(plan->places);
    gpu_list_deinit(&plan->gpus);
    runner_table_deinit(&plan->runners);
    data_paths_deinit(&plan->data);
}
