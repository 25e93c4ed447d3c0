/* SPDX-License-Identifier: MIT */
/* Whole trials: what memory has, and what only the database has. */
#include <stdlib.h>
#include <string.h>

#include "daemon/study/state.h"
#include "proto/memory.h"

/* A trial when its read began. */
struct beginning {
    enum trial_state state;
    int64_t seq;
};

/* A call for whole trials. */
struct cold_read {
    struct answer answer;
    struct store_read read;
    struct trials_call *call;
    struct study *study;
    int64_t *numbers;              /* owned */
    int64_t *trial_ids;            /* owned */
    struct beginning *beginnings;  /* owned */
    struct trial_view *views;      /* owned */
    struct store_cold_trial *cold; /* owned; what it points to is the store's, or an open trial's */
};

static void cold_read_free(struct cold_read *cold_read)
{
    free(cold_read->numbers);
    free(cold_read->trial_ids);
    free(cold_read->beginnings);
    free(cold_read->views);
    free(cold_read->cold);
    free(cold_read);
}

static void deliver(void *owner)
{
    struct cold_read *cold_read = owner;
    struct study *study = cold_read->study;
    struct trials_call *call = cold_read->call;
    study->studies->n_open_calls--;
    call->done(call);
    cold_read_free(cold_read);
    study_unref(study);
}

/* What was reported and is not stored yet is acknowledged all the same. */
static void put_reports(const struct study *study, int64_t number, struct store_cold_trial *cold)
{
    const struct trial *trial = trials_get(&study->trials, number);
    if (trial->open && trial->stage != STAGE_FOREIGN) {
        cold->n_points = trial->open->n_points;
        cold->points = trial->open->points;
    }
}

/* One that ended meanwhile may have been read before that, without what it was told with. It is shown as it
 * was when the read began; that it ended is a change of its own, with a later seq. */
static void hide_end(const struct beginning *beginning, struct trial_view *view)
{
    if (view->state == TRIAL_RUNNING || view->state == TRIAL_WAITING || view->state == beginning->state)
        return;
    view->state = beginning->state;
    view->seq = beginning->seq;
    view->n_values = 0;
    view->values = NULL;
    view->complete_us = 0;
    view->finished_seq = 0;
}

static void put_trials(struct cold_read *cold_read)
{
    const struct study *study = cold_read->study;
    struct trials_call *call = cold_read->call;
    for (size_t i = 0; i < cold_read->read.n_trials; i++) {
        const struct store_cold_trial *cold = &cold_read->read.trials[i];
        struct trial_view *view = &cold_read->views[call->n_trials];
        if (cold->trial_id == 0 || study_get_trial(study, cold_read->numbers[i], view) < 0)
            continue;
        hide_end(&cold_read->beginnings[i], view);
        cold_read->cold[call->n_trials] = *cold;
        put_reports(study, view->number, &cold_read->cold[call->n_trials++]);
    }
    call->views = cold_read->views;
    call->cold = cold_read->cold;
}

/* The store frees its results when this returns, so the answer goes out within it. */
static void read_done(struct store_read *read)
{
    struct cold_read *cold_read = read->user;
    struct study *study = cold_read->study;
    struct studies *studies = study->studies;
    if (study->is_deleted)
        problem_set(&cold_read->call->problem, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted",
                    study->name);
    else if (read->error)
        problem_set(&cold_read->call->problem, PROBLEM_STORE_AWAY, "", "the database cannot be reached");
    else
        put_trials(cold_read);
    answer_give(&studies->answers, &cold_read->answer);
    studies_end_turn(studies);
}

static void put_ids(struct cold_read *cold_read, size_t n, const int64_t *numbers)
{
    struct store_read *read = &cold_read->read;
    for (size_t i = 0; i < n; i++) {
        const struct trial *trial = trials_get(&cold_read->study->trials, numbers[i]);
        struct trial_view view;
        if (!trial || study_get_trial(cold_read->study, numbers[i], &view) < 0)
            continue;
        cold_read->beginnings[read->n_trials] = (struct beginning){view.state, view.seq};
        cold_read->numbers[read->n_trials] = numbers[i];
        cold_read->trial_ids[read->n_trials++] = trial->trial_id;
    }
    read->study_id = cold_read->study->study_id;
    read->trial_ids = cold_read->trial_ids;
    read->done = read_done;
    read->user = cold_read;
}

void study_read_trials(struct studies *studies, struct study *study, size_t n, const int64_t *numbers,
                       struct trials_call *call)
{
    struct cold_read *cold_read = memory_new(sizeof *cold_read);
    cold_read->answer = (struct answer){.deliver = deliver, .owner = cold_read};
    cold_read->call = call;
    cold_read->study = study;
    cold_read->numbers = memory_array(n + 1, sizeof *cold_read->numbers);
    cold_read->trial_ids = memory_array(n + 1, sizeof *cold_read->trial_ids);
    cold_read->beginnings = memory_array(n + 1, sizeof *cold_read->beginnings);
    cold_read->views = memory_array(n + 1, sizeof *cold_read->views);
    cold_read->cold = memory_array(n + 1, sizeof *cold_read->cold);
    call->own = cold_read;
    studies->n_open_calls++;
    study_ref(study);
    put_ids(cold_read, n, numbers);
    if (!cold_read->read.n_trials || studies->ports.read(studies->ports.user, &cold_read->read) < 0) {
        if (cold_read->read.n_trials)
            problem_set(&call->problem, PROBLEM_STORE_AWAY, "",
                        "the database cannot be reached; attributes lie only there");
        answer_give(&studies->answers, &cold_read->answer);
    }
    studies_end_call(studies);
}
