/* SPDX-License-Identifier: MIT */
/* study-xgboost: trains XGBoost boosters for study-worker, or one trial by hand. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/log.h"
#include "proto/options.h"
#include "worker/xgboost/objective.h"
#include "worker/xgboost/session.h"
#include "worker/xgboost/trainer.h"
#include "worker/xgboost/xgboost_library.h"

enum { EXIT_MISCONFIGURED = 2, EXIT_NO_LIBRARY = 4 };

struct config {
    char *libxgboost, *model_dir, *try_params, *objective, *device;
    int64_t threads, seed;
    bool help, version;
};

static const struct option_row option_rows[] = {
    {"libxgboost", "PATH", OPTION_TEXT, offsetof(struct config, libxgboost),
     .help = "the libxgboost.so to load; else $STUDY_XGBOOST_LIBRARY, else the first found"},
    {"model_dir", "DIR", OPTION_TEXT, offsetof(struct config, model_dir),
     .help = "where the best model of each study is saved"},
    {"try", "JSON", OPTION_TEXT, offsetof(struct config, try_params), .is_command_line_only = true,
     .help = "run one trial with these parameters by hand; needs --objective"},
    {"objective", "FILE", OPTION_TEXT, offsetof(struct config, objective), .is_command_line_only = true,
     .help = "with --try: the objective as JSON, or a whole study spec"},
    {"device", "NAME", OPTION_TEXT, offsetof(struct config, device), .default_text = "cpu",
     .is_command_line_only = true, .help = "with --try: cpu, cuda or cuda:N"},
    {"threads", "N", OPTION_INT, offsetof(struct config, threads), .default_text = "1", .low = 1,
     .high = 1024, .is_command_line_only = true,
     .help = "with --try: threads, where the objective has no nthread"},
    {"seed", "N", OPTION_INT, offsetof(struct config, seed), .default_text = "0", .low = 0,
     .high = 2147483647, .is_command_line_only = true,
     .help = "with --try: the seed, where the objective has none"},
    {"help", NULL, OPTION_BOOL, offsetof(struct config, help), .default_text = "no",
     .is_command_line_only = true, .help = "print this"},
    {"version", NULL, OPTION_BOOL, offsetof(struct config, version), .default_text = "no",
     .is_command_line_only = true, .help = "print the version"},
    {NULL},
};

static void print_help(void)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(
        &text, "study-xgboost trains XGBoost boosters for study-worker: trials come in on stdin, reports and "
               "results\ngo out on stdout, a line of JSON each (docs/runner-protocol.md).\n\n");
    options_put_help(option_rows, &text);
    buffer_append_text(&text, "\nThe objective of a study:\n");
    objective_put_help(&text);
    buffer_append_text(
        &text, "\nOther parameters are XGBoost's own, by its names; n_estimators, num_boost_round or "
               "num_round sets the\n"
               "rounds (default 100). The metric is reported as XGBoost evaluates it on the validation rows. "
               "The value of the\n"
               "trial is computed from predictions for those rows, for rmse, rmsle, mae, mape, logloss, "
               "error and auc with\n"
               "reg:*, count:poisson and binary:logistic; else it is XGBoost's evaluation after the last "
               "round. The best\n"
               "model is the one of the largest value for auc, aucpr, pre, ndcg and map, of the least for "
               "other metrics.\n"
               "\nOne trial by hand:\n"
               "  echo '{\"data\": \"wine.csv\", \"delimiter\": \";\", \"label\": \"quality\", \"metric\": "
               "\"rmse\"}' > wine.json\n"
               "  study-xgboost --try '{\"learning_rate\": 0.1, \"max_depth\": 6}' --objective wine.json\n"
               "\nExit codes: 0 the input ended, 1 failed, 2 the command line is wrong, 4 there is no usable "
               "library.\n");
    fputs(buffer_text(&text), stdout);
}

static enum verdict print_report(void *context, int step, double value)
{
    (void)context;
    printf("round %6d  %.6g\n", step, value);
    fflush(stdout);
    return TRAIN_ON;
}

static enum verdict look_away(void *context)
{
    (void)context;
    return TRAIN_ON;
}

/* The objective in a file: by itself, or as a member of a spec. New reference; NULL after a message. */
static json_t *load_objective(const char *path)
{
    json_error_t error;
    json_t *json = path ? json_load_file(path, JSON_REJECT_DUPLICATES, &error) : NULL;
    if (!json) {
        log_error("--objective %s: %s", path ? path : "is needed with --try",
                  path ? error.text : "the file of it");
        return NULL;
    }
    json_t *inner = json_object_get(json, "objective");
    json_t *objective = json_incref(json_is_object(inner) ? inner : json);
    json_decref(json);
    return objective;
}

