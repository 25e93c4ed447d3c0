/* SPDX-License-Identifier: MIT */
/* Drafts: from the queue through the train to the store, and into memory. */
#include "daemon/study/draft.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/study/control.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/sampling.h"
#include "daemon/study/tell.h"
#include "proto/memory.h"
#include "proto/require.h"

#define TRAIN_LENGTH 64 /* so that one job stays short */

static bool brings_number(const struct draft *draft)
{
    return draft->kind == DRAFT_NEW || draft->kind == DRAFT_ENQUEUE;
}

/* ---- the lists ---- */

static void list_append(struct draft_list *list, struct draft *draft)
{
    draft->next = NULL;
    if (list->last)
        list->last->next = draft;
    else
        list->first = draft;
    list->last = draft;
    list->n_drafts++;
}

static struct draft *list_take_first(struct draft_list *list)
{
    struct draft *draft = list->first;
    list->first = draft->next;
    if (!list->first)
        list->last = NULL;
    list->n_drafts--;
    return draft;
}

/* Results come in the order of submission, so this is mostly the first. */
static void list_remove(struct draft_list *list, struct draft *draft)
{
    struct draft *before = NULL;
    for (struct draft *each = list->first; each != draft; each = each->next)
        before = each;
    if (before)
        before->next = draft->next;
    else
        list->first = draft->next;
    if (list->last == draft)
        list->last = before;
    list->n_drafts--;
}

/* A draft that is made again is older than those that came since. */
static void list_insert_by_order(struct draft_list *list, struct draft *draft)
{
    struct draft *before = NULL;
    for (struct draft *each = list->first; each && each->order < draft->order; each = each->next)
        before = each;
    draft->next = before ? before->next : list->first;
    if (before)
        before->next = draft;
    else
        list->first = draft;
    if (!draft->next)
        list->last = draft;
    list->n_drafts++;
}

/* ---- making, settling ---- */

struct draft *draft_new(struct study *study, enum draft_kind kind, struct trial *trial)
{
    struct draft *draft = memory_new(sizeof *draft);
    draft->study = study;
    draft->kind = kind;
    draft->trial = trial;
    draft->number = trial ? trial->number : -1;
    draft->order = ++study->studies->n_arrivals;
    if (kind != DRAFT_ENQUEUE)
        studies_random_hex(study->studies, draft->lease, LEASE_SIZE);
    study->n_new += brings_number(draft);
    study->n_drafts++;
    return draft;
}

/* In no list, and not at the store. */
static void settle(struct draft *draft, enum draft_fate fate, const struct problem *problem)
{
    struct study *study = draft->study;
    struct trial *reserved = draft->kind == DRAFT_START || draft->kind == DRAFT_RESTART ? draft->trial : NULL;
    study->n_new -= brings_number(draft);
    study->n_drafts--;
    draft->settled(draft, fate, problem);
    if (reserved)
        trial_release(study, reserved);
    study_mark(study);
    free(draft->params);
    free(draft->fixed);
    free(draft->loss);
    free(draft);
}

static void make_again(struct draft *draft)
{
    free(draft->params);
    draft->params = NULL;
    list_insert_by_order(&draft->study->queue, draft);
    study_mark(draft->study);
}

/* ---- to the database ---- */

/* A row names the enqueue that made the trial, and the ask that has it now; so another ask's key always goes.
 */
static void put_request(struct draft *draft, struct store_record *record)
{
    const struct study *study = draft->study;
    struct store_request *request = &record->trial.request;
    unsigned char *half = request->bytes + (draft->kind == DRAFT_ENQUEUE ? 0 : REQUEST_KEY_SIZE);
    if (draft->key)
        memcpy(half, draft->key, REQUEST_KEY_SIZE);
    if (draft->trial && draft->trial->enqueue_request)
        memcpy(request->bytes, study->requests.items[draft->trial->enqueue_request].key, REQUEST_KEY_SIZE);
    request->is_set = draft->key || draft->trial;
}

