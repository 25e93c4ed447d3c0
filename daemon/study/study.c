/* SPDX-License-Identifier: MIT */
/* One study: making, freeing, and what may be read of it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/study/control.h"
#include "daemon/study/foreign.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/sampling.h"
#include "proto/memory.h"
#include "proto/require.h"

struct study *study_new(struct studies *studies, const char *name, struct spec *spec)
{
    struct study *study = memory_new(sizeof *study);
    study->studies = studies;
    study->name = memory_strdup(name);
    study->spec = spec;
    study->is_usable = true;
    study->user_attrs = json_object();
    study->history = history_new(spec->space->n_params, spec->n_directions);
    control_init_timer(study);
    sampling_init_timer(study);
    foreign_init_timer(study);
    return study;
}

static void forget_trials(struct study *study)
{
    for (int64_t number = 0; number < study->trials.n_numbers; number++) {
        struct trial *trial = trials_get(&study->trials, number);
        if (!trial)
            continue;
        if (trial->worker && trial->stage == STAGE_HELD)
            trial->worker->n_running--;
        worker_take(trial, NULL);
        if (trial->open)
            timer_cancel(&study->studies->timers, &trial->open->lease_timer);
    }
    trials_deinit(&study->trials);
}

/* All that trials have left. */
static void drop_trials(struct study *study)
{
    timer_cancel(&study->studies->timers, &study->sampler_timer);
    forget_trials(study);
    number_heap_deinit(&study->again);
    number_heap_deinit(&study->enqueued);
    changed_deinit(&study->changed);
    best_deinit(&study->best);
    history_free(study->history);
    sampler_free(study->sampler);
    spec_free(study->spec);
}

void study_empty(struct study *study, struct spec *spec)
{
    require(!study->first_change && !study->sampling && study->n_drafts == 0);
    drop_trials(study);
    memset(study->counts, 0, sizeof study->counts);
    memset(study->n_at_stage, 0, sizeof study->n_at_stage);
    study->n_open = 0;
    study->sampler = NULL;
    study->spec = spec;
    study->history = history_new(spec->space->n_params, spec->n_directions);
}

void study_bury(struct study *study)
{
    study->is_deleted = true;
    study->studies->n_dying++;
}

void study_free(struct study *study)
{
    struct timers *timers = &study->studies->timers;
    require(!study->first_change && !study->sampling && !study->waiting.first && study->n_drafts == 0);
    timer_cancel(timers, &study->seconds_timer);
    timer_cancel(timers, &study->look_timer);
    drop_trials(study);
    requests_deinit(&study->requests);
    json_decref(study->user_attrs);
    study->studies->n_dying -= study->is_deleted;
    free(study->open);
    free(study->reason);
    free(study->name);
    free(study);
}

void study_ref(struct study *study)
{
    study->n_refs++;
}

void study_unref(struct study *study)
{
    require(study->n_refs > 0);
    if (--study->n_refs == 0 && study->is_deleted)
        study_free(study);
}

void study_mark(struct study *study)
{
    if (study->is_dirty)
        return;
    study->is_dirty = true;
    study->next_dirty = study->studies->first_dirty;
    study->studies->first_dirty = study;
    study_ref(study);
}

/* ---- looking ---- */

const char *study_name(const struct study *study)
{
    return study->name;
}

const char *study_uid(const struct study *study)
{
    return study->uid;
}

enum study_state study_state(const struct study *study)
{
    return study->state;
}

const char *study_reason(const struct study *study)
{
    return study->reason;
}

const struct spec *study_spec(const struct study *study)
{
    return study->spec;
}

json_t *study_user_attrs(const struct study *study)
{
    return study->user_attrs;
}

int64_t study_seq(const struct study *study)
{
    return change_settled_seq(study);
}

const int64_t *study_counts(const struct study *study)
{
    return study->counts;
}

size_t study_n_waiting_asks(const struct study *study)
{
    return study->waiting.n_asks;
}

int64_t study_first_ask_us(const struct study *study)
{
    return study->first_ask_us;
}

int study_get_trial(const struct study *study, int64_t number, struct trial_view *view)
{
    const struct trial *trial = trials_get(&study->trials, number);
    if (!trial)
        return -1;
    *view = (struct trial_view){
        .number = trial->number,
        .trial_id = trial->trial_id,
        .state = trial->state,
        .is_ours = trial->is_ours,
        .params = trial->params,
        .n_values = trial->n_values,
        .values = trial->n_values ? trial_values(study, trial) : NULL,
        .attempt = trial->attempt,
        .worker = trial->worker ? trial->worker->name : NULL,
        .start_us = trial->start_us,
        .complete_us = trial->complete_us,
        .seq = trial->seq,
        .sampled_seq = trial->sampled_seq,
        .asked_seq = trial->asked_seq,
        .finished_seq = trial->finished_seq,
        .lease_left_ms = lease_left_ms(study, trial),
    };
    return 0;
}

int64_t study_end_number(const struct study *study)
{
    return study->trials.n_numbers;
}

/* A foreign change may have its seq before an older one is committed: the list ends where it is not settled
 * yet. */
size_t study_list_changed(const struct study *study, int64_t since, unsigned states, size_t limit,
                          int64_t *numbers, int64_t *next)
{
    const struct changed *changed = &study->changed;
    int64_t settled_seq = change_settled_seq(study);
    size_t n = 0;
    *next = since;
    for (size_t i = changed_find(changed, since); i < changed->n_entries && n < limit; i++) {
        const struct changed_entry *entry = &changed->entries[i];
        const struct trial *trial = trials_get(&study->trials, entry->number);
        if (entry->seq > settled_seq)
            break;
        *next = entry->seq;
        if (trial && trial->seq == entry->seq && states & 1u << trial->state)
            numbers[n++] = entry->number;
    }
    return n;
}

size_t study_best(const struct study *study, size_t limit, int64_t *numbers)
{
    const struct best *best = &study->best;
    size_t n = best->n_numbers < limit ? best->n_numbers : limit;
    if (n)
        memcpy(numbers, best->numbers, n * sizeof *numbers);
    return best->n_numbers;
}
