/* SPDX-License-Identifier: MIT */
/* All studies: the registry, the clock, and what happens at the end of each turn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/ask.h"
#include "daemon/study/control.h"
#include "daemon/study/draft.h"
#include "daemon/study/foreign.h"
#include "daemon/study/lease.h"
#include "daemon/study/load.h"
#include "daemon/study/seek.h"
#include "proto/memory.h"
#include "proto/require.h"

struct studies *studies_new(const struct study_ports *ports)
{
    struct studies *studies = memory_new(sizeof *studies);
    studies->ports = *ports;
    studies->wake_ms = INT64_MAX;
    lease_init_pulse(studies);
    seek_init_timer(studies);
    return studies;
}

static void settle(struct studies *studies);

void studies_free(struct studies *studies)
{
    settle(studies);
    require(studies->n_open_calls == 0 && !studies->namings && !studies->seeking);
    while (studies->n_studies)
        study_free(studies->by_name[--studies->n_studies]);
    requests_deinit(&studies->requests);
    workers_deinit(&studies->workers);
    timer_cancel(&studies->timers, &studies->pulse_timer);
    timer_cancel(&studies->timers, &studies->seek_timer);
    timers_deinit(&studies->timers);
    free(studies->by_name);
    free(studies);
}

int64_t studies_now_ms(const struct studies *studies)
{
    return studies->ports.now_ms(studies->ports.user);
}

int64_t studies_wall_us(const struct studies *studies)
{
    return studies->ports.wall_us(studies->ports.user);
}

void timer_set_in(struct studies *studies, struct timer *timer, int64_t delay_ms)
{
    timer_set(&studies->timers, timer, studies_now_ms(studies) + delay_ms);
}

void studies_random_hex(const struct studies *studies, char *text, size_t size)
{
    unsigned char bytes[16];
    require(size <= sizeof bytes);
    studies->ports.random_bytes(studies->ports.user, bytes, size);
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

int studies_check_open(const struct studies *studies, struct problem *problem)
{
    if (studies->is_stopping)
        return problem_set(problem, PROBLEM_STOPPING, "", "studyd is stopping; ask again when it is back");
    if (studies->is_store_away)
        return problem_set(
            problem, PROBLEM_STORE_AWAY, "",
            "the database takes no changes now, GET /readyz says why; repeat the request later");
    return 0;
}

/* ---- the registry ---- */

