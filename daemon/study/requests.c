/* SPDX-License-Identifier: MIT */
/* Which trials a request_id has brought: a chained hash map whose entries never move by index. */
#include "daemon/study/requests.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"

#define ID_SIZE (REQUEST_KEY_SIZE / 2)

void requests_deinit(struct requests *requests)
{
    for (uint32_t i = 1; i < requests->end; i++) {
        require(!requests->items[i].gate);
        free(requests->items[i].numbers);
    }
    free(requests->items);
    free(requests->buckets);
    *requests = (struct requests){0};
}

/* The id is a hash already: its first bytes are as good as any. */
static uint32_t *bucket(const struct requests *requests, const unsigned char *key)
{
    uint32_t hash;
    memcpy(&hash, key, sizeof hash);
    return &requests->buckets[hash & (requests->n_buckets - 1)];
}

uint32_t requests_find(const struct requests *requests, const unsigned char *key)
{
    if (!requests->n_buckets)
        return 0;
    uint32_t index = *bucket(requests, key);
    while (index && memcmp(requests->items[index].key, key, ID_SIZE) != 0)
        index = requests->items[index].next;
    return index;
}

bool requests_has_body(const struct requests *requests, uint32_t index, const unsigned char *key)
{
    return memcmp(requests->items[index].key + ID_SIZE, key + ID_SIZE, REQUEST_KEY_SIZE - ID_SIZE) == 0;
}

static void link_in(struct requests *requests, uint32_t index)
{
    uint32_t *head = bucket(requests, requests->items[index].key);
    requests->items[index].next = *head;
    *head = index;
}

static void unlink_from(struct requests *requests, uint32_t index)
{
    uint32_t *each = bucket(requests, requests->items[index].key);
    while (*each != index)
        each = &requests->items[*each].next;
    *each = requests->items[index].next;
}

/* Called while every item below `end` is in use. */
static void grow_buckets(struct requests *requests)
{
    requests->n_buckets = requests->n_buckets ? 2 * requests->n_buckets : 64;
    free(requests->buckets);
    requests->buckets = memory_array(requests->n_buckets, sizeof *requests->buckets);
    for (uint32_t i = 1; i < requests->end; i++)
        link_in(requests, i);
}

static uint32_t take_item(struct requests *requests)
{
    requests->n_requests++;
    uint32_t index = requests->free;
    if (index) {
        requests->free = requests->items[index].next;
        return index;
    }
    if (requests->end >= requests->n_buckets)
        grow_buckets(requests);
    if (requests->end >= requests->capacity) {
        requests->capacity = requests->capacity ? requests->capacity + requests->capacity / 2 : 64;
        requests->items = memory_resize(requests->items, requests->capacity, sizeof *requests->items);
    }
    if (!requests->end)
        requests->end = 1; /* index 0 is none */
    return requests->end++;
}

uint32_t requests_get(struct requests *requests, const unsigned char *key)
{
    uint32_t index = requests_find(requests, key);
    if (index)
        return index;
    index = take_item(requests);
    requests->items[index] = (struct request){0};
    memcpy(requests->items[index].key, key, REQUEST_KEY_SIZE);
    link_in(requests, index);
    return index;
}

static void forget(struct requests *requests, uint32_t index)
{
    unlink_from(requests, index);
    free(requests->items[index].numbers);
    requests->items[index] = (struct request){.next = requests->free};
    requests->free = index;
    requests->n_requests--;
}

void requests_add_number(struct requests *requests, uint32_t index, int64_t number)
{
    struct request *request = &requests->items[index];
    request->numbers = memory_resize(request->numbers, request->n_numbers + 1, sizeof *request->numbers);
    request->numbers[request->n_numbers++] = number;
}

void requests_begin(struct requests *requests, uint32_t index)
{
    struct request *request = &requests->items[index];
    require(!request->gate);
    request->gate = memory_new(sizeof *request->gate);
    gate_shut(request->gate);
}

/* Those who wait look again: they may find the trials, become the next to be under way, and end and be
 * forgotten. So the request is looked up anew behind them. */
void requests_end(struct requests *requests, uint32_t index)
{
    unsigned char key[REQUEST_KEY_SIZE];
    struct gate *gate = requests->items[index].gate;
    memcpy(key, requests->items[index].key, sizeof key);
    requests->items[index].gate = NULL;
    gate_open(gate);
    free(gate);
    index = requests_find(requests, key);
    if (index && !requests->items[index].gate && requests->items[index].n_numbers == 0)
        forget(requests, index);
}
