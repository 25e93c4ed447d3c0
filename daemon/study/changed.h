/* SPDX-License-Identifier: MIT */
/*
 * Which trial changed when: what a `since` cursor reads.
 *
 * A log of (seq, number) in ascending seq. A trial's older entries stay behind as garbage, known by the
 * trial's own seq being another, until more than half of the log is garbage; then it is compacted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/study/trials.h"

struct changed_entry {
    int64_t seq, number;
};

/* Zeroed is empty. */
struct changed {
    size_t n_entries, capacity;
    struct changed_entry *entries; /* owned */
};

void changed_deinit(struct changed *changed);
/* The trial's seq is `trial->seq`, which no other entry has; mostly the highest. */
void changed_add(struct changed *changed, const struct trials *trials, const struct trial *trial);
/* Index of the first entry behind `since`. */
size_t changed_find(const struct changed *changed, int64_t since);
