/* SPDX-License-Identifier: MIT */
/* Workers by name: a hash map that forgets strangers when it grows. */
#include "daemon/study/workers.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/space.h"

static void worker_free(struct worker *worker)
{
    free(worker->name);
    free(worker);
}

void workers_deinit(struct workers *workers)
{
    for (size_t i = 0; i < workers->n_buckets; i++) {
        for (struct worker *next, *worker = workers->buckets[i]; worker; worker = next) {
            next = worker->next;
            worker_free(worker);
        }
    }
    free(workers->buckets);
    *workers = (struct workers){0};
}

static bool is_recent(const struct worker *worker, int64_t now_us)
{
    return worker->last_seen_us > now_us - WORKER_MEMORY_US;
}

static void link_in(struct workers *workers, struct worker *worker)
{
    struct worker **head = &workers->buckets[space_hash_name(worker->name) & (workers->n_buckets - 1)];
    worker->next = *head;
    *head = worker;
    workers->n_workers++;
}

/* Names come from outside, so those are dropped that neither a trial nor the list of workers needs. */
static void grow(struct workers *workers, int64_t now_us)
{
    struct workers old = *workers;
    *workers = (struct workers){.n_buckets = old.n_buckets ? 2 * old.n_buckets : 64};
    workers->buckets = memory_array(workers->n_buckets, sizeof *workers->buckets);
    for (size_t i = 0; i < old.n_buckets; i++) {
        for (struct worker *next, *worker = old.buckets[i]; worker; worker = next) {
            next = worker->next;
            if (worker->n_trials || is_recent(worker, now_us))
                link_in(workers, worker);
            else
                worker_free(worker);
        }
    }
    free(old.buckets);
}

struct worker *workers_get(struct workers *workers, const char *name, int64_t now_us)
{
    if (!name || !*name)
        return NULL;
    if (workers->n_workers == workers->n_buckets)
        grow(workers, now_us);
    struct worker *worker = workers->buckets[space_hash_name(name) & (workers->n_buckets - 1)];
    while (worker && strcmp(worker->name, name) != 0)
        worker = worker->next;
    if (!worker) {
        worker = memory_new(sizeof *worker);
        worker->name = memory_strdup(name);
        link_in(workers, worker);
    }
    return worker;
}

void worker_see(struct worker *worker, int64_t now_us)
{
    if (worker)
        worker->last_seen_us = now_us;
}

void worker_take(struct trial *trial, struct worker *worker)
{
    struct worker *old = trial->worker;
    trial->worker = worker;
    if (worker)
        worker->n_trials++;
    if (old)
        old->n_trials--;
}

static int compare_names(const void *a, const void *b)
{
    const struct worker_view *left = a;
    const struct worker_view *right = b;
    return strcmp(left->name, right->name);
}

void worker_view_sort(struct worker_view *views, size_t n)
{
    qsort(views, n, sizeof *views, compare_names);
}

static struct worker_view view_of(const struct worker *worker)
{
    return (struct worker_view){worker->name,
                                worker->last_seen_us,
                                worker->n_running,
                                worker->n_told[TRIAL_COMPLETE],
                                worker->n_told[TRIAL_PRUNED],
                                worker->n_told[TRIAL_FAIL]};
}

size_t workers_list(const struct workers *workers, int64_t now_us, size_t limit, struct worker_view *views)
{
    MEMORY_AUTO struct worker_view *all = memory_array(workers->n_workers + 1, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < workers->n_buckets; i++) {
        for (const struct worker *worker = workers->buckets[i]; worker; worker = worker->next) {
            if (is_recent(worker, now_us))
                all[n++] = view_of(worker);
        }
    }
    worker_view_sort(all, n);
    if (views)
        memcpy(views, all, (n < limit ? n : limit) * sizeof *all);
    return n;
}