/* Index of the first study whose name is not lower. */
static size_t find_index(const struct studies *studies, const char *name)
{
    size_t low = 0;
    size_t high = studies->n_studies;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(studies->by_name[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void studies_add(struct studies *studies, struct study *study)
{
    if (studies->n_studies == studies->capacity) {
        studies->capacity = studies->capacity ? 2 * studies->capacity : 16;
        studies->by_name = memory_resize(studies->by_name, studies->capacity, sizeof *studies->by_name);
    }
    size_t at = find_index(studies, study->name);
    size_t n_behind = studies->n_studies++ - at;
    memmove(&studies->by_name[at + 1], &studies->by_name[at], n_behind * sizeof *studies->by_name);
    studies->by_name[at] = study;
    study_mark(study);
}

void studies_remove(struct studies *studies, struct study *study)
{
    size_t at = find_index(studies, study->name);
    require(at < studies->n_studies && studies->by_name[at] == study);
    memmove(&studies->by_name[at], &studies->by_name[at + 1],
            (--studies->n_studies - at) * sizeof *studies->by_name);
    studies->n_removed++;
}

size_t studies_count(const struct studies *studies)
{
    return studies->n_studies;
}

struct study *studies_get(const struct studies *studies, size_t index)
{
    require(index < studies->n_studies);
    return studies->by_name[index];
}

struct study *studies_find(const struct studies *studies, const char *name)
{
    size_t at = find_index(studies, name);
    bool is_found = at < studies->n_studies && strcmp(studies->by_name[at]->name, name) == 0;
    return is_found ? studies->by_name[at] : NULL;
}

size_t studies_workers(const struct studies *studies, size_t limit, struct worker_view *workers)
{
    return workers_list(&studies->workers, studies_wall_us(studies), limit, workers);
}

/* Those of one study's open trials, one behind the other. */
static size_t add_holders(const struct study *study, struct worker_view *views)
{
    size_t n = 0;
    for (size_t i = 0; i < study->n_open; i++) {
        const struct trial *trial = study->open[i];
        if (trial->worker && trial->state == TRIAL_RUNNING)
            views[n++] = (struct worker_view){
                .name = trial->worker->name, .last_seen_us = trial->worker->last_seen_us, .n_running = 1};
    }
    return n;
}

/* Of the same worker one is left. Returns how many there are then. */
static size_t merge_holders(struct worker_view *views, size_t n)
{
    size_t n_merged = 0;
    worker_view_sort(views, n);
    for (size_t i = 0; i < n; i++) {
        if (n_merged && strcmp(views[n_merged - 1].name, views[i].name) == 0)
            views[n_merged - 1].n_running++;
        else
            views[n_merged++] = views[i];
    }
    return n_merged;
}

struct worker_view *studies_workers_of(const struct studies *studies, const struct study_filter *filter,
                                       size_t *n)
{
    struct worker_view *views = NULL;
    size_t n_all = 0;
    for (size_t i = 0; i < studies->n_studies; i++) {
        const struct study *study = studies->by_name[i];
        if (!filter->passes(filter->user, study->name))
            continue;
        views = memory_resize(views, n_all + study->n_open + 1, sizeof *views);
        n_all += add_holders(study, &views[n_all]);
    }
    *n = n_all ? merge_holders(views, n_all) : 0;
    return views;
}

uint64_t studies_n_lapses(const struct studies *studies)
{
    return studies->n_lapses;
}

size_t studies_open_calls(const struct studies *studies)
{
    return studies->n_open_calls;
}

/* ---- the end of a turn ---- */

/* While studyd stops only what is under way goes on. */
static void look_at(struct study *study)
{
    bool is_stopping = study->studies->is_stopping;
    if (!is_stopping)
        asks_serve(study);
    drafts_go(study);
    if (is_stopping)
        return;
    control_check_end(study);
    foreign_watch(study);
}

/* What one study does may mark another, or itself again. */
static void settle(struct studies *studies)
{
    while (studies->first_dirty) {
        struct study *study = studies->first_dirty;
        studies->first_dirty = study->next_dirty;
        study->is_dirty = false;
        if (!study->is_deleted)
            look_at(study);
        study_unref(study);
    }
}

static void wish_for_wake(struct studies *studies)
{
    int64_t at_ms = studies->answers.first ? studies_now_ms(studies) : timers_next_ms(&studies->timers);
    if (at_ms == studies->wake_ms || at_ms == INT64_MAX)
        return;
    studies->wake_ms = at_ms;
    studies->ports.wake(studies->ports.user, at_ms);
}

void studies_end_call(struct studies *studies)
{
    settle(studies);
    seek_watch(studies);
    wish_for_wake(studies);
}

/* The answers go first: settling frees a study that was deleted, and they may name it. */
void studies_end_turn(struct studies *studies)
{
    answers_deliver(&studies->answers);
    studies_end_call(studies);
}

void studies_tick(struct studies *studies)
{
    studies->wake_ms = INT64_MAX; /* the wish is used up */
    lease_check_standstill(studies);
    timers_fire(&studies->timers, studies_now_ms(studies));
    studies_end_turn(studies);
}

void studies_loaded(struct studies *studies)
{
    studies->is_loaded = true;
    studies->sought_ms = studies_now_ms(studies);
    for (size_t i = 0; i < studies->n_studies; i++) {
        load_finish(studies->by_name[i]);
        study_mark(studies->by_name[i]);
    }
    studies_end_turn(studies);
}

void studies_store_away(struct studies *studies, bool is_away)
{
    studies->is_store_away = is_away;
    for (size_t i = 0; !is_away && i < studies->n_studies; i++) {
        lease_renew_all(studies->by_name[i]);
        study_mark(studies->by_name[i]);
    }
    studies_end_turn(studies);
}

void studies_stop(struct studies *studies)
{
    studies->is_stopping = true;
    asks_stop(studies);
    seek_stop(studies);
    studies_end_turn(studies);
}
