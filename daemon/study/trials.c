/* SPDX-License-Identifier: MIT */
/* A study's trials in memory: chunks of trials, found by number. */
#include "daemon/study/trials.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

#define CHUNK_TRIALS 256

void trial_close(struct trial *trial)
{
    struct trial_open *open = trial->open;
    if (!open)
        return;
    require(!open->gate.first && !timer_is_set(&open->lease_timer));
    free(open->fixed);
    free(open->stored);
    free(open->points);
    free(open->is_queued);
    free(open);
    trial->open = NULL;
}

void trials_deinit(struct trials *trials)
{
    for (size_t i = 0; i < trials->n_chunks; i++) {
        for (size_t j = 0; trials->chunks[i] && j < CHUNK_TRIALS; j++) {
            trial_close(&trials->chunks[i][j]);
            free(trials->chunks[i][j].params);
        }
        free(trials->chunks[i]);
    }
    free(trials->chunks);
    *trials = (struct trials){0};
}

struct trial *trials_get(const struct trials *trials, int64_t number)
{
    if (number < 0 || number >= trials->n_numbers)
        return NULL;
    struct trial *chunk = trials->chunks[number / CHUNK_TRIALS];
    if (!chunk || chunk[number % CHUNK_TRIALS].stage == STAGE_ABSENT)
        return NULL;
    return &chunk[number % CHUNK_TRIALS];
}

static void grow(struct trials *trials, size_t n_chunks)
{
    if (n_chunks <= trials->n_chunks)
        return;
    size_t n = trials->n_chunks + trials->n_chunks / 2;
    if (n < n_chunks)
        n = n_chunks;
    trials->chunks = memory_resize(trials->chunks, n, sizeof *trials->chunks);
    for (size_t i = trials->n_chunks; i < n; i++)
        trials->chunks[i] = NULL;
    trials->n_chunks = n;
}

struct trial *trials_place(struct trials *trials, int64_t number)
{
    require(number >= 0 && number <= INT32_MAX); /* the store's column holds no more */
    size_t at = (size_t)number / CHUNK_TRIALS;
    grow(trials, at + 1);
    if (!trials->chunks[at])
        trials->chunks[at] = memory_array(CHUNK_TRIALS, sizeof **trials->chunks);
    if (number >= trials->n_numbers)
        trials->n_numbers = number + 1;
    struct trial *trial = &trials->chunks[at][number % CHUNK_TRIALS];
    trial->number = number;
    return trial;
}
