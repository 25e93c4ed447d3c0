/* SPDX-License-Identifier: MIT */
/*
 * Reports and heartbeats. A report is answered from memory; its points are queued for the database, at most
 * one record of a trial at a time, and whatever is left goes ahead of the trial's tell. A repeated step
 * changes nothing (as in Optuna).
 */
#include "daemon/study/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pruner/pruner.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/op.h"
#include "daemon/study/tell.h"
#include "proto/memory.h"

/* ---- the points in memory ---- */

/* Index of the first point whose step is not lower. */
static size_t find_step(const struct trial_open *open, int32_t step)
{
    size_t low = 0;
    size_t high = open->n_points;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (open->points[middle].step < step)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_step(const struct trial_open *open, int32_t step)
{
    size_t at = find_step(open, step);
    return at < open->n_points && open->points[at].step == step;
}

/* Among the points before index `end`. */
static bool has_unsent(const struct trial_open *open, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        if (!open->is_queued[i])
            return true;
    }
    return false;
}

static void make_room(struct trial_open *open, size_t n_more)
{
    if (open->n_points + n_more <= open->capacity)
        return;
    open->capacity = 2 * open->capacity + n_more;
    open->points = memory_resize(open->points, open->capacity, sizeof *open->points);
    open->is_queued = memory_resize(open->is_queued, open->capacity, sizeof *open->is_queued);
}

static void put_point(struct trial_open *open, size_t at, struct report_point point, bool is_queued)
{
    open->points[at] = point;
    open->is_queued[at] = is_queued;
}

/* Takes in those of `points`, which ascend, whose steps are not there yet: from the end, so that each point
 * moves once. */
static void merge(struct trial_open *open, const struct report_point *points, size_t n_points, bool is_queued)
{
    size_t n_new = 0;
    size_t n_old = open->n_points;
    for (size_t i = 0; i < n_points; i++)
        n_new += !has_step(open, points[i].step);
    make_room(open, n_new);
    open->n_points += n_new;
    for (size_t at = open->n_points; at > n_old;) {
        int32_t step = points[n_points - 1].step;
        bool is_old = n_old > 0 && open->points[n_old - 1].step >= step;
        n_points -= !is_old || open->points[n_old - 1].step == step;
        n_old -= is_old;
        at--;
        if (is_old)
            put_point(open, at, open->points[n_old], open->is_queued[n_old]);
        else
            put_point(open, at, points[n_points], is_queued);
    }
}

