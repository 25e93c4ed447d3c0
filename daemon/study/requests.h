/* SPDX-License-Identifier: MIT */
/*
 * Which trials a request_id has brought: the map that makes ask and enqueue repeatable.
 *
 * A request is known by the first half of its key (the id's hash), and is the same one where the second half
 * (the body's hash) is equal too. It stays as long as a trial's row carries it; before that, while it is
 * under way.
 *
 * A row has room for two keys: the enqueue that made the trial, and the ask that holds it (or did so last).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/study/gate.h"

#define REQUEST_KEY_SIZE 16 /* 8 bytes of the id's hash, 8 of the body's */

struct request {
    unsigned char key[REQUEST_KEY_SIZE];
    uint32_t next; /* of its bucket, or of the free ones */
    uint32_t n_numbers;
    int64_t *numbers;  /* owned; trials that were given to it; some may have been handed on since */
    struct gate *gate; /* owned, shut: the first to come with this id is under way; else NULL */
};

/* Zeroed is empty. Requests are named by their index, which stays; 0 is none. */
struct requests {
    uint32_t n_requests; /* that are in use */
    uint32_t end, capacity;
    struct request *items; /* owned */
    uint32_t free;         /* first unused one below `end` */
    uint32_t n_buckets;    /* a power of two */
    uint32_t *buckets;     /* owned */
};

void requests_deinit(struct requests *requests); /* none may be under way */
/* The request with this id, or 0. */
uint32_t requests_find(const struct requests *requests, const unsigned char *key);
bool requests_has_body(const struct requests *requests, uint32_t index, const unsigned char *key);
/* Found, or made. */
uint32_t requests_get(struct requests *requests, const unsigned char *key);
void requests_add_number(struct requests *requests, uint32_t index, int64_t number);
/* Marks it as under way; others with this id wait before its gate. */
void requests_begin(struct requests *requests, uint32_t index);
/* No longer under way: lets those go on who wait. Forgets it where it has brought no trial. */
void requests_end(struct requests *requests, uint32_t index);
