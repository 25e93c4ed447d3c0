/* SPDX-License-Identifier: MIT */
/* What tests of samplers share: specs from text, and studies whose history takes every turn. */
#pragma once

#include "daemon/sampler/sampler.h"

/* A completed spec with this space and sampler, minimizing. The test fails where it is not valid. */
struct spec *harness_spec(const char *space, const char *sampler);

/* One parameter of each kind, and one with a single value. */
extern const char harness_all_kinds[];

#define HARNESS_MAX_OPEN 16

/* A study without a daemon: trials are opened with given parameters, and finish or fail. */
struct harness_study {
    const struct spec *spec; /* borrowed */
    struct history *history; /* owned */
    int64_t next_number;
    size_t n_open;
    struct sampler_open open[HARNESS_MAX_OPEN]; /* ascending numbers; their params are owned */
};
void harness_study_init(struct harness_study *study, const struct spec *spec);
void harness_study_deinit(struct harness_study *study);
struct sampler_view harness_study_view(const struct harness_study *study);
/* The next number, open with these parameters. */
void harness_study_open(struct harness_study *study, const double *params);
/* Ends open trial `index`; `value` counts where it completed. */
void harness_study_finish(struct harness_study *study, size_t index, enum trial_state state, double value);
/* One random step, a function of (seed, step): an open trial ends in one of all ways (ties, infinities,
 * without reports, with violations, a parameter out of range), or a new one is opened with `params`. True
 * where it was opened. */
bool harness_study_step(struct harness_study *study, uint64_t seed, uint32_t step, const double *params);
