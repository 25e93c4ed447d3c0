/* SPDX-License-Identifier: MIT */
/* The spec of a study that Optuna made: derived from its trials, or attached to them. */
#include "daemon/study/respace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pruner/pruner.h"
#include "daemon/sampler/sampler.h"
#include "daemon/study/lifecycle.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

struct spec *spec_derive(const char *name, size_t n_directions, const enum direction *directions,
                         json_t *space)
{
    struct spec *spec = memory_new(sizeof *spec);
    struct problem problem = {0};
    spec->name = memory_strdup(name); /* any name that Optuna allows */
    spec->n_directions = n_directions;
    memcpy(spec->directions, directions, n_directions * sizeof *directions);
    if (space && json_object_size(space) > 0)
        spec->space = space_read(space, "space", &problem);
    if (problem.type)
        log_error("search space cannot be used study=\"%s\" field=\"%s\" reason=\"%s\"", name, problem.field,
                  problem.detail);
    if (!spec->space)
        spec->space = memory_new(sizeof *spec->space);
    spec->seed_is_drawn = true;
    spec->sampler = json_pack("{s:s}", "type", n_directions == 1 ? "tpe" : "random");
    spec->pruner = json_pack("{s:s}", "type", "nop");
    spec->max_trials = -1;
    spec->max_failed_trials = -1;
    spec->max_seconds = spec->trial_timeout_s = -1;
    spec->lease_s = SPEC_DEFAULT_LEASE_S;
    spec->retries = SPEC_DEFAULT_RETRIES;
    return spec;
}

void spec_settle_derived(struct studies *studies, struct spec *spec)
{
    struct problem problem = {0};
    studies->ports.random_bytes(studies->ports.user, &spec->seed, sizeof spec->seed);
    spec->seed >>= 11; /* 53 bits: JSON keeps it */
    json_object_set_new(spec->sampler, "seed", json_integer((json_int_t)spec->seed));
    require(sampler_complete_spec(spec, &problem) == 0 && pruner_complete_spec(spec, &problem) == 0);
}

int study_check_respace(const struct study *study, const struct spec *spec, struct problem *problem)
{
    const struct spec *old = study->spec;
    if (old->n_directions != spec->n_directions ||
        memcmp(old->directions, spec->directions, spec->n_directions * sizeof *spec->directions) != 0)
        return problem_set(problem, PROBLEM_EXISTS, "directions", "study \"%s\" exists with other directions",
                           study->name);
    for (size_t i = 0; i < old->space->n_params; i++) {
        const struct space_param *param = &old->space->params[i];
        ptrdiff_t at = space_find(spec->space, param->name);
        if (at >= 0 &&
            !distribution_is_compatible(&param->distribution, &spec->space->params[at].distribution))
            return problem_set(
                problem, PROBLEM_EXISTS, "space",
                "parameter \"%s\" of study \"%s\" has trials of another type, scale or other choices",
                param->name, study->name);
    }
    return 0;
}

/* Parameters in the order of the new space, with room for the values behind. */
static double *remap(const struct study *study, const struct spec *spec, const double *old)
{
    const struct space *before = study->spec->space;
    double *params = memory_array(spec->space->n_params + spec->n_directions, sizeof *params);
    for (size_t i = 0; i < spec->space->n_params; i++) {
        ptrdiff_t at = space_find(before, spec->space->params[i].name);
        params[i] = at >= 0 ? old[at] : NAN;
    }
    return params;
}

static void respace_values(struct study *study, const struct spec *spec, double **values)
{
    double *old = *values;
    if (old)
        *values = remap(study, spec, old);
    free(old);
}

static void respace_trial(struct study *study, const struct spec *spec, struct trial *trial)
{
    if (trial->params) {
        double *params = remap(study, spec, trial->params);
        memcpy(params + spec->space->n_params, trial_values(study, trial),
               spec->n_directions * sizeof *params);
        free(trial->params);
        trial->params = params;
    }
    if (trial->open) {
        respace_values(study, spec, &trial->open->fixed);
        respace_values(study, spec, &trial->open->stored);
    }
}

void study_respace(struct study *study, struct spec *spec)
{
    require(!study->sampling && study->n_drafts == 0);
    for (int64_t number = 0; number < study->trials.n_numbers; number++) {
        struct trial *trial = trials_get(&study->trials, number);
        if (trial)
            respace_trial(study, spec, trial);
    }
    struct history *old = study->history;
    spec_free(study->spec);
    sampler_free(study->sampler);
    study->sampler = NULL;
    study->spec = spec;
    study->history = history_new(spec->space->n_params, spec->n_directions);
    study->best.n_numbers = 0;
    for (size_t i = 0; i < history_size(old); i++) {
        struct history_trial entry;
        history_get(old, i, &entry);
        struct trial *trial = trials_get(&study->trials, entry.number);
        if (trial)
            trial_enter_history(study, trial, &entry);
    }
    history_free(old);
}