/* What every trial that is handed out gets. */
static void put_hand_out(struct draft *draft, struct store_record *record)
{
    record->trial.state = TRIAL_RUNNING;
    record->trial.attempt = 1;
    record->trial.start_us = studies_wall_us(draft->study->studies);
    if (!draft->study->is_first_ask_stored)
        record->trial.first_ask_us = draft->study->first_ask_us;
    record->trial.lease = draft->lease;
    record->trial.worker = draft->worker;
    record->trial.space = draft->study->spec->space;
    record->trial.params = draft->params;
    record->trial.sampled_seq = draft->sampled_seq;
    record->trial.asked_seq = draft->study->last_seq + 1;
}

/* The attempt that its lease's end has ended is lost. */
static void put_loss(struct draft *draft, struct store_record *record)
{
    free(draft->loss);
    draft->loss = lease_describe_silence(draft->study, draft->trial);
    record->trial.failure = trial_failure_names[FAILURE_LOST];
    record->trial.reason = draft->loss;
    record->trial.retries++;
}

/* The trial keeps what it has; another attempt is no other sample. */
static void put_start(struct draft *draft, struct store_record *record)
{
    const struct trial *trial = draft->trial;
    record->change = STORE_START_TRIAL;
    record->trial.has_outcome = true; /* all zero: the new lease has told nothing yet */
    put_hand_out(draft, record);
    record->trial.trial_id = trial->trial_id;
    record->trial.stored = trial->open->stored;
    record->trial.from = trial->state;
    record->trial.attempt = trial->attempt + 1;
    record->trial.retries = trial->retries;
    if (trial->stage == STAGE_LAPSED)
        put_loss(draft, record);
    if (trial->asked_seq)
        record->trial.asked_seq = 0;
}

static void put_create(struct draft *draft, struct store_record *record)
{
    record->change = STORE_CREATE_TRIAL;
    if (draft->kind == DRAFT_NEW) {
        put_hand_out(draft, record);
        return;
    }
    record->trial.state = TRIAL_WAITING;
    record->trial.lease = "";
    record->trial.space = draft->study->spec->space;
    record->trial.fixed_params = draft->fixed_params;
    record->trial.user_attrs = draft->user_attrs;
}

static void draft_settled(void *owner);

/* Sends it, or settles it where the store does not take it. */
static void submit(struct draft *draft)
{
    struct store_record *record = &draft->change.record;
    *record = (struct store_record){0};
    if (brings_number(draft))
        put_create(draft, record);
    else
        put_start(draft, record);
    record->trial.number = draft->number;
    put_request(draft, record);
    if (change_submit(&draft->change, draft->study, draft_settled, draft) < 0) {
        struct problem problem = {0};
        change_set_refused(&problem);
        settle(draft, DRAFT_FAILED, &problem);
    } else if (draft->kind != DRAFT_RESTART) {
        list_append(&draft->study->sent, draft);
    }
}

/* ---- into memory ---- */

static uint32_t remember_request(struct study *study, const unsigned char *key, int64_t number)
{
    static const unsigned char none[REQUEST_KEY_SIZE];
    if (memcmp(key, none, REQUEST_KEY_SIZE) == 0)
        return 0;
    uint32_t index = requests_get(&study->requests, key);
    requests_add_number(&study->requests, index, number);
    return index;
}

void draft_put_requests(struct study *study, struct trial *trial, const struct store_request *request)
{
    if (!request->is_set)
        return;
    if (!trial->enqueue_request)
        trial->enqueue_request = remember_request(study, request->bytes, trial->number);
    trial->ask_request = remember_request(study, request->bytes + REQUEST_KEY_SIZE, trial->number);
}

