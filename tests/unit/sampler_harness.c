/* SPDX-License-Identifier: MIT */
/* What tests of samplers share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/sampler_harness.h"

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/philox.h"
#include "proto/memory.h"

const char harness_all_kinds[] =
    "{\"float\": {\"type\": \"float\", \"low\": -2, \"high\": 3},"
    " \"log\": {\"type\": \"float\", \"low\": 1e-5, \"high\": 10, \"log\": true},"
    " \"step\": {\"type\": \"float\", \"low\": 0, \"high\": 2.5, \"step\": 0.25},"
    " \"int\": {\"type\": \"int\", \"low\": -3, \"high\": 12},"
    " \"int_step\": {\"type\": \"int\", \"low\": 1, \"high\": 31, \"step\": 3},"
    " \"int_log\": {\"type\": \"int\", \"low\": 1, \"high\": 1000, \"log\": true},"
    " \"wide\": {\"type\": \"int\", \"low\": 0, \"high\": 1000000000},"
    " \"choice\": {\"type\": \"categorical\", \"choices\": [\"a\", \"b\", null]},"
    " \"single\": {\"type\": \"int\", \"low\": 5, \"high\": 5}}";

struct spec *harness_spec(const char *space, const char *sampler)
{
    json_auto_t *json = json_pack("{s:s, s:[s], s:o, s:o}", "name", "test", "directions", "minimize", "space",
                                  json_loads(space, 0, NULL), "sampler", json_loads(sampler, 0, NULL));
    struct problem problem = {};
    struct spec *spec = spec_read(json, 0, &problem);

    if (!spec || sampler_complete_spec(spec, &problem))
        fail_msg("%s", problem.detail);
    return spec;
}

void harness_study_init(struct harness_study *study, const struct spec *spec)
{
    *study = (struct harness_study){.spec = spec, .history = history_new(spec->space->n_params, 1)};
}

void harness_study_deinit(struct harness_study *study)
{
    for (size_t i = 0; i < study->n_open; i++)
        free((double *)study->open[i].params);
    history_free(study->history);
}

struct sampler_view harness_study_view(const struct harness_study *study)
{
    return (struct sampler_view){.history = study->history,
                                 .n_finished = history_size(study->history),
                                 .n_open = study->n_open,
                                 .open = study->open};
}

void harness_study_open(struct harness_study *study, const double *params)
{
    size_t n_params = study->spec->space->n_params;
    double *copy = memory_array(n_params, sizeof copy[0]);

    assert_true(study->n_open < HARNESS_MAX_OPEN);
    memcpy(copy, params, n_params * sizeof copy[0]);
    study->open[study->n_open++] = (struct sampler_open){.number = study->next_number++, .params = copy};
}

static void end_trial(struct harness_study *study, size_t index, const struct history_trial *trial)
{
    history_append(study->history, trial);
    free((double *)study->open[index].params);
    study->n_open--;
    memmove(study->open + index, study->open + index + 1, (study->n_open - index) * sizeof study->open[0]);
}

void harness_study_finish(struct harness_study *study, size_t index, enum trial_state state, double value)
{
    struct history_trial trial = {.number = study->open[index].number,
                                  .state = state,
                                  .last_step = -1,
                                  .params = study->open[index].params,
                                  .values = &value};

    end_trial(study, index, &trial);
}

static size_t draw_below(uint64_t seed, uint32_t step, uint32_t draw, size_t n)
{
    struct draw_key key = {.seed = seed, .number = step, .purpose = DRAW_RANDOM};

    return (size_t)(draw_uniform(&key, draw) * (double)n);
}

bool harness_study_step(struct harness_study *study, uint64_t seed, uint32_t step, const double *params)
{
    static const double values[] = {0.5, 0.5, -0.0, 0.0, 3, -1, INFINITY, -INFINITY};
    static const enum trial_state states[] = {TRIAL_COMPLETE, TRIAL_COMPLETE, TRIAL_COMPLETE, TRIAL_COMPLETE,
                                              TRIAL_PRUNED,   TRIAL_PRUNED,   TRIAL_FAIL};

    if (study->n_open == 0 || (study->n_open < HARNESS_MAX_OPEN && draw_below(seed, step, 0, 2) == 0)) {
        harness_study_open(study, params);
        return true;
    }

    size_t index = draw_below(seed, step, 1, study->n_open);
    double *own = (double *)study->open[index].params;
    double value = draw_below(seed, step, 2, 2) ? own[0] * own[0] : values[draw_below(seed, step, 3, 8)];
    struct history_trial trial = {.number = study->open[index].number,
                                  .state = states[draw_below(seed, step, 4, 7)],
                                  .last_step = (int32_t)draw_below(seed, step, 5, 4) - 1,
                                  .last_value = draw_below(seed, step, 6, 4) ? value : NAN,
                                  .violation = draw_below(seed, step, 7, 8) ? 0 : 0.5 + value * value,
                                  .params = own,
                                  .values = &value};

    if (draw_below(seed, step, 8, 10) == 0)
        own[draw_below(seed, step, 9, study->spec->space->n_params)] = NAN;
    end_trial(study, index, &trial);
    return false;
}
