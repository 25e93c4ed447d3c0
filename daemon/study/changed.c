/* SPDX-License-Identifier: MIT */
/* Which trial changed when: a sorted log with lazy deletion. */
#include "daemon/study/changed.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

void changed_deinit(struct changed *changed)
{
    free(changed->entries);
    *changed = (struct changed){0};
}

static void compact(struct changed *changed, const struct trials *trials)
{
    size_t n = 0;
    for (size_t i = 0; i < changed->n_entries; i++) {
        const struct trial *trial = trials_get(trials, changed->entries[i].number);
        if (trial && trial->seq == changed->entries[i].seq)
            changed->entries[n++] = changed->entries[i];
    }
    changed->n_entries = n;
}

static void make_room(struct changed *changed, const struct trials *trials)
{
    if (changed->n_entries < changed->capacity)
        return;
    if (changed->n_entries > 2 * (size_t)trials->n_numbers)
        compact(changed, trials);
    if (2 * changed->n_entries > changed->capacity || !changed->capacity) {
        changed->capacity = changed->capacity ? changed->capacity + changed->capacity / 2 + 1 : 16;
        changed->entries = memory_resize(changed->entries, changed->capacity, sizeof *changed->entries);
    }
}

void changed_add(struct changed *changed, const struct trials *trials, const struct trial *trial)
{
    make_room(changed, trials);
    size_t at = changed_find(changed, trial->seq);
    memmove(&changed->entries[at + 1], &changed->entries[at],
            (changed->n_entries - at) * sizeof *changed->entries);
    changed->entries[at] = (struct changed_entry){trial->seq, trial->number};
    changed->n_entries++;
}

size_t changed_find(const struct changed *changed, int64_t since)
{
    size_t low = 0;
    size_t high = changed->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (changed->entries[middle].seq > since)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
