/* SPDX-License-Identifier: MIT */
/* Operations on one trial: waiting for others, the time limit, the answer. */
#include "daemon/study/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/study/lifecycle.h"
#include "proto/memory.h"

static void op_free(struct op *op)
{
    report_message_deinit(&op->report);
    tell_message_deinit(&op->tell);
    enqueue_message_deinit(&op->enqueue);
    spec_free(op->spec);
    free(op->spec_json);
    free(op->reason);
    json_decref(op->user_attrs);
    json_decref(op->wanted.user_attrs);
    free(op->wanted_state);
    json_decref(op->fixed_params);
    free(op);
}

static void deliver(void *owner)
{
    struct op *op = owner;
    struct trial_call *call = op->call;
    struct study_call *study_call = op->study_call;
    op->studies->n_open_calls--;
    op->is_delivered = true;
    if (!op->is_under_way)
        op_free(op);
    if (call)
        call->done(call);
    else
        study_call->done(study_call);
}

static void time_is_up(void *owner)
{
    op_fail(owner, PROBLEM_STORE_AWAY, "",
            "the change was not committed within %d s; it may be still: repeat the request",
            ANSWER_LIMIT_MS / 1000);
}

static void resume(void *owner)
{
    struct op *op = owner;
    op->begin(op);
}

static struct op *op_make(struct studies *studies, struct study *study, void (*begin)(struct op *op))
{
    struct op *op = memory_new(sizeof *op);
    *op = (struct op){
        .answer = {.deliver = deliver, .owner = op},
        .studies = studies,
        .study = study,
        .begin = begin,
        .waiter = {.resume = resume, .owner = op},
        .timer = {.fire = time_is_up, .owner = op},
    };
    return op;
}

struct op *op_new(struct studies *studies, struct study *study, struct trial_call *call, int64_t number,
                  void (*begin)(struct op *op))
{
    struct op *op = op_make(studies, study, begin);
    op->call = call;
    op->problem = &call->problem;
    call->own = op;
    call->number = number;
    studies->n_open_calls++;
    return op;
}

struct op *op_new_of_study(struct studies *studies, struct study *study, struct study_call *call,
                           void (*begin)(struct op *op))
{
    struct op *op = op_make(studies, study, begin);
    op->study_call = call;
    op->is_delivered = op->answer.is_given = !call;
    if (call) {
        op->problem = &call->problem;
        call->state = op;
        studies->n_open_calls++;
    }
    return op;
}

struct trial *op_find_trial(struct op *op)
{
    struct study *study = op->study;
    long long number = op->call->number;
    if (study->is_deleted) {
        op_fail(op, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", study->name);
        return NULL;
    }
    struct trial *trial = trials_get(&study->trials, number);
    if (!trial) {
        op_fail(op, PROBLEM_NOT_FOUND, "", "study \"%s\" has no trial %lld", study->name, number);
        return NULL;
    }
    if (trial_is_reserved(trial)) {
        op_wait(op, &trial->open->gate);
        return NULL;
    }
    return trial;
}

static void start_timer(struct op *op)
{
    if (!timer_is_set(&op->timer) && !op->answer.is_given)
        timer_set_in(op->studies, &op->timer, ANSWER_LIMIT_MS);
}

void op_wait(struct op *op, struct gate *gate)
{
    gate_wait(gate, &op->waiter);
    start_timer(op);
}

int op_submit(struct op *op, void (*settled)(void *op))
{
    if (change_submit(&op->change, op->study, settled, op) < 0) {
        if (!op->answer.is_given)
            change_set_refused(op->problem);
        op_answer(op);
        return -1;
    }
    op_begin_change(op);
    return 0;
}

void op_begin_change(struct op *op)
{
    op->is_under_way = true;
    start_timer(op);
}

void op_settle(struct op *op)
{
    op->is_under_way = false;
    if (op->is_delivered)
        op_free(op);
}

void op_fail(struct op *op, enum problem_type type, const char *field, const char *format, ...)
{
    if (op->answer.is_given)
        return;
    char detail[sizeof op->problem->detail];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    problem_set(op->problem, type, field, "%s", detail);
    op_answer(op);
}

void op_fail_change(struct op *op, const struct change *change)
{
    if (!op->answer.is_given)
        change_set_problem(change, op->problem);
    op_answer(op);
}

void op_answer(struct op *op)
{
    if (op->answer.is_given)
        return;
    timer_cancel(&op->studies->timers, &op->timer);
    gate_leave(&op->waiter);
    if (op->call)
        op->call->study_state = study_state_names[op->study->state];
    answer_give(&op->studies->answers, &op->answer);
}

/* Without the trial's lease nothing can be told. */
void op_refuse_lease(struct op *op, const struct trial *trial)
{
    long long number = trial->number;
    if (trial->stage == STAGE_OVER)
        op_fail(op, PROBLEM_ALREADY_FINISHED, "lease",
                "trial %lld is finished (%s), told under another lease", number,
                trial_state_names[trial->state]);
    else if (trial->stage == STAGE_FOREIGN)
        op_fail(op, PROBLEM_LEASE_SUPERSEDED, "lease",
                "trial %lld was started by Optuna and has no lease here", number);
    else
        op_fail(op, PROBLEM_LEASE_SUPERSEDED, "lease",
                "this lease of trial %lld is not known, or the trial was handed on; ask for another one",
                number);
}
