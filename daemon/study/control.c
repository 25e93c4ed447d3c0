/* SPDX-License-Identifier: MIT */
/*
 * A study's own course.
 *
 *              PATCH paused                     budgets used up, nothing open
 *    PAUSED <------------------> RUNNING -------------------------------------> FINISHED
 *       |       PATCH running      |  ^  <-------------------------------------    |
 *       |                          |  |          PATCH with a larger budget        |
 *       +-------> STOPPED <--------+--+--------------------------------------------+
 *         PATCH stopped            PATCH running leads back
 *
 * Too many failed trials lead from RUNNING to STOPPED, too. What a PATCH would set running with its budgets
 * used up, and nothing open, is finished at once.
 */
#include "daemon/study/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/ask.h"
#include "daemon/study/draft.h"
#include "daemon/study/lease.h"
#include "daemon/study/op.h"
#include "daemon/study/seek.h"
#include "proto/log.h"
#include "proto/memory.h"

const char *const study_state_names[] = {[STUDY_RUNNING] = "running",
                                         [STUDY_PAUSED] = "paused",
                                         [STUDY_STOPPED] = "stopped",
                                         [STUDY_FINISHED] = "finished",
                                         NULL};

#define TO(state) (1u << STUDY_##state)
/* What a PATCH may ask for. Out of FINISHED into RUNNING only with a larger budget; the daemon alone moves to
 * FINISHED. */
static const unsigned legal_moves[] = {
    [STUDY_RUNNING] = TO(RUNNING) | TO(PAUSED) | TO(STOPPED),
    [STUDY_PAUSED] = TO(RUNNING) | TO(PAUSED) | TO(STOPPED),
    [STUDY_STOPPED] = TO(RUNNING) | TO(PAUSED) | TO(STOPPED),
    [STUDY_FINISHED] = TO(RUNNING) | TO(STOPPED),
};
#undef TO

/* ---- the budgets ---- */

static double elapsed_s(const struct study *study)
{
    return study->first_ask_us ? (double)(studies_wall_us(study->studies) - study->first_ask_us) / 1e6 : 0;
}

bool control_is_in_time(const struct study *study)
{
    double max_seconds = study->spec->max_seconds;
    return max_seconds < 0 || elapsed_s(study) < max_seconds;
}

static void clock_fired(void *owner)
{
    control_set_clock(owner);
    study_mark(owner);
}

void control_init_timer(struct study *study)
{
    study->seconds_timer = (struct timer){.fire = clock_fired, .owner = study};
}

void control_set_clock(struct study *study)
{
    double max_seconds = study->spec->max_seconds;
    timer_cancel(&study->studies->timers, &study->seconds_timer);
    double left_s = max_seconds - elapsed_s(study);
    if (max_seconds >= 0 && study->first_ask_us && left_s > 0)
        timer_set_in(study->studies, &study->seconds_timer, (int64_t)(left_s * 1000) + 1);
}

void control_start_clock(struct study *study)
{
    if (study->first_ask_us)
        return;
    study->first_ask_us = studies_wall_us(study->studies);
    control_set_clock(study);
}

/* Is there nothing left to hand out, and nothing that could come back? Then `reason` says why. Trials that
 * Optuna runs are not waited for: it may never finish them. */
static bool is_used_up(const struct study *study, const struct spec *spec, char *reason, size_t size)
{
    const int64_t *n_at = study->n_at_stage;
    if (n_at[STAGE_HELD] || n_at[STAGE_LAPSED] || n_at[STAGE_AGAIN] || study->n_drafts)
        return false;
    if (spec->max_seconds >= 0 && elapsed_s(study) >= spec->max_seconds) {
        snprintf(reason, size, "max_seconds reached (%.15g s)", spec->max_seconds);
        return true;
    }
    snprintf(reason, size, "max_trials reached (%lld)", (long long)spec->max_trials);
    return spec->max_trials >= 0 && study->trials.n_numbers >= spec->max_trials && !n_at[STAGE_ENQUEUED];
}

/* What becomes of a running study with these budgets: STOPPED where too many trials have failed, FINISHED
 * where they are used up, and `reason` says so; else RUNNING. */
