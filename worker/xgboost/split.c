/* SPDX-License-Identifier: MIT */
/* Chooses the validation rows and moves them behind the others. */
#include "worker/xgboost/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t splitmix64_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* 0 to bound - 1, as the high half of a 64 by 64 bit product. */
static uint64_t draw_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)splitmix64_next(state) * bound) >> 64);
}

int split_init(struct split *split, size_t n_rows, double test_size, uint64_t seed, struct failure *failure)
{
    size_t n_validation = (size_t)ceil(test_size * (double)n_rows);
    *split = (struct split){.n_rows = n_rows, .n_train = n_rows - n_validation};
    if (n_rows < 2 || n_validation == 0 || n_validation >= n_rows)
        return failure_set(
            failure, FAILURE_OBJECTIVE,
            "the data has %zu row%s: with test_size %g, %zu would validate and %zu would train", n_rows,
            n_rows == 1 ? "" : "s", test_size, n_validation, split->n_train);
    if (!(split->is_validation = malloc(n_rows)))
        return failure_set(failure, FAILURE_OOM, "not enough memory to split %zu rows", n_rows);

    uint64_t state = seed;
    for (size_t row = 0; row < n_rows; row++) {
        split->is_validation[row] = draw_below(&state, n_rows - row) < n_validation;
        n_validation -= split->is_validation[row];
    }
    return 0;
}

void split_deinit(struct split *split)
{
    free(split->is_validation);
    *split = (struct split){0};
}

void split_column(const struct split *split, float *column, float *scratch)
{
    size_t n_train = 0, n_validation = 0;
    for (size_t row = 0; row < split->n_rows; row++) {
        if (split->is_validation[row])
            scratch[n_validation++] = column[row];
        else
            column[n_train++] = column[row];
    }
    memcpy(column + n_train, scratch, n_validation * sizeof *scratch);
}