static void apply_hand_out(struct draft *draft, struct trial *trial)
{
    struct study *study = draft->study;
    struct studies *studies = study->studies;
    const struct store_record *record = &draft->change.record;
    if (draft->params) {
        trial->params = draft->params;
        trial->sampled_seq = draft->sampled_seq;
        draft->params = NULL;
    }
    if (record->trial.asked_seq)
        trial->asked_seq = record->trial.asked_seq;
    study->is_first_ask_stored |= record->trial.first_ask_us != 0;
    trial->is_ours = true;
    trial->start_us = record->trial.start_us;
    trial->attempt = (int32_t)record->trial.attempt;
    trial->retries = (int32_t)record->trial.retries;
    trial->has_outcome = false;
    trial->ask_request = 0;
    trial->open->has_reported = trial->open->is_loaded = false;
    trial->open->is_told_to_prune = false;
    free(trial->open->fixed);
    free(trial->open->stored);
    trial->open->fixed = trial->open->stored = NULL;
    lease_set_text(trial, draft->lease);
    worker_take(trial, workers_get(&studies->workers, draft->worker, studies_wall_us(studies)));
    trial_move(study, trial, STAGE_HELD, record->seq);
    lease_renew(study, trial);
}

static void apply(struct draft *draft)
{
    struct study *study = draft->study;
    const struct store_record *record = &draft->change.record;
    struct trial *trial = draft->trial;
    if (brings_number(draft)) {
        require(record->trial.number == draft->number);
        trial = trial_make(study, draft->number);
        trial_open(study, trial);
        trial->trial_id = record->trial.trial_id;
        draft->trial = trial;
    }
    if (draft->kind == DRAFT_ENQUEUE) {
        trial->is_ours = true;
        trial->open->fixed = draft->fixed;
        draft->fixed = NULL;
        trial_move(study, trial, STAGE_ENQUEUED, record->seq);
    } else {
        apply_hand_out(draft, trial);
    }
    draft_put_requests(study, trial, &record->trial.request);
}

/* The row of a trial that was to be handed out is another one now; or, for a new number, the study's row is
 * gone. */
static void settle_conflict(struct draft *draft)
{
    struct study *study = draft->study;
    struct problem problem = {0};
    if (brings_number(draft)) {
        control_vanished(study, "another program deleted it");
        change_set_problem(&draft->change, &problem);
        settle(draft, DRAFT_FAILED, &problem);
        return;
    }
    unsigned char stage = draft->trial->stage;
    tell_conflict(study, draft->trial, &draft->change.record);
    if (draft->trial->stage == stage) {
        problem_set(&problem, PROBLEM_STORE_REFUSED, "", "trial %lld is not in the database as studyd has it",
                    (long long)draft->number);
        settle(draft, DRAFT_FAILED, &problem);
    } else {
        settle(draft, DRAFT_LOST, NULL);
    }
}

static void draft_settled(void *owner)
{
    struct draft *draft = owner;
    struct study *study = draft->study;
    if (draft->kind != DRAFT_RESTART)
        list_remove(&study->sent, draft);
    if (change_is_done(&draft->change)) {
        apply(draft);
        settle(draft, DRAFT_DONE, NULL);
        return;
    }
    study->is_spoilt |= draft->kind != DRAFT_RESTART;
    if (draft->change.record.result == STORE_STRANGERS && !study->is_deleted) {
        if (draft->kind == DRAFT_NEW && trial_next(study, control_is_in_time(study)))
            settle(draft, DRAFT_LOST, NULL); /* what they left to be run comes first */
        else
            make_again(draft);
    } else if (draft->change.record.result == STORE_CONFLICT && !study->is_deleted) {
        settle_conflict(draft);
    } else {
        struct problem problem = {0};
        change_set_problem(&draft->change, &problem);
        settle(draft, DRAFT_FAILED, &problem);
    }
}

/* ---- the train ---- */

void draft_queue(struct draft *draft)
{
    if (draft->kind == DRAFT_RESTART && !draft->study->gate.is_shut)
        submit(draft);
    else
        list_append(&draft->study->queue, draft);
    study_mark(draft->study);
}