static enum study_state find_end(const struct study *study, const struct spec *spec, char *reason,
                                 size_t size)
{
    if (spec->max_failed_trials >= 0 && study->counts[TRIAL_FAIL] >= spec->max_failed_trials) {
        snprintf(reason, size, "max_failed_trials reached (%lld)", (long long)spec->max_failed_trials);
        return STUDY_STOPPED;
    }
    return is_used_up(study, spec, reason, size) ? STUDY_FINISHED : STUDY_RUNNING;
}

bool control_has_space(const struct study *study)
{
    return study->has_stored_spec || study->spec->space->n_params > 0;
}

int control_check_usable(const struct study *study, struct problem *problem)
{
    if (!study->is_usable)
        return problem_set(problem, PROBLEM_NO_SPACE, "", "nothing can be sampled in study \"%s\": %s",
                           study->name, study->reason);
    if (!control_has_space(study))
        return problem_set(
            problem, PROBLEM_NO_SPACE, "",
            "study \"%s\" was made by Optuna and has no trial that shows its search space; attach a spec "
            "with POST /v1/studies?exist_ok=true",
            study->name);
    return 0;
}

/* ---- changing ---- */

char *control_spec_json(const struct spec *spec)
{
    json_t *json = spec_to_json(spec);
    struct buffer text = {0};
    struct json_writer writer;
    json_writer_init(&writer, &text);
    json_put_value(&writer, json);
    json_decref(json);
    return buffer_take(&text);
}

int control_submit(struct op *op, enum store_change change, void (*settled)(void *op))
{
    struct store_record *record = &op->change.record;
    record->change = change;
    record->study.name = op->study->name;
    record->study.spec_json = op->spec_json;
    record->study.state = study_state_names[op->state];
    record->study.reason = op->reason;
    record->study.user_attrs = op->user_attrs;
    if (op_submit(op, settled) < 0)
        return -1;
    gate_shut(&op->study->gate);
    return 0;
}

/* What waits for this study may have nothing left to wait for. */
static void set_state(struct study *study, enum study_state state, const char *reason)
{
    if (study->state != state)
        log_info("study changed study=\"%s\" state=%s reason=\"%s\"", study->name, study_state_names[state],
                 reason ? reason : "");
    study->state = state;
    free(study->reason);
    study->reason = memory_strdup(reason);
    lease_look_again(study);
    asks_answer_state(study);
    asks_answer_all(study->studies);
    study_mark(study);
}

void control_vanished(struct study *study, const char *why)
{
    if (study->is_deleted)
        return;
    study_bury(study);
    studies_remove(study->studies, study);
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", study->name);
    asks_fail(study, &problem);
    drafts_drop(study);
    asks_answer_all(study->studies);
    if (study->is_stale)
        seek_end_reading(study);
    log_info("study deleted study=\"%s\" reason=\"%s\"", study->name, why);
}

/* The common end of a change of a study. */
static void end_change(struct op *op)
{
    struct study *study = op->study;
    if (!op->answer.is_given) {
        op->study_call->study = study->is_deleted ? NULL : study;
    }
    if (op->change.record.result == STORE_CONFLICT)
        control_vanished(study, "another program deleted it");
    if (change_is_done(&op->change) || op->change.record.change == STORE_DELETE_STUDY)
        op_answer(op);
    else
        op_fail_change(op, &op->change);
    gate_open(&study->gate);
    op_settle(op);
}

static bool has_limits(const struct study_change *change)
{
    return change->has_max_trials || change->has_max_failed_trials || change->has_max_seconds ||
           change->has_trial_timeout_s;
}

static void put_limits(const struct study_change *change, struct spec *spec)
{
    if (change->has_max_trials)
        spec->max_trials = change->max_trials;
    if (change->has_max_failed_trials)
        spec->max_failed_trials = change->max_failed_trials;
    if (change->has_max_seconds)
        spec->max_seconds = change->max_seconds;
    if (change->has_trial_timeout_s)
        spec->trial_timeout_s = change->trial_timeout_s;
}

static void change_settled(void *owner)
{
    struct op *op = owner;
    struct study *study = op->study;
    if (change_is_done(&op->change)) {
        put_limits(&op->wanted, study->spec);
        study->has_stored_spec |= op->spec_json != NULL;
        if (op->user_attrs)
            json_object_update(study->user_attrs, op->user_attrs);
        control_set_clock(study);
        set_state(study, op->state, op->reason);
    }
    end_change(op);
}

static int find_state(const char *name)
{
    for (int i = 0; study_state_names[i]; i++) {
        if (strcmp(study_state_names[i], name) == 0)
            return i;
    }
    return -1;
}