static bool is_same_value(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Does the trial have these very points already? */
static bool has_points(const struct trial_open *open, const struct report_message *message)
{
    for (size_t i = 0; i < message->n_points; i++) {
        size_t at = find_step(open, message->points[i].step);
        if (at == open->n_points || open->points[at].step != message->points[i].step ||
            !is_same_value(open->points[at].value, message->points[i].value))
            return false;
    }
    return true;
}

/* What the database has from this step on must go before what is in memory is stored. */
static void want_cut(struct trial_open *open, int32_t step)
{
    if (!open->has_cut || step < open->cut_step)
        open->cut_step = step;
    open->has_cut = true;
}

/* A new attempt begins where its first report says: what an earlier attempt reported from there on is gone.
 */
static void cut(struct trial_open *open, int32_t step)
{
    size_t n_points = find_step(open, step);
    if (n_points < open->n_points)
        want_cut(open, step);
    open->n_points = n_points;
}

/* Is it the first of a new attempt? Of an attempt that was loaded nobody knows: a report that brings nothing
 * new may be a repeated one. */
static bool is_first(const struct trial *trial, const struct report_message *message)
{
    const struct trial_open *open = trial->open;
    return !open->has_reported && trial->attempt > 1 && !(open->is_loaded && has_points(open, message));
}

static void take_in(struct trial *trial, const struct report_message *message)
{
    struct trial_open *open = trial->open;
    if (is_first(trial, message))
        cut(open, message->points[0].step);
    open->has_reported = true;
    merge(open, message->points, message->n_points, false);
}

void report_load(struct trial *trial, const struct report_point *points, size_t n_points)
{
    trial->open->is_loaded = true;
    merge(trial->open, points, n_points, true);
}

/* ---- to the database ---- */

/* Points of one trial on their way. */
struct parcel {
    struct change change;
    struct trial *trial;
    int64_t trial_id;
    struct op *op; /* a report whose answer waits for this, since it is `prune`; or NULL */
    struct report_point points[];
};

static void send_rest(struct study *study, struct trial *trial);

/* What was not stored goes again, with the trial's next report or its tell. */
static void give_back(struct trial_open *open, const struct parcel *parcel)
{
    const struct store_record *record = &parcel->change.record;
    for (size_t i = 0; i < record->report.n_points; i++) {
        size_t at = find_step(open, parcel->points[i].step);
        if (at < open->n_points && open->points[at].step == parcel->points[i].step)
            open->is_queued[at] = false;
    }
    if (record->report.removes_later)
        want_cut(open, parcel->points[0].step);
}

static void answer_prune(struct op *op, struct trial *trial, const struct change *change)
{
    if (change_is_done(change)) {
        if (trial->open)
            trial->open->is_told_to_prune = true;
        if (!op->answer.is_given)
            op->call->prune = true;
        op_answer(op);
    } else {
        op_fail_change(op, change);
    }
    op_settle(op);
}

/* Memory follows a row that was changed from outside, unless a change of ours is under way that will find out
 * itself. */
static void parcel_settled(void *owner)
{
    struct parcel *parcel = owner;
    struct study *study = parcel->change.study;
    struct trial *trial = parcel->trial;
    if (parcel->op)
        answer_prune(parcel->op, trial, &parcel->change);
    if (trial->open && trial->trial_id == parcel->trial_id && !study->is_deleted) {
        trial->open->n_parcels--;
        if (parcel->change.record.result == STORE_AWAY)
            give_back(trial->open, parcel);
        else if (parcel->change.record.result == STORE_CONFLICT && !trial_is_reserved(trial))
            tell_conflict(study, trial, &parcel->change.record);
        else
            send_rest(study, trial);
    }
    free(parcel);
}

/* The points from `step` on that are not on their way yet. */
static struct parcel *pack(struct trial *trial, int32_t step)
{
    struct trial_open *open = trial->open;
    size_t begin = find_step(open, step);
    struct parcel *parcel = memory_new(sizeof *parcel + (open->n_points - begin) * sizeof *parcel->points);
    struct store_record *record = &parcel->change.record;
    for (size_t i = begin; i < open->n_points; i++) {
        if (!open->is_queued[i])
            parcel->points[record->report.n_points++] = open->points[i];
        open->is_queued[i] = true;
    }
    parcel->trial = trial;
    parcel->trial_id = trial->trial_id;
    record->change = STORE_REPORT;
    record->report.trial_id = trial->trial_id;
    record->report.points = parcel->points;
    return parcel;
}

/* 0, also where there was nothing to send; or -1 where the store does not take it. */
static int send_points(struct study *study, struct trial *trial, int32_t step, bool removes_later,
                       struct op *op)
{
    struct parcel *parcel = pack(trial, step);
    parcel->change.record.report.removes_later = removes_later;
    parcel->op = op;
    if (parcel->change.record.report.n_points == 0) {
        free(parcel);
        return 0;
    }
    if (change_submit(&parcel->change, study, parcel_settled, parcel) < 0) {
        give_back(trial->open, parcel);
        free(parcel);
        return -1;
    }
    trial->open->n_parcels++;
    return 0;
}

/* The new attempt's points go first, with the removal of the old one's, then any that came for lower steps.
 */
static int send_all(struct study *study, struct trial *trial, struct op *op)
{
    struct trial_open *open = trial->open;
    if (open->has_cut) {
        bool is_all = !has_unsent(open, find_step(open, open->cut_step));
        open->has_cut = false;
        if (send_points(study, trial, open->cut_step, true, is_all ? op : NULL) < 0)
            return -1;
        if (is_all)
            return 0;
    }
    return send_points(study, trial, 0, false, op);
}

int report_flush(struct study *study, struct trial *trial)
{
    return send_all(study, trial, NULL);
}

/* One parcel of a trial at a time: what comes meanwhile goes together. Where the store takes nothing now, it
 * goes later. */
static void send_rest(struct study *study, struct trial *trial)
{
    if (trial->open->n_parcels == 0)
        (void)!send_all(study, trial, NULL);
}

/* ---- the calls ---- */

/* The trial, if this op's lease holds it, renewed; else NULL, and the call is answered or waits. */
static struct trial *find_held(struct op *op)
{
    struct trial *trial = op_find_trial(op);
    if (!trial)
        return NULL;
    if (!lease_matches(trial, op->lease)) {
        op_refuse_lease(op, trial);
        return NULL;
    }
    if (trial->stage != STAGE_HELD && trial->stage != STAGE_LAPSED) {
        op_fail(op, PROBLEM_ALREADY_FINISHED, "lease", "trial %lld was told under this lease already (%s)",
                (long long)trial->number, trial_state_names[trial->state]);
        return NULL;
    }
    lease_renew(op->study, trial);
    worker_see(trial->worker, studies_wall_us(op->studies));
    op->call->lease_s = op->study->spec->lease_s;
    return trial;
}

/* Only the answer `prune` waits until what it was decided upon is stored; then it stands. */
static void decide(struct op *op, struct trial *trial)
{
    struct trial_open *open = trial->open;
    bool is_pruned =
        open->is_told_to_prune || pruner_should_prune(op->study->spec, open->points, open->n_points);
    if (!is_pruned || open->is_told_to_prune || !has_unsent(open, open->n_points)) {
        send_rest(op->study, trial);
        op->call->prune = is_pruned;
        op_answer(op);
    } else if (send_all(op->study, trial, op) < 0) {
        change_set_refused(op->problem);
        op_answer(op);
    } else {
        op_begin_change(op);
    }
}

static void report_begin(struct op *op)
{
    struct trial *trial = find_held(op);
    if (!trial)
        return;
    if (has_points(trial->open, &op->report) && !is_first(trial, &op->report)) {
        decide(op, trial);
    } else if (studies_check_open(op->studies, op->problem) < 0) {
        op_answer(op);
    } else {
        take_in(trial, &op->report);
        decide(op, trial);
    }
}

void study_report(struct studies *studies, struct study *study, int64_t number,
                  const struct report_message *message, struct trial_call *call)
{
    struct op *op = op_new(studies, study, call, number, report_begin);
    snprintf(op->lease, sizeof op->lease, "%s", message->lease);
    op->report.n_points = message->n_points;
    op->report.points = memory_array(message->n_points, sizeof *message->points);
    memcpy(op->report.points, message->points, message->n_points * sizeof *message->points);
    if (study->spec->n_directions > 1)
        op_fail(op, PROBLEM_INVALID, "",
                "a study with several directions has no intermediate values: there is nothing "
                "to report, a heartbeat renews the lease");
    else
        report_begin(op);
    studies_end_call(studies);
}

static void heartbeat_begin(struct op *op)
{
    if (find_held(op))
        op_answer(op);
}

void study_heartbeat(struct studies *studies, struct study *study, int64_t number, const char *lease,
                     struct trial_call *call)
{
    struct op *op = op_new(studies, study, call, number, heartbeat_begin);
    snprintf(op->lease, sizeof op->lease, "%s", lease);
    heartbeat_begin(op);
    studies_end_call(studies);
}
