/* SPDX-License-Identifier: MIT */
/* Turns a study and one of its trials into a runner and the line for it. */
#include "worker/assignment.h"

#include <math.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/spec.h"

static const struct runner_entry *find_runner(const char *study, json_t *objective,
                                              const struct runner_table *runners, struct problem *problem)
{
    const char *name = json_string_value(json_object_get(objective, "runner"));
    const struct runner_entry *entry = name ? runner_table_find(runners, name) : NULL;
    BUFFER_AUTO struct buffer known = {};

    if (!name) {
        problem_set(problem, PROBLEM_INVALID, "",
                    "study %s names no runner (objective.runner): no worker can run its trials", study);
        return NULL;
    }
    for (size_t i = 0; i < runners->n_entries; i++)
        buffer_printf(&known, "%s%s", i > 0 ? ", " : "", runners->entries[i].name);
    if (!entry)
        problem_set(
            problem, PROBLEM_INVALID, "",
            "study %s needs the runner \"%s\", and this worker has %s; start it with --runner %s=COMMAND",
            study, name, known.size ? buffer_text(&known) : "none", name);
    return entry;
}

/* The study's objective with `data` as a path of this machine; NULL with `problem`. */
static json_t *make_objective(json_t *given, const struct data_paths *data, struct problem *problem)
{
    const char *name = json_string_value(json_object_get(given, "data"));
    json_t *objective = json_deep_copy(given);

    if (!name)
        return objective;

    MEMORY_AUTO char *path = data_paths_resolve(data, name, problem);

    if (!path) {
        json_decref(objective);
        return NULL;
    }
    json_object_set_new(objective, "data", json_string(path));
    return objective;
}

int assignment_make(json_t *study, const struct offer_message *offer, const struct runner_table *runners,
                    const struct data_paths *data, const struct slot_place *place, int64_t threads,
                    struct runner_trial *trial, const struct runner_entry **runner, struct problem *problem)
{
    json_t *spec = json_object_get(study, "spec"), *objective = json_object_get(spec, "objective");
    double timeout_s = json_number_value(json_object_get(spec, "trial_timeout_s"));
    const json_t *seed = json_object_get(json_object_get(spec, "sampler"), "seed");

    *trial = (struct runner_trial){};
    *runner = find_runner(offer->study, objective, runners, problem);
    if (!*runner)
        return -1;
    objective = make_objective(objective, data, problem);
    if (!objective)
        return -1;
    *trial = (struct runner_trial){
        .study = memory_strdup(offer->study),
        .number = offer->number,
        .attempt = offer->attempt,
        .params = json_incref(offer->params),
        .objective = objective,
        .space = json_incref(json_object_get(spec, "space")),
        .device = memory_strdup(place->gpu ? "cuda:0" : "cpu"),
        .threads = threads,
        .seed = spec_trial_seed(&(struct spec){.seed = (uint64_t)json_integer_value(seed)}, offer->number),
        .timeout_ms = timeout_s > 0 ? (uint64_t)ceil(timeout_s * 1000) : 0,
    };
    return 0;
}