/* The spec as it is to be; borrows all of the study's. */
static struct spec wanted_spec(const struct op *op)
{
    struct spec spec = *op->study->spec;
    put_limits(&op->wanted, &spec);
    return spec;
}

static const char *const state_reasons[] = {
    [STUDY_PAUSED] = "paused by request", [STUDY_STOPPED] = "stopped by request", [STUDY_FINISHED] = NULL};

/* Puts the state that the study is to have, and why. 0, or -1 where it was answered. */
static int choose_state(struct op *op)
{
    const struct study *study = op->study;
    const char *name = op->wanted.state;
    const struct spec spec = wanted_spec(op);
    char reason[100];
    enum study_state end = find_end(study, &spec, reason, sizeof reason);
    bool is_revived = study->state == STUDY_FINISHED && end == STUDY_RUNNING && !name;
    int state = is_revived ? STUDY_RUNNING : name ? find_state(name) : (int)study->state;
    if (name && (state < 0 || !(legal_moves[study->state] & 1u << state))) {
        op_fail(op, PROBLEM_INVALID, "state", "a %s study cannot become \"%.40s\"; it can be set %s",
                study_state_names[study->state], name,
                study->state == STUDY_FINISHED ? "stopped, or running with a larger budget"
                                               : "running, paused or stopped");
        return -1;
    }
    bool is_refused = study->state == STUDY_FINISHED ? end != STUDY_RUNNING : end == STUDY_STOPPED;
    if (is_refused && state == STUDY_RUNNING && study->state != STUDY_RUNNING) {
        op_fail(op, PROBLEM_INVALID, "state", "the study is %s: %s; raise that to go on",
                study_state_names[study->state], reason);
        return -1;
    }
    op->state = state == STUDY_RUNNING ? end : (enum study_state)state;
    if (op->state == end && end != STUDY_RUNNING && state != STUDY_STOPPED)
        op->reason = memory_strdup(reason); /* also where it was finished before, by another budget */
    else
        op->reason = memory_strdup(op->state == study->state ? study->reason : state_reasons[op->state]);
    return 0;
}

/* The spec as it will be, for the database. One that cannot be read, or has no parameters yet, is not in
 * memory: it must not be written over. 0, or -1 where it was answered or waits. */
static int put_spec_json(struct op *op)
{
    if (!has_limits(&op->wanted))
        return 0;
    if (seek_again(op->study)) {
        op_wait(op, &op->study->gate);
        return -1;
    }
    if (control_check_usable(op->study, op->problem) < 0) {
        op_answer(op);
        return -1;
    }
    const struct spec changed = wanted_spec(op);
    op->spec_json = control_spec_json(&changed);
    return 0;
}

