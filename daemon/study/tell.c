/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a trial. What a tell gets:
 *
 *   its lease is           and the trial             it gets
 *   current                is held or has lapsed     applied
 *   the one that told      has the same outcome      200 again
 *   the one that told      has another outcome       409 already-finished
 *   another, or none       is over                   409 already-finished
 *   another, or none       is open                   409 lease-superseded
 */
#include "daemon/study/tell.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/foreign.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/op.h"
#include "daemon/study/outcome.h"
#include "daemon/study/report.h"
#include "proto/log.h"
#include "proto/memory.h"

static bool is_infrastructure(enum trial_failure failure)
{
    return failure >= FAILURE_OOM;
}

static bool has_nan(size_t n, const double *values)
{
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i]))
            return true;
    }
    return false;
}

#define NAN_REASON "the objective's value is NaN"

static bool is_nan_result(const struct tell_message *tell)
{
    return tell->state == TRIAL_COMPLETE && has_nan(tell->n_values, tell->values);
}

/* ---- what a change says of a trial ---- */

/* A record that keeps what the trial's row has. */
static void record_begin(struct store_record *record, enum store_change change, const struct trial *trial)
{
    record->change = change;
    record->trial.trial_id = trial->trial_id;
    record->trial.number = trial->number;
    record->trial.from = TRIAL_RUNNING;
    record->trial.attempt = trial->attempt;
    record->trial.retries = trial->retries;
    record->trial.worker = trial->worker ? trial->worker->name : NULL;
}

static double violation_of(size_t n, const double *constraints)
{
    double violation = 0;
    for (size_t i = 0; i < n; i++)
        violation += constraints[i] > 0 ? constraints[i] : 0;
    return violation;
}

static void put_last_report(const struct trial *trial, struct history_trial *finished)
{
    const struct trial_open *open = trial->open;
    finished->last_step = -1;
    if (open->n_points) {
        finished->last_step = open->points[open->n_points - 1].step;
        finished->last_value = open->points[open->n_points - 1].value;
    }
}

/* The record is committed: the trial in memory becomes what it says. */
static void apply(struct study *study, struct trial *trial, const struct store_record *record)
{
    trial->has_outcome = record->trial.has_outcome;
    memcpy(trial->outcome, record->trial.outcome, STORE_OUTCOME_SIZE);
    trial->retries = (int32_t)record->trial.retries;
    if (record->change == STORE_RELEASE_TRIAL) {
        trial_move(study, trial, STAGE_AGAIN, record->seq);
        return;
    }
    trial->complete_us = record->trial.complete_us;
    trial->finished_seq = record->seq;
    trial->n_values = (unsigned char)record->trial.n_values;
    if (trial->n_values)
        memcpy(trial_values(study, trial), record->trial.values, trial->n_values * sizeof(double));
    struct history_trial finished = {
        .state = record->trial.state,
        .violation = violation_of(record->trial.n_constraints, record->trial.constraints),
    };
    put_last_report(trial, &finished);
    trial_finish(study, trial, &finished, record->seq);
}

void tell_conflict(struct study *study, struct trial *trial, const struct store_record *record)
{
    if (study->is_deleted)
        return;
    if (record->n_foreign) {
        foreign_take_in(study, &record->foreign[0]);
    } else {
        trial_vanish(study, trial);
        study->studies->is_sought = true; /* the study may be gone, too */
    }
}

/* ---- the tell ---- */

static void answer_told(struct op *op, const struct trial *trial)
{
    if (op->answer.is_given)
        return;
    op->call->state = trial->state;
    op->call->is_best = trial->state == TRIAL_COMPLETE && best_has(&op->study->best, trial->number);
    if (is_nan_result(&op->tell))
        op->call->reason = "nan: " NAN_REASON;
    op_answer(op);
}

static void answer_conflict(struct op *op, int64_t number)
{
    if (trials_get(&op->study->trials, number))
        op_fail(op, PROBLEM_ALREADY_FINISHED, "", "trial %lld was changed in the database by another program",
                (long long)number);
    else
        op_fail(op, PROBLEM_NOT_FOUND, "", "trial %lld was deleted from the database", (long long)number);
}