bool drafts_have_number(const struct study *study)
{
    int64_t max_trials = study->spec->max_trials;
    int64_t n_taken = study->trials.n_numbers + study->n_new;
    return n_taken <= INT32_MAX && (max_trials < 0 || n_taken < max_trials);
}

bool drafts_are_many(const struct study *study)
{
    return study->queue.n_drafts >= TRAIN_LENGTH;
}

static int64_t next_number(const struct study *study)
{
    int64_t number = study->trials.n_numbers;
    for (const struct draft *draft = study->sent.first; draft; draft = draft->next) {
        if (brings_number(draft) && draft->number >= number)
            number = draft->number + 1;
    }
    return number;
}

/* Strangers may have taken numbers that were promised, or the study was changed since. */
static bool is_too_late(const struct draft *draft, int64_t number)
{
    const struct study *study = draft->study;
    int64_t max_trials = study->spec->max_trials;
    if (brings_number(draft) && max_trials >= 0 && number >= max_trials)
        return true;
    if (draft->kind == DRAFT_ENQUEUE)
        return false;
    return study->state != STUDY_RUNNING || (draft->kind != DRAFT_RESTART && !control_is_in_time(study));
}

static void drop_late(struct draft *draft)
{
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_STUDY_STOPPED, "",
                "all %lld trials of the study are given out; raise max_trials first",
                (long long)draft->study->spec->max_trials);
    settle(draft, draft->kind == DRAFT_ENQUEUE ? DRAFT_FAILED : DRAFT_LOST, &problem);
}

static void make_up_train(struct study *study)
{
    int64_t number = next_number(study);
    while (study->queue.first && study->train.n_drafts < TRAIN_LENGTH) {
        struct draft *draft = list_take_first(&study->queue);
        if (is_too_late(draft, number)) {
            drop_late(draft);
            continue;
        }
        if (draft->kind == DRAFT_RESTART) {
            submit(draft);
            continue;
        }
        if (brings_number(draft))
            draft->number = number++;
        list_append(&study->train, draft);
    }
}

/* May it go as it is? While a change of the study is under way that is not known yet. */
static bool is_train_good(const struct study *study)
{
    bool is_good = !study->is_deleted && !study->is_spoilt && !study->gate.is_shut;
    for (const struct draft *draft = study->train.first; draft && is_good; draft = draft->next)
        is_good = !is_too_late(draft, draft->number);
    return is_good;
}

static bool needs_sampling(const struct draft_list *train)
{
    const struct draft *draft = train->first;
    while (draft && draft->kind == DRAFT_ENQUEUE)
        draft = draft->next;
    return draft != NULL;
}

static void send_train(struct study *study)
{
    while (study->train.first)
        submit(list_take_first(&study->train));
}

void drafts_go(struct study *study)
{
    while (!study->train.first && study->queue.first && !study->gate.is_shut &&
           !(study->is_spoilt && study->sent.first)) {
        study->is_spoilt = false;
        make_up_train(study);
        if (needs_sampling(&study->train))
            sampling_start(study);
        else
            send_train(study);
    }
}

void drafts_sampled(struct study *study, const double *params)
{
    size_t n_params = study->spec->space->n_params;
    if (!is_train_good(study)) {
        while (study->train.first)
            make_again(list_take_first(&study->train));
        if (study->is_deleted)
            drafts_drop(study);
        return;
    }
    for (struct draft *draft = study->train.first; draft; draft = draft->next) {
        if (draft->kind == DRAFT_ENQUEUE)
            continue;
        draft->params = trial_params_new(study);
        if (n_params)
            memcpy(draft->params, params, n_params * sizeof *params);
        params += n_params;
    }
    send_train(study);
    study_mark(study);
}

void drafts_drop(struct study *study)
{
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", study->name);
    while (study->queue.first)
        settle(list_take_first(&study->queue), DRAFT_FAILED, &problem);
}