/* By hand nobody resolves a name, and links are followed here. */
static int resolve_data(json_t *objective)
{
    const char *data = json_string_value(json_object_get(objective, "data"));
    char *path = data ? realpath(data, NULL) : NULL;
    if (path)
        json_object_set_new(objective, "data", json_string(path));
    free(path);
    if (!data || path || strchr(data, '/'))
        return 0;
    log_error("\"%s\" is a name that study-worker --data resolves; write a path here", data);
    return -1;
}

static int print_result(const struct trial_result *result)
{
    if (result->outcome != OUTCOME_DONE) {
        log_error("%s", result->failure.reason);
        return EXIT_FAILURE;
    }
    char *attrs = json_dumps(result->attrs, 0);
    printf("value %.9g\nattrs %s\n", result->value, attrs);
    free(attrs);
    return EXIT_SUCCESS;
}

static int try_one(struct trainer *trainer, const struct config *config)
{
    json_error_t error;
    json_t *params = json_loads(config->try_params, JSON_REJECT_DUPLICATES, &error);
    json_t *objective = NULL;
    int code = EXIT_MISCONFIGURED;
    if (!json_is_object(params)) {
        log_error("--try: %s", params ? "an object is needed: '{\"max_depth\": 6}'" : error.text);
    } else if ((objective = load_objective(config->objective)) && resolve_data(objective) == 0) {
        const struct runner_trial trial = {.study = (char *)"try",
                                           .attempt = 1,
                                           .params = params,
                                           .objective = objective,
                                           .device = config->device,
                                           .threads = config->threads,
                                           .seed = (uint32_t)config->seed};
        const struct watcher watcher = {.report = print_report, .look = look_away};
        struct trial_result result;
        trainer_run(trainer, &trial, &watcher, &result);
        code = print_result(&result);
        trial_result_deinit(&result);
    }
    json_decref(params);
    json_decref(objective);
    return code;
}

/* The protocol's lines go out on a descriptor of their own: what the library prints to stdout becomes our
 * log. */
static int take_stdout(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return fd >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0 ? fd : -1;
}

static int serve(struct trainer *trainer)
{
    int out_fd = take_stdout();
    if (out_fd < 0) {
        log_error(
            "stdin and stdout must be open: study-worker starts this program (--help says how to try it)");
        return EXIT_FAILURE;
    }
    return session_serve(trainer, STDIN_FILENO, out_fd);
}

static int run(const struct config *config)
{
    struct xgboost_library library;
    BUFFER_AUTO struct buffer error = {0};
    const char *path = config->libxgboost ? config->libxgboost : getenv("STUDY_XGBOOST_LIBRARY");
    if (path && !*path)
        path = NULL;
    if (xgboost_library_open(&library, path, &error) < 0) {
        fprintf(stderr, "study-xgboost: %s", error.data);
        return EXIT_NO_LIBRARY;
    }
    log_info("XGBoost %s%s from %s", library.version, library.has_cuda ? " with CUDA" : "", library.path);
    struct trainer trainer = {.library = &library, .model_dir = config->model_dir};
    int code = config->try_params ? try_one(&trainer, config) : serve(&trainer);
    trainer_deinit(&trainer);
    free(library.path);
    return code;
}

/* No log_open(): the lines stay plain, since study-worker's log gives them their time. */
int main(int argc, char **argv)
{
    struct config config = {0};
    char error[512];
    int code = EXIT_SUCCESS;
    if (options_read(option_rows, &config, argc, argv, NULL, error, sizeof error) < 0) {
        log_error("%s", error);
        code = EXIT_MISCONFIGURED;
    } else if (config.help) {
        print_help();
    } else if (config.version) {
        puts("study-xgboost " STUDYD_VERSION);
    } else {
        code = run(&config);
    }
    options_deinit(option_rows, &config);
    return code;
}
