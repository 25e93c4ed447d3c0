/* SPDX-License-Identifier: MIT */
/* The split of finished trials into good ones and the others. */
#include "daemon/sampler/tpe_split.h"

#include <math.h>
#include <string.h>

static bool is_better(const struct tpe_rank *a, const struct tpe_rank *b)
{
    if (a->first != b->first)
        return a->first < b->first;
    if (a->second != b->second)
        return a->second < b->second;
    return a->number < b->number;
}

static void insert_at(struct tpe_rank *ranks, size_t n, size_t position, const struct tpe_rank *rank)
{
    memmove(ranks + position + 1, ranks + position, (n - position) * sizeof ranks[0]);
    ranks[position] = *rank;
}

static void ranking_add(struct tpe_ranking *ranking, const struct tpe_rank *rank)
{
    size_t n = ranking->n_trials < TPE_MAX_BELOW ? ranking->n_trials : TPE_MAX_BELOW, position = n;

    ranking->n_trials++;
    while (position > 0 && is_better(rank, &ranking->best[position - 1]))
        position--;
    if (position < TPE_MAX_BELOW)
        insert_at(ranking->best, n < TPE_MAX_BELOW ? n : n - 1, position, rank);
}

/* Pruned trials: the later their last step the better; one that never reported is behind all. */
static void rank_pruned(struct tpe_rank *rank, double sign, const struct history_trial *trial)
{
    rank->first = trial->last_step >= 0 ? -(double)trial->last_step : 1;
    if (trial->last_step >= 0)
        rank->second = isnan(trial->last_value) ? HUGE_VAL : sign * trial->last_value;
}

void tpe_split_add(struct tpe_split *split, enum direction direction, size_t index,
                   const struct history_trial *trial)
{
    struct tpe_rank rank = {.number = trial->number, .index = index};
    double sign = direction == DIRECTION_MAXIMIZE ? -1 : 1;

    if (trial->state != TRIAL_COMPLETE && trial->state != TRIAL_PRUNED)
        return;
    split->n_finished++;
    if (trial->violation > 0) {
        rank.first = trial->violation;
        ranking_add(&split->infeasible, &rank);
    } else if (trial->state == TRIAL_COMPLETE) {
        rank.first = sign * trial->values[0];
        ranking_add(&split->complete, &rank);
    } else {
        rank_pruned(&rank, sign, trial);
        ranking_add(&split->pruned, &rank);
    }
}

static void take(struct tpe_below *below, const struct tpe_ranking *ranking, size_t n_below)
{
    for (size_t i = 0; i < ranking->n_trials && i < TPE_MAX_BELOW && below->n < n_below; i++) {
        size_t position = below->n;

        while (position > 0 && below->trials[position - 1].number > ranking->best[i].number)
            position--;
        insert_at(below->trials, below->n++, position, &ranking->best[i]);
    }
}

void tpe_split_below(const struct tpe_split *split, struct tpe_below *below)
{
    size_t tenth = (split->n_finished + 9) / 10, n_below = tenth < TPE_MAX_BELOW ? tenth : TPE_MAX_BELOW;

    below->n = 0;
    take(below, &split->complete, n_below);
    take(below, &split->pruned, n_below);
    take(below, &split->infeasible, n_below);
}

bool tpe_below_has(const struct tpe_below *below, int64_t number)
{
    for (size_t i = 0; i < below->n; i++)
        if (below->trials[i].number == number)
            return true;
    return false;
}
