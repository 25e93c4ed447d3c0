/* SPDX-License-Identifier: MIT */
/* Sorts slots by number or value, in time that grows with their count alone. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slot_key {
    uint64_t key;
    uint32_t slot;
};

/* A key that is ordered as the doubles are; both zeros are one. Not of NaN. */
uint64_t slot_key_of_double(double value);
/* Ascending keys, equal ones in their old order. `spare` has room for n, too. */
void slot_sort(struct slot_key *keys, struct slot_key *spare, size_t n);
