/* SPDX-License-Identifier: MIT */
/*
 * Which finished trials are the good ones: a tenth of them, at most 25, as Optuna 5 splits for one objective.
 *
 * Complete trials come first, by value; then pruned ones, by how far they got and what they had then; then
 * those that violate constraints, by how much. So the best 25 of each kind are all that has to be kept.
 */
#pragma once

#include "daemon/sampler/history.h"
#include "proto/spec.h"

#define TPE_MAX_BELOW 25

struct tpe_rank {
    double first, second; /* compared in this order, then by number; smaller is better */
    int64_t number;
    size_t index; /* into the history */
};

struct tpe_ranking {
    size_t n_trials; /* of this kind; the best are kept */
    struct tpe_rank best[TPE_MAX_BELOW];
};

/* A zeroed one is empty. */
struct tpe_split {
    struct tpe_ranking complete, pruned, infeasible;
    size_t n_finished; /* complete and pruned, infeasible ones too */
};

/* `index` is the trial's in the history; failed trials do not count. */
void tpe_split_add(struct tpe_split *split, enum direction direction, size_t index,
                   const struct history_trial *trial);

struct tpe_below {
    size_t n;
    struct tpe_rank trials[TPE_MAX_BELOW]; /* in ascending trial number */
};
void tpe_split_below(const struct tpe_split *split, struct tpe_below *below);
bool tpe_below_has(const struct tpe_below *below, int64_t number);