static void settled(void *owner)
{
    struct op *op = owner;
    struct trial *trial = op->trial;
    if (change_is_done(&op->change)) {
        apply(op->study, trial, &op->change.record);
        if (trial->worker && trial->stage == STAGE_OVER)
            trial->worker->n_told[trial->state]++;
        answer_told(op, trial);
    } else if (op->change.record.result == STORE_CONFLICT && !op->study->is_deleted) {
        int64_t number = trial->number;
        tell_conflict(op->study, trial, &op->change.record);
        answer_conflict(op, number);
    } else {
        op_fail_change(op, &op->change);
    }
    trial_release(op->study, trial);
    op_settle(op);
}

/* Optuna's rule: the last intermediate value is the value of a pruned trial, unless it is NaN. */
static void put_pruned_value(struct op *op, const struct trial *trial)
{
    struct store_record *record = &op->change.record;
    const struct trial_open *open = trial->open;
    if (op->study->spec->n_directions != 1 || !open->n_points ||
        isnan(open->points[open->n_points - 1].value))
        return;
    op->tell.values = memory_resize(op->tell.values, 1, sizeof *op->tell.values);
    op->tell.values[0] = open->points[open->n_points - 1].value;
    record->trial.values = op->tell.values;
    record->trial.n_values = 1;
}

static void put_failure(struct store_record *record, enum trial_failure failure, const char *reason)
{
    record->trial.state = TRIAL_FAIL;
    record->trial.failure = trial_failure_names[failure];
    record->trial.reason = reason;
}

/* The state that is told, and what goes with it. */
static void put_told_state(struct op *op, const struct trial *trial)
{
    struct store_record *record = &op->change.record;
    struct tell_message *tell = &op->tell;
    record->trial.state = tell->state;
    if (is_nan_result(tell)) {
        put_failure(record, FAILURE_NAN, tell->reason ? tell->reason : NAN_REASON);
    } else if (tell->state == TRIAL_COMPLETE) {
        record->trial.n_values = tell->n_values;
        record->trial.values = tell->values;
    } else if (tell->state == TRIAL_PRUNED) {
        put_pruned_value(op, trial);
    } else if (tell->state == TRIAL_FAIL) {
        put_failure(record, tell->failure, tell->reason);
    }
}

/* A failure that is not the objective's own is tried again while there are retries left. */
static void put_retry(struct op *op, const struct trial *trial)
{
    struct store_record *record = &op->change.record;
    bool is_tried_again = record->trial.state == TRIAL_FAIL && is_infrastructure(op->tell.failure) &&
                          op->tell.state == TRIAL_FAIL && trial_has_retries(op->study, trial);
    if (is_tried_again) {
        record->trial.retries++;
        record->trial.state = TRIAL_WAITING;
    }
    if (record->trial.state == TRIAL_WAITING)
        record->change = STORE_RELEASE_TRIAL;
}

static void submit(struct op *op, struct trial *trial, const unsigned char *outcome)
{
    struct store_record *record = &op->change.record;
    if (report_flush(op->study, trial) < 0) {
        change_set_refused(op->problem);
        op_answer(op);
        return;
    }
    record_begin(record, STORE_FINISH_TRIAL, trial);
    put_told_state(op, trial);
    put_retry(op, trial);
    record->trial.lease = op->lease; /* stays in the row, so that a repeated tell is known */
    record->trial.has_outcome = true;
    memcpy(record->trial.outcome, outcome, STORE_OUTCOME_SIZE);
    if (record->change == STORE_FINISH_TRIAL) {
        record->trial.complete_us = studies_wall_us(op->studies);
        record->trial.finished_seq = op->study->last_seq + 1;
        record->trial.user_attrs = op->tell.user_attrs;
        record->trial.n_constraints = op->tell.n_constraints;
        record->trial.constraints = op->tell.constraints;
    }
    if (op_submit(op, settled) < 0)
        return;
    op->trial = trial;
    trial_reserve(trial);
}

static void answer_repeated(struct op *op, const struct trial *trial, const unsigned char *outcome)
{
    if (trial->has_outcome && memcmp(trial->outcome, outcome, STORE_OUTCOME_SIZE) == 0)
        answer_told(op, trial);
    else if (trial->stage == STAGE_AGAIN)
        op_fail(op, PROBLEM_ALREADY_FINISHED, "state", "this lease has handed trial %lld back already",
                (long long)trial->number);
    else
        op_fail(op, PROBLEM_ALREADY_FINISHED, "state", "trial %lld is finished (%s), and was told otherwise",
                (long long)trial->number, trial_state_names[trial->state]);
}

