/* SPDX-License-Identifier: MIT */
/* The best trial, or the Pareto front: whoever is not dominated; of equal ones a single objective keeps the
 * lowest number. */
#include "daemon/study/best.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

void best_deinit(struct best *best)
{
    free(best->numbers);
    *best = (struct best){0};
}

/* At least as good in every direction, and better in one? */
static bool dominates(const struct spec *spec, const double *a, const double *b)
{
    bool is_better = false;
    for (size_t i = 0; i < spec->n_directions; i++) {
        bool is_gain = spec->directions[i] == DIRECTION_MINIMIZE ? a[i] < b[i] : a[i] > b[i];
        bool is_worse = spec->directions[i] == DIRECTION_MINIMIZE ? a[i] > b[i] : a[i] < b[i];
        if (is_worse)
            return false;
        is_better |= is_gain;
    }
    return is_better;
}

static const double *values(const struct spec *spec, const struct trial *trial)
{
    return trial->params + spec->space->n_params;
}

/* Does `a` keep `b` out? */
static bool beats(const struct spec *spec, const struct trial *a, const struct trial *b)
{
    if (dominates(spec, values(spec, a), values(spec, b)))
        return true;
    return spec->n_directions == 1 && !dominates(spec, values(spec, b), values(spec, a)) &&
           a->number < b->number;
}

static void insert(struct best *best, int64_t number)
{
    if (best->n_numbers == best->capacity) {
        best->capacity = best->capacity ? 2 * best->capacity : 1;
        best->numbers = memory_resize(best->numbers, best->capacity, sizeof *best->numbers);
    }
    size_t at = best->n_numbers++;
    for (; at > 0 && best->numbers[at - 1] > number; at--)
        best->numbers[at] = best->numbers[at - 1];
    best->numbers[at] = number;
}

void best_add(struct best *best, const struct spec *spec, const struct trials *trials,
              const struct trial *trial)
{
    for (size_t i = 0; i < best->n_numbers; i++) {
        if (beats(spec, trials_get(trials, best->numbers[i]), trial))
            return;
    }
    size_t n = 0;
    for (size_t i = 0; i < best->n_numbers; i++) {
        if (!beats(spec, trial, trials_get(trials, best->numbers[i])))
            best->numbers[n++] = best->numbers[i];
    }
    best->n_numbers = n;
    insert(best, trial->number);
}

bool best_has(const struct best *best, int64_t number)
{
    size_t low = 0;
    size_t high = best->n_numbers;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (best->numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < best->n_numbers && best->numbers[low] == number;
}
