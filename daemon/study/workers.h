/* SPDX-License-Identifier: MIT */
/* Workers by name: who was seen when, and what came of his trials. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/study/study.h"
#include "daemon/study/trials.h"

#define WORKER_MEMORY_US                                                               \
    (3600 * INT64_C(1000000)) /* one that was not seen for so long is no longer listed \
                               */

/* Lives as long as a trial names it; else it may be forgotten an hour after it was last seen. */
struct worker {
    struct worker *next; /* of its bucket */
    char *name;          /* owned */
    int64_t last_seen_us;
    size_t n_trials; /* that name it as theirs */
    size_t n_running;
    int64_t n_told[TRIAL_FAIL + 1]; /* COMPLETE, PRUNED, FAIL; since studyd started */
};

/* Zeroed is empty. */
struct workers {
    size_t n_workers, n_buckets;
    struct worker **buckets; /* owned */
};

void workers_deinit(struct workers *workers);
/* Found or made; NULL for the name "" or NULL. */
struct worker *workers_get(struct workers *workers, const char *name, int64_t now_us);
void worker_see(struct worker *worker, int64_t now_us); /* NULL is fine */
/* The trial's worker becomes this one (NULL: nobody). */
void worker_take(struct trial *trial, struct worker *worker);
void worker_view_sort(struct worker_view *views, size_t n); /* by name */
/* See studies_workers(). */
size_t workers_list(const struct workers *workers, int64_t now_us, size_t limit, struct worker_view *views);
