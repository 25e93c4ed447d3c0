/* SPDX-License-Identifier: MIT */
/* The append-only log of finished trials. */
#include "daemon/sampler/history.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"

#define N_CHUNKS 32
#define FIRST_CHUNK_LOG2 6

struct entry {
    int64_t number;
    enum trial_state state;
    int32_t last_step;
    double last_value;
    double violation;
};

/* Chunk k holds 64 * 2^k entries: neither a chunk nor the table of chunks ever moves. */
struct chunk {
    struct entry *entries;
    double *numbers; /* per entry its params, then its values */
};

struct history {
    size_t n_params, n_values;
    size_t size;
    struct chunk chunks[N_CHUNKS];
};

struct place {
    size_t chunk, offset;
};

static struct place find_place(size_t index)
{
    size_t biased = index + (1u << FIRST_CHUNK_LOG2);
    size_t log2 = (size_t)(63 - __builtin_clzll(biased));

    return (struct place){.chunk = log2 - FIRST_CHUNK_LOG2, .offset = biased - ((size_t)1 << log2)};
}

struct history *history_new(size_t n_params, size_t n_values)
{
    struct history *history = memory_new(sizeof *history);

    history->n_params = n_params;
    history->n_values = n_values;
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < N_CHUNKS; i++) {
        free(history->chunks[i].entries);
        free(history->chunks[i].numbers);
    }
    free(history);
}

static void add_chunk(struct history *history, size_t index)
{
    size_t n_entries = (size_t)1 << (index + FIRST_CHUNK_LOG2);
    struct chunk *chunk = &history->chunks[index];

    chunk->entries = memory_array(n_entries, sizeof chunk->entries[0]);
    chunk->numbers =
        memory_array(n_entries * (history->n_params + history->n_values), sizeof chunk->numbers[0]);
}

void history_append(struct history *history, const struct history_trial *trial)
{
    struct place place = find_place(history->size);

    require(place.chunk < N_CHUNKS);
    if (place.offset == 0)
        add_chunk(history, place.chunk);

    struct chunk *chunk = &history->chunks[place.chunk];
    double *numbers = chunk->numbers + place.offset * (history->n_params + history->n_values);

    chunk->entries[place.offset] = (struct entry){.number = trial->number,
                                                  .state = trial->state,
                                                  .last_step = trial->last_step,
                                                  .last_value = trial->last_value,
                                                  .violation = trial->violation};
    memcpy(numbers, trial->params, history->n_params * sizeof numbers[0]);
    if (trial->state == TRIAL_COMPLETE)
        memcpy(numbers + history->n_params, trial->values, history->n_values * sizeof numbers[0]);
    history->size++;
}

size_t history_size(const struct history *history)
{
    return history->size;
}

void history_get(const struct history *history, size_t index, struct history_trial *trial)
{
    struct place place = find_place(index);
    const struct chunk *chunk = &history->chunks[place.chunk];

    require(place.chunk < N_CHUNKS && chunk->entries);

    const struct entry *entry = &chunk->entries[place.offset];
    const double *numbers = chunk->numbers + place.offset * (history->n_params + history->n_values);

    *trial = (struct history_trial){.number = entry->number,
                                    .state = entry->state,
                                    .last_step = entry->last_step,
                                    .last_value = entry->last_value,
                                    .violation = entry->violation,
                                    .params = numbers,
                                    .values = numbers + history->n_params};
}
