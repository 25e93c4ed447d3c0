/* SPDX-License-Identifier: MIT */
/* Trial numbers, lowest first. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. */
struct number_heap {
    size_t n_numbers, capacity;
    int64_t *numbers; /* owned; numbers[0] is the lowest */
};

void number_heap_deinit(struct number_heap *heap);
void number_heap_push(struct number_heap *heap, int64_t number);
/* The lowest, or -1 where it is empty. */
int64_t number_heap_top(const struct number_heap *heap);
void number_heap_pop(struct number_heap *heap); /* it is not empty */