static void tell_begin(struct op *op)
{
    struct trial *trial = op_find_trial(op);
    if (!trial)
        return;
    unsigned char outcome[STORE_OUTCOME_SIZE];
    outcome_hash(&op->tell, outcome);
    worker_see(trial->worker, studies_wall_us(op->studies));
    if (!lease_matches(trial, op->lease))
        op_refuse_lease(op, trial);
    else if (trial->stage != STAGE_HELD && trial->stage != STAGE_LAPSED)
        answer_repeated(op, trial, outcome);
    else if (studies_check_open(op->studies, op->problem) < 0)
        op_answer(op);
    else
        submit(op, trial, outcome);
}

/* 0, or -1 where the message does not suit the study. */
static int check_values(const struct study *study, const struct tell_message *message,
                        struct problem *problem)
{
    size_t n = study->spec->n_directions;
    if (message->state == TRIAL_COMPLETE && message->n_values != n)
        return problem_set(problem, PROBLEM_INVALID, n == 1 ? "value" : "values",
                           "the study has %zu direction%s, so a complete trial has %zu value%s; %zu given", n,
                           n == 1 ? "" : "s", n, n == 1 ? "" : "s", message->n_values);
    if (has_nan(message->n_constraints, message->constraints))
        return problem_set(problem, PROBLEM_INVALID, "constraints", "a constraint must be a number, not NaN");
    return 0;
}

static double *copy_doubles(const double *numbers, size_t n)
{
    if (!numbers)
        return NULL;
    double *copy = memory_array(n + 1, sizeof *copy);
    memcpy(copy, numbers, n * sizeof *copy);
    return copy;
}

static struct tell_message copy_of(const struct tell_message *message)
{
    struct tell_message copy = *message;
    copy.lease = NULL;
    copy.values = copy_doubles(message->values, message->n_values);
    copy.reason = memory_strdup(message->reason);
    copy.user_attrs = json_incref(message->user_attrs);
    copy.constraints = copy_doubles(message->constraints, message->n_constraints);
    return copy;
}

void study_tell(struct studies *studies, struct study *study, int64_t number,
                const struct tell_message *message, struct trial_call *call)
{
    struct op *op = op_new(studies, study, call, number, tell_begin);
    op->tell = copy_of(message);
    snprintf(op->lease, sizeof op->lease, "%s", message->lease);
    if (check_values(study, message, &call->problem) < 0)
        op_answer(op);
    else
        tell_begin(op);
    studies_end_call(studies);
}

/* ---- the lost ---- */

/* A FAIL that nobody told. */
struct loss {
    struct change change;
    struct trial *trial;
    char *reason;
    char lease[MESSAGE_LEASE_SIZE];
};

static void loss_free(struct loss *loss)
{
    free(loss->reason);
    free(loss);
}

static void loss_settled(void *owner)
{
    struct loss *loss = owner;
    struct study *study = loss->change.study;
    struct trial *trial = loss->trial;
    if (change_is_done(&loss->change)) {
        apply(study, trial, &loss->change.record);
        if (trial->worker)
            trial->worker->n_told[TRIAL_FAIL]++;
        log_warning("trial lost study=\"%s\" number=%lld reason=\"%s\"", study->name,
                    (long long)trial->number, loss->reason);
    } else if (loss->change.record.result == STORE_CONFLICT) {
        tell_conflict(study, trial, &loss->change.record);
    }
    trial_release(study, trial);
    loss_free(loss);
}

static char *loss_reason(const struct study *study, const struct trial *trial)
{
    MEMORY_AUTO char *silence = lease_describe_silence(study, trial);
    char text[400];
    snprintf(text, sizeof text, "%s, which was the last", silence);
    return memory_strdup(text);
}

void tell_lost(struct study *study, struct trial *trial)
{
    if (report_flush(study, trial) < 0)
        return;
    struct loss *loss = memory_new(sizeof *loss);
    struct store_record *record = &loss->change.record;
    loss->trial = trial;
    loss->reason = loss_reason(study, trial);
    lease_put_text(trial, loss->lease);
    record_begin(record, STORE_FINISH_TRIAL, trial);
    put_failure(record, FAILURE_LOST, loss->reason);
    record->trial.has_outcome = true; /* all zero: nobody told */
    record->trial.lease = loss->lease;
    record->trial.complete_us = studies_wall_us(study->studies);
    record->trial.finished_seq = study->last_seq + 1;
    if (change_submit(&loss->change, study, loss_settled, loss) < 0)
        loss_free(loss);
    else
        trial_reserve(trial);
}