/* 0, or -1 where the op was answered or waits. */
static int begin_on_study(struct op *op)
{
    struct study *study = op->study;
    if (study->is_deleted)
        op_fail(op, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", study->name);
    else if (study->gate.is_shut)
        op_wait(op, &study->gate);
    else if (studies_check_open(op->studies, op->problem) < 0)
        op_answer(op);
    else
        return 0;
    return -1;
}

static void change_begin(struct op *op)
{
    if (begin_on_study(op) < 0 || put_spec_json(op) < 0 || choose_state(op) < 0)
        return;
    op->user_attrs = json_incref(op->wanted.user_attrs);
    (void)!control_submit(op, STORE_CHANGE_STUDY, change_settled);
}

static int check_count(const char *key, bool is_given, int64_t count, struct problem *problem)
{
    if (!is_given || count == -1 || (count >= 1 && count <= SPEC_MAX_TRIALS))
        return 0;
    return problem_set(problem, PROBLEM_INVALID, key, "must be from 1 to %lld, or null for no limit",
                       (long long)SPEC_MAX_TRIALS);
}

static int check_seconds(const char *key, bool is_given, double seconds, struct problem *problem)
{
    if (!is_given || seconds == -1 || (seconds >= SPEC_MIN_SECONDS && seconds <= SPEC_MAX_SECONDS))
        return 0;
    return problem_set(problem, PROBLEM_INVALID, key, "must be from %g to %g, or null for no limit",
                       (double)SPEC_MIN_SECONDS, (double)SPEC_MAX_SECONDS);
}

static int check_limits(const struct study_change *change, struct problem *problem)
{
    if (check_count("max_trials", change->has_max_trials, change->max_trials, problem) < 0 ||
        check_count("max_failed_trials", change->has_max_failed_trials, change->max_failed_trials, problem) <
            0 ||
        check_seconds("max_seconds", change->has_max_seconds, change->max_seconds, problem) < 0 ||
        check_seconds("trial_timeout_s", change->has_trial_timeout_s, change->trial_timeout_s, problem) < 0)
        return -1;
    return 0;
}

void study_change(struct studies *studies, struct study *study, const struct study_change *change,
                  struct study_call *call)
{
    struct op *op = op_new_of_study(studies, study, call, change_begin);
    op->wanted = *change;
    op->wanted.state = op->wanted_state = memory_strdup(change->state);
    json_incref(op->wanted.user_attrs);
    if (check_limits(change, &call->problem) < 0)
        op_answer(op);
    else
        change_begin(op);
    studies_end_call(studies);
}

/* ---- deleting ---- */

static void delete_settled(void *owner)
{
    struct op *op = owner;
    if (change_is_done(&op->change))
        control_vanished(op->study, "by request");
    else if (op->change.record.result != STORE_CONFLICT)
        op_fail_change(op, &op->change);
    end_change(op);
}

static void delete_begin(struct op *op)
{
    const struct study *study = op->study;
    if (begin_on_study(op) < 0)
        return;
    bool is_empty = study->trials.n_numbers == 0 && study->n_drafts == 0;
    if (!op->is_lenient && !is_empty && study->state != STUDY_STOPPED && study->state != STUDY_FINISHED) {
        op_fail(op, PROBLEM_INVALID, "force",
                "study \"%s\" is %s and has trials; stop it first, or delete it with ?force=true",
                study->name, study_state_names[study->state]);
        return;
    }
    (void)!control_submit(op, STORE_DELETE_STUDY, delete_settled);
}

void study_delete(struct studies *studies, struct study *study, bool force, struct study_call *call)
{
    struct op *op = op_new_of_study(studies, study, call, delete_begin);
    op->is_lenient = force;
    delete_begin(op);
    studies_end_call(studies);
}

/* ---- by itself: the end ---- */

/* A study that could not be finished is looked at again, but not at once. */
static void finish_settled(void *owner)
{
    struct op *op = owner;
    struct study *study = op->study;
    if (change_is_done(&op->change)) {
        set_state(study, op->state, op->reason);
    } else {
        study->no_finish_before_ms = studies_now_ms(study->studies) + ANSWER_LIMIT_MS;
        timer_set(&study->studies->timers, &study->seconds_timer, study->no_finish_before_ms);
    }
    end_change(op);
}

void control_check_end(struct study *study)
{
    struct studies *studies = study->studies;
    char reason[100];
    if (study->state != STUDY_RUNNING || study->gate.is_shut || studies->is_store_away ||
        !study->has_stored_spec || studies_now_ms(studies) < study->no_finish_before_ms)
        return;
    enum study_state end = find_end(study, study->spec, reason, sizeof reason);
    if (end == STUDY_RUNNING)
        return;
    struct op *op = op_new_of_study(studies, study, NULL, NULL);
    op->state = end;
    op->reason = memory_strdup(reason);
    if (control_submit(op, STORE_CHANGE_STUDY, finish_settled) < 0)
        op_settle(op);
}

/* ---- by itself: the derived spec ---- */

static void spec_settled(void *owner)
{
    struct op *op = owner;
    struct study *study = op->study;
    if (change_is_done(&op->change)) {
        study->has_stored_spec = true;
    } else if (!study->is_deleted) {
        struct problem problem = {0};
        change_set_problem(&op->change, &problem);
        if (op->change.record.result == STORE_REFUSED) {
            study->is_usable = false;
            free(study->reason);
            study->reason = memory_strdup(problem.detail);
        }
        asks_fail(study, &problem);
    }
    end_change(op);
}

void control_store_spec(struct study *study)
{
    if (study->gate.is_shut)
        return;
    struct op *op = op_new_of_study(study->studies, study, NULL, NULL);
    op->state = study->state;
    op->reason = memory_strdup(study->reason);
    op->spec_json = control_spec_json(study->spec);
    if (control_submit(op, STORE_CHANGE_STUDY, spec_settled) < 0) {
        struct problem problem = {0};
        change_set_refused(&problem);
        asks_fail(study, &problem);
        op_settle(op);
    }
}
