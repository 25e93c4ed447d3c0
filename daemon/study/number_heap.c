/* SPDX-License-Identifier: MIT */
/* Trial numbers, lowest first: a binary heap. */
#include "daemon/study/number_heap.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

void number_heap_deinit(struct number_heap *heap)
{
    free(heap->numbers);
    *heap = (struct number_heap){0};
}

void number_heap_push(struct number_heap *heap, int64_t number)
{
    if (heap->n_numbers == heap->capacity) {
        heap->capacity = heap->capacity ? 2 * heap->capacity : 16;
        heap->numbers = memory_resize(heap->numbers, heap->capacity, sizeof *heap->numbers);
    }
    size_t i = heap->n_numbers++;
    for (; i > 0 && heap->numbers[(i - 1) / 2] > number; i = (i - 1) / 2)
        heap->numbers[i] = heap->numbers[(i - 1) / 2];
    heap->numbers[i] = number;
}

int64_t number_heap_top(const struct number_heap *heap)
{
    return heap->n_numbers ? heap->numbers[0] : -1;
}

void number_heap_pop(struct number_heap *heap)
{
    require(heap->n_numbers > 0);
    int64_t number = heap->numbers[--heap->n_numbers];
    size_t i = 0;
    while (2 * i + 1 < heap->n_numbers) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->n_numbers && heap->numbers[child + 1] < heap->numbers[child])
            child++;
        if (heap->numbers[child] >= number)
            break;
        heap->numbers[i] = heap->numbers[child];
        i = child;
    }
    if (heap->n_numbers)
        heap->numbers[i] = number;
}
