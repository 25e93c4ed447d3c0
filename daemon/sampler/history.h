/* SPDX-License-Identifier: MIT */
/*
 * What samplers see of a study: finished trials in the order in which they finished, and the parameters of
 * open ones.
 *
 * The log of finished trials only grows, in chunks that never move, so a sampler on a pool thread reads the
 * entries of its view while the loop thread appends behind them. The pool's queue orders the two (it is the
 * only synchronization): a view is made on the loop thread before its job is submitted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct history;

/* One finished trial. Values are internal values of the study's space (space.h), NaN where the trial lacks
 * the parameter or has it outside today's range. */
struct history_trial {
    int64_t number;
    enum trial_state state; /* COMPLETE, PRUNED or FAIL */
    int32_t last_step;      /* PRUNED: its last step, -1 where it never reported */
    double last_value;      /* PRUNED: the value of that step, may be NaN */
    double violation;       /* sum of the positive constraints; 0 is feasible */
    const double *params;   /* [n_params] */
    const double *values;   /* [n_values], COMPLETE only; infinities allowed, no NaN */
};

/* Loop thread. */
[[nodiscard]] struct history *history_new(size_t n_params, size_t n_values);
void history_free(struct history *history); /* no view of it may be in use; NULL is fine */
/* Copies the trial behind the others. A number is appended once. */
void history_append(struct history *history, const struct history_trial *trial);
size_t history_size(const struct history *history);

/* Entry `index` of the first history_size() when the view was made. Any thread that holds a view. */
void history_get(const struct history *history, size_t index, struct history_trial *trial);

struct sampler_open {
    int64_t number;
    const double *params; /* [n_params], NaN where absent */
};

/* Immutable while a suggestion runs; owned by whoever made it. */
struct sampler_view {
    const struct history *history;
    size_t n_finished; /* entries 0 .. n_finished-1 of the history */
    size_t n_open;
    const struct sampler_open *open; /* in ascending number; without the trial that is being sampled */
};
