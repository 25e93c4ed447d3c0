/* SPDX-License-Identifier: MIT */
/* What a trial that was handed out may live through: tells, leases, retries, reports. */
#include <math.h>
#include <string.h>

#include "daemon/pruner/pruner.h"
#include "tests/unit/study_world.h"

/* The pruner's word, in place of the real one: prune from this many points on. */
static size_t prune_from = SIZE_MAX;
bool __wrap_pruner_should_prune(const struct spec *spec, const struct report_point *points, size_t n_points);
bool __wrap_pruner_should_prune(const struct spec *spec, const struct report_point *points, size_t n_points)
{
    (void)spec;
    (void)points;
    return n_points >= prune_from;
}

static int setup(void **state)
{
    prune_from = SIZE_MAX;
    return world_setup(state);
}

/* A complete trial: answered when committed, with its value, its times and seqs, and whether it is the best.
 */
static void test_complete(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world->is_held = true;
    world_start_tell(world, &call, study, 0, offer.lease, TRIAL_COMPLETE, 0.5);
    world_run(world);
    assert_false(call.is_done);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world->is_held = false;
    world_run(world);
    assert_true(call.is_done && call.call.is_best);
    assert_int_equal(call.call.state, TRIAL_COMPLETE);
    struct trial_view view = world_view(study, 0);
    assert_int_equal(view.state, TRIAL_COMPLETE);
    assert_true(view.values[0] == 0.5);
    assert_true(view.finished_seq > view.asked_seq && view.asked_seq > view.sampled_seq);
    assert_int_equal(view.seq, view.finished_seq);
    assert_int_equal(study_seq(study), view.seq);
    assert_int_equal(world_row(world, "s", 0)->n_results, 1);
    offer = world_ask(world, study);
    world_start_tell(world, &call, study, 1, offer.lease, TRIAL_COMPLETE, 0.6);
    world_run(world);
    assert_false(call.call.is_best);
}

/* Who comes back after his trial was handed on reports nothing, and keeps no lease. */
static void test_superseded(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer superseded = world_ask(world, study);
    world_pass(world, 10000);
    struct test_offer holder = world_ask(world, study);
    struct test_call beat;
    world_pass(world, 9000);
    assert_int_equal(world_report(world, study, &superseded, 1, 1), PROBLEM_LEASE_SUPERSEDED);
    world_start_heartbeat(world, &beat, study, 0, superseded.lease);
    world_run(world);
    assert_int_equal(beat.problem, PROBLEM_LEASE_SUPERSEDED);
    assert_int_equal(world_view(study, 0).lease_left_ms, 1000);
    assert_int_equal(world_tell(world, study, &holder, 1), PROBLEM_NONE);
    assert_int_equal(world_report(world, study, &superseded, 1, 1), PROBLEM_ALREADY_FINISHED);
}

/* Repeated tells are known after a restart, too: of a result, and of a trial handed back. */
static void test_repeat_after_restart(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer told = world_ask(world, study);
    struct test_offer back = world_ask(world, study);
    world_tell(world, study, &told, 1);
    world_tell_state(world, study, &back, TRIAL_WAITING);
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_int_equal(world_tell(world, study, &told, 1), PROBLEM_NONE);
    assert_int_equal(world_tell(world, study, &told, 2), PROBLEM_ALREADY_FINISHED);
    assert_int_equal(world_tell_state(world, study, &back, TRIAL_WAITING), PROBLEM_NONE);
    assert_int_equal(world_tell(world, study, &back, 1), PROBLEM_ALREADY_FINISHED);
    struct test_offer again = world_ask(world, study);
    assert_int_equal(again.number, 1);
    assert_int_equal(world_tell_state(world, study, &back, TRIAL_WAITING), PROBLEM_LEASE_SUPERSEDED);
    assert_int_equal(world_row(world, "s", 1)->row.retries, 0); /* handing back spends none */
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_int_equal(world_tell(world, study, &again, 1),
                     PROBLEM_NONE); /* the earlier lease's outcome is not this one's */
}

/* A second tell of a trial whose first is under way waits for it, and gets what the rule says then. */
static void test_second_tell_waits(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call first, same, other, beat;
    world->is_held = true;
    world_start_tell(world, &first, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_start_tell(world, &same, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_start_tell(world, &other, study, 0, offer.lease, TRIAL_COMPLETE, 2);
    world_start_heartbeat(world, &beat, study, 0, offer.lease);
    world_run(world);
    assert_false(first.is_done || same.is_done || other.is_done || beat.is_done);
    assert_int_equal(world->n_queued, 1);
    world->is_held = false;
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_NONE);
    assert_int_equal(same.problem, PROBLEM_NONE);
    assert_int_equal(same.call.state, TRIAL_COMPLETE);
    assert_int_equal(other.problem, PROBLEM_ALREADY_FINISHED);
    assert_int_equal(beat.problem, PROBLEM_ALREADY_FINISHED);
}

/* When the first is dropped by the store, the second that waited is the one that counts. */
static void test_second_tell_takes_over(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call first, other;
    world->is_held = true;
    world_start_tell(world, &first, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_start_tell(world, &other, study, 0, offer.lease, TRIAL_COMPLETE, 2);
    world_run(world);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world->is_held = false;
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_STORE_AWAY);
    assert_int_equal(other.problem, PROBLEM_NONE);
    assert_true(world_view(study, 0).values[0] == 2);
}

/* Not committed in 5 s: 503, once, for whoever waits; the result counts all the same. */
static void test_slow_tell(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call first, second;
    world->is_held = true;
    world_start_tell(world, &first, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_start_tell(world, &second, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_pass(world, 5000);
    assert_int_equal(first.problem, PROBLEM_STORE_AWAY);
    assert_int_equal(second.problem, PROBLEM_STORE_AWAY);
    world->is_held = false;
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_COMPLETE);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
}

/* A tell that was dropped after the lease had run out in its shadow: the lease starts afresh, and lapses
 * then. */
static void test_dropped_tell_renews(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer offer = world_ask(world, study);
    struct test_call tell;
    world->is_held = true;
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_pass(world, 20000);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world->is_held = false;
    world_run(world);
    world_pass(world, 9999);
    assert_int_equal(world_view(study, 0).lease_left_ms, 1);
    world_pass(world, 1);
    assert_int_equal(world_view(study, 0).lease_left_ms, 0);
}

/* An infrastructure failure is tried again with the same parameters while there are retries, the objective's
 * own is not. */
static void test_failures(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"retries\": 1, \"max_trials\": 2");
    struct test_offer own = world_ask(world, study);
    struct test_offer oom = world_ask(world, study);
    struct test_call call;
    assert_int_equal(world_fail(world, study, &own, FAILURE_OBJECTIVE), PROBLEM_NONE);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
    assert_string_equal(world_row(world, "s", 0)->failure, "objective");
    world_start_fail(world, &call, study, 1, oom.lease, FAILURE_OOM);
    world_run(world);
    assert_int_equal(call.call.state, TRIAL_WAITING);
    assert_int_equal(world_view(study, 1).state, TRIAL_WAITING);
    struct test_offer again = world_ask(world, study);
    assert_int_equal(again.number, 1);
    assert_int_equal(again.attempt, 2);
    assert_true(again.x == oom.x && again.n == oom.n);
    world_start_fail(world, &call, study, 1, again.lease, FAILURE_OOM);
    world_run(world);
    assert_int_equal(call.call.state, TRIAL_FAIL);
    assert_string_equal(world_row(world, "s", 1)->failure, "oom");
    assert_string_equal(world_row(world, "s", 1)->reason, "it broke");
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* Which classes are tried again, and that a restart in between forgets neither the class nor that a retry is
 * spent. */
static void test_failure_classes(void **state)
{
    struct world *world = *state;
    static const bool is_again[] = {
        [FAILURE_OBJECTIVE] = false, [FAILURE_NAN] = false,   [FAILURE_OOM] = true,
        [FAILURE_TIMEOUT] = true,    [FAILURE_KILLED] = true, [FAILURE_LOST] = true};
    struct study *study = world_create(world, "s", "\"retries\": 1");
    for (int i = 0; trial_failure_names[i]; i++) {
        struct test_offer offer = world_ask(world, study);
        assert_int_equal(world_fail(world, study, &offer, (enum trial_failure)i), PROBLEM_NONE);
        assert_int_equal(world_view(study, i).state, is_again[i] ? TRIAL_WAITING : TRIAL_FAIL);
        assert_string_equal(world_row(world, "s", i)->failure, trial_failure_names[i]);
        world_restart(world);
        study = studies_find(world->studies, "s");
        if (!is_again[i])
            continue;
        offer = world_ask(world, study);
        assert_int_equal(offer.number, i);
        assert_int_equal(offer.attempt, 2);
        world_fail(world, study, &offer, (enum trial_failure)i);
        assert_int_equal(world_view(study, i).state, TRIAL_FAIL);
    }
}

/* A told NaN is a failure of class nan; a wrong number of values is a mistake of the client. */
static void test_values(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call = {.call = {.done = NULL}};
    double two[] = {1, 2};
    struct tell_message message = {
        .lease = offer.lease, .state = TRIAL_COMPLETE, .n_values = 2, .values = two};
    world_start_heartbeat(world, &call, study, 0, offer.lease);
    world_run(world);
    call.is_done = false;
    study_tell(world->studies, study, 0, &message, &call.call);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_INVALID);
    assert_string_equal(call.call.problem.field, "value");
    for (int i = 0; i < 2; i++) {
        world_start_tell(world, &call, study, 0, offer.lease, TRIAL_COMPLETE, NAN);
        world_run(world);
        assert_int_equal(call.problem, PROBLEM_NONE);
        assert_int_equal(call.call.state, TRIAL_FAIL);
        assert_string_equal(call.call.reason, "nan: the objective's value is NaN");
    }
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
    assert_string_equal(world_row(world, "s", 0)->failure, "nan");
    offer = world_ask(world, study);
    world_start_tell(world, &call, study, 1, offer.lease, TRIAL_COMPLETE, 1);
    world_run(world);
    assert_null(call.call.reason);
}

/* A pruned trial's value is its last report's, unless that is NaN. */
static void test_pruned(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    for (int i = 0; i < 2; i++) {
        struct test_offer offer = world_ask(world, study);
        assert_int_equal(world_report(world, study, &offer, 5, 0.75), PROBLEM_NONE);
        assert_int_equal(world_report(world, study, &offer, 2, 0.25), PROBLEM_NONE);
        if (i == 1)
            assert_int_equal(world_report(world, study, &offer, 9, NAN), PROBLEM_NONE);
        assert_int_equal(world_tell_state(world, study, &offer, TRIAL_PRUNED), PROBLEM_NONE);
    }
    assert_int_equal(world_view(study, 0).n_values, 1);
    assert_true(world_view(study, 0).values[0] == 0.75);
    assert_int_equal(world_view(study, 1).n_values, 0);
    assert_int_equal(study_best(study, 0, NULL), 0); /* only complete trials are best */
}

/* A trial that is never told is handed on until its retries are spent, then it is FAIL, lost, with a reason
 * for people. */
static void test_lost(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 1, \"max_trials\": 1");
    struct test_offer first = world_ask(world, study);
    struct test_ask ask;
    world_start_ask(world, &ask, study, "other", 1, 60, NULL);
    world_pass(world, 9999);
    assert_false(ask.is_done);
    world_pass(world, 1);
    assert_int_equal(ask.offers[0].number, 0);
    struct row_trial *row = world_row(world, "s", 0);
    assert_int_equal(row->row.retries, 1);
    assert_string_equal(row->failure, "lost"); /* of the attempt that is over */
    assert_string_equal(row->reason, "worker w was silent for 10 s in attempt 1");
    world_pass(world, 10000);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
    assert_string_equal(row->failure, "lost");
    assert_string_equal(row->reason, "worker other was silent for 10 s in attempt 2, which was the last");
    assert_int_equal(world_tell(world, study, &first, 1), PROBLEM_ALREADY_FINISHED);
    struct test_offer second = ask.offers[0];
    assert_int_equal(world_tell(world, study, &second, 1), PROBLEM_ALREADY_FINISHED);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* What a lost trial has reported is stored ahead of its end, also what waited for an earlier report to be
 * stored. */
static void test_lost_with_reports(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 0");
    struct test_offer offer = world_ask(world, study);
    world->is_held = true;
    assert_int_equal(world_report(world, study, &offer, 1, 0.5), PROBLEM_NONE);
    assert_int_equal(world_report(world, study, &offer, 2, 0.25), PROBLEM_NONE);
    world_pass(world, 10000);
    world->is_held = false;
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 2);
}

/* When failing a lost trial does not work, it is tried again later. */
static void test_lost_again(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 0");
    world_ask(world, study);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world_pass(world, 10000);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world_pass(world, 10000);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
}

/* The same where the database takes longer than a lease to say no. */
static void test_lost_slowly(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 0");
    world_ask(world, study);
    world->is_held = true;
    world_pass(world, 25000);
    world->is_held = false;
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world_pass(world, 10000);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
}

/* Reports and heartbeats renew the lease, a lapsed one too. */
static void test_renewal(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world_pass(world, 9000);
    assert_int_equal(world_report(world, study, &offer, 1, 1), PROBLEM_NONE);
    world_pass(world, 9000);
    assert_int_equal(world_view(study, 0).lease_left_ms, 1000);
    world_start_heartbeat(world, &call, study, 0, offer.lease);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_true(call.call.lease_s == 10);
    assert_string_equal(call.call.study_state, "running");
    assert_int_equal(world_view(study, 0).lease_left_ms, 10000);
    world_pass(world, 20000);
    assert_int_equal(world_view(study, 0).lease_left_ms, 0);
    world_start_heartbeat(world, &call, study, 0, offer.lease);
    world_run(world);
    assert_int_equal(world_view(study, 0).lease_left_ms, 10000);
    assert_int_equal(world_ask(world, study).number, 1); /* it is held again: not handed on */
}

/* While the store is away nothing lapses, heartbeats renew, changes are refused; back, each lease is a full
 * one. */
static void test_away(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer offer = world_ask(world, study);
    struct test_call beat, report, tell;
    world_pass(world, 9000);
    world_lose_store(world);
    world_pass(world, 100000);
    world_start_heartbeat(world, &beat, study, 0, offer.lease);
    world_start_report(world, &report, study, 0, offer.lease, 1, 1);
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_run(world);
    assert_int_equal(beat.problem, PROBLEM_NONE);
    assert_int_equal(report.problem, PROBLEM_STORE_AWAY);
    assert_int_equal(tell.problem, PROBLEM_STORE_AWAY);
    world_pass(world, 100000);
    world_find_store(world);
    world_pass(world, 9999);
    assert_int_equal(world_view(study, 0).lease_left_ms, 1);
    world_pass(world, 1);
    assert_int_equal(world_view(study, 0).lease_left_ms, 0);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
}

/* A report is answered before its commit, and is in the database at the latest with the tell. */
static void test_report_is_fast(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call tell;
    world->is_held = true;
    for (int step = 0; step < 5; step++)
        assert_int_equal(world_report(world, study, &offer, step, step), PROBLEM_NONE);
    assert_int_equal(world->n_queued, 1); /* what came while the first was under way goes together */
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_run(world);
    assert_int_equal(world->n_queued, 3);
    world->is_held = false;
    world_run(world);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 5);
    assert_int_equal(world_view(study, 0).state, TRIAL_COMPLETE);
}

/* A repeated step changes nothing, whatever its value. */
static void test_report_again(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_report(world, study, &offer, 1, 0.5), PROBLEM_NONE);
    assert_int_equal(world_report(world, study, &offer, 1, 0.9), PROBLEM_NONE);
    const struct row_trial *row = world_row(world, "s", 0);
    assert_int_equal(row->row.n_points, 1);
    assert_true(row->points[0].value == 0.5);
}

/* Points that come for steps before, between and behind those that are there take their places; a step that
 * is there keeps its value. */
static void test_report_between(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    const int32_t there[] = {0, 2, 4, 7};
    const struct report_point points[] = {{1, 10}, {3, 30}, {4, 40}, {6, 60}, {8, 80}};
    const double expected[] = {0, 10, 2, 30, 4, 60, 7, 80};
    struct test_call call;
    for (int i = 0; i < 4; i++)
        world_report(world, study, &offer, there[i], there[i]);
    world_start_points(world, &call, study, 0, offer.lease, 5, points);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    const struct row_trial *row = world_row(world, "s", 0);
    assert_int_equal(row->row.n_points, 8);
    for (int i = 0; i < 8; i++)
        assert_true(row->points[i].value == expected[i]);
}

/* A report whose record is dropped is sent again, ahead of the tell. */
static void test_report_dropped(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    assert_int_equal(world_report(world, study, &offer, 1, 0.5), PROBLEM_NONE);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 0);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 1);
}

/* The first report of a new attempt removes that step and later ones, in memory and in the database. */
static void test_report_of_new_attempt(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    for (int step = 0; step < 6; step++)
        world_report(world, study, &offer, step, step);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    struct test_offer again = world_ask(world, study);
    world->fault = STORE_AWAY; /* also when it has to be sent twice */
    world->n_faults = 1;
    assert_int_equal(world_report(world, study, &again, 3, 33), PROBLEM_NONE);
    assert_int_equal(world_report(world, study, &again, 4, 44), PROBLEM_NONE);
    const struct row_trial *row = world_row(world, "s", 0);
    assert_int_equal(row->row.n_points, 5);
    assert_true(row->points[2].value == 2 && row->points[3].value == 33 && row->points[4].value == 44);
    assert_int_equal(world_tell_state(world, study, &again, TRIAL_PRUNED), PROBLEM_NONE);
    assert_true(world_view(study, 0).values[0] == 44);
}

/* The same where it says just what the attempt before said: its later steps are gone, and none of them
 * becomes a pruned trial's value. A report that is repeated after a restart removes nothing. */
static void test_same_report_of_new_attempt(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    for (int step = 1; step <= 3; step++)
        world_report(world, study, &offer, step, step);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    offer = world_ask(world, study);
    assert_int_equal(world_report(world, study, &offer, 1, 1), PROBLEM_NONE);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 1);
    world_report(world, study, &offer, 2, 2);
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_int_equal(world_report(world, study, &offer, 1, 1), PROBLEM_NONE);
    assert_int_equal(world_row(world, "s", 0)->row.n_points, 2);
    world_tell_state(world, study, &offer, TRIAL_PRUNED);
    assert_true(world_view(study, 0).values[0] == 2);
}

/* A removal that was dropped is still due when yet another attempt begins at a later step. */
static void test_report_cut_twice(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 9");
    struct test_offer offer = world_ask(world, study);
    for (int step = 0; step < 6; step++)
        world_report(world, study, &offer, step, step);
    world_pass(world, 10000);
    offer = world_ask(world, study);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world_report(world, study, &offer, 1, 11);
    world_pass(world, 10000);
    offer = world_ask(world, study);
    world_report(world, study, &offer, 5, 55);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
    const struct row_trial *row = world_row(world, "s", 0);
    assert_int_equal(row->row.n_points, 3);
    assert_true(row->points[0].value == 0 && row->points[1].value == 11 && row->points[2].value == 55);
}

/* "prune" is answered when what it rests on is stored, and stands. */
static void test_prune(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    prune_from = 2;
    world->is_held = true;
    world_start_report(world, &call, study, 0, offer.lease, 1, 1);
    world_run(world);
    assert_true(call.is_done && !call.call.prune);
    world_start_report(world, &call, study, 0, offer.lease, 2, 1);
    world_run(world);
    assert_false(call.is_done);
    world->is_held = false;
    world_run(world);
    assert_true(call.is_done && call.call.prune);
    prune_from = SIZE_MAX;
    world_start_report(world, &call, study, 0, offer.lease, 3, 1);
    world_run(world);
    assert_true(call.call.prune);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    offer = world_ask(world, study);
    world_start_report(world, &call, study, 0, offer.lease, 1, 2);
    world_run(world);
    assert_false(call.call.prune); /* another attempt, another decision */
}

/* Several directions: no reports, two values, and the Pareto front as the best. */
static void test_directions(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"directions\": [\"minimize\", \"maximize\"]");
    static const double values[][2] = {{1, 1}, {2, 2}, {2, 1}, {0, 0}, {1, 1}, {0, 3}};
    for (size_t i = 0; i < 5; i++) {
        struct test_offer offer = world_ask(world, study);
        struct tell_message message = {
            .lease = offer.lease, .state = TRIAL_COMPLETE, .n_values = 2, .values = (double *)values[i]};
        struct test_call call;
        assert_int_equal(world_report(world, study, &offer, 1, 1), PROBLEM_INVALID);
        world_start_heartbeat(world, &call, study, offer.number, offer.lease);
        world_run(world);
        call.is_done = false;
        study_tell(world->studies, study, offer.number, &message, &call.call);
        world_run(world);
        assert_int_equal(call.problem, PROBLEM_NONE);
    }
    int64_t best[8];
    assert_int_equal(study_best(study, 8, best), 4);
    assert_int_equal(best[0], 0);
    assert_int_equal(best[1], 1);
    assert_int_equal(best[2], 3);
    assert_int_equal(best[3], 4);
}

/* An infeasible trial is never the best; of equal ones it is the lowest number. */
static void test_best(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"directions\": [\"maximize\"]");
    static const double values[] = {5, 7, 7, 9};
    for (size_t i = 0; i < 4; i++) {
        struct test_offer offer = world_ask(world, study);
        double constraint = i == 3 ? 0.5 : -1;
        struct tell_message message = {.lease = offer.lease,
                                       .state = TRIAL_COMPLETE,
                                       .n_values = 1,
                                       .values = (double *)&values[i],
                                       .n_constraints = 1,
                                       .constraints = &constraint};
        struct test_call call;
        world_start_heartbeat(world, &call, study, offer.number, offer.lease);
        world_run(world);
        call.is_done = false;
        study_tell(world->studies, study, offer.number, &message, &call.call);
        world_run(world);
        assert_int_equal(call.call.is_best, i < 2);
    }
    int64_t best;
    assert_int_equal(study_best(study, 1, &best), 1);
    assert_int_equal(best, 1);
}

/* The list of workers: what they hold, what they told, when they were seen; forgotten after an hour. */
static void test_workers(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 7200");
    struct test_ask a, b;
    struct worker_view views[4];
    world_start_ask(world, &b, study, "b", 2, 0, NULL);
    world_start_ask(world, &a, study, "a", 1, 0, NULL);
    world_run(world);
    world_tell(world, study, &b.offers[0], 1);
    world_fail(world, study, &a.offers[0], FAILURE_OBJECTIVE);
    assert_int_equal(studies_workers(world->studies, 4, views), 2);
    assert_string_equal(views[0].name, "a");
    assert_int_equal(views[0].n_running, 0);
    assert_int_equal(views[0].n_fail, 1);
    assert_int_equal(views[1].n_running, 1);
    assert_int_equal(views[1].n_complete, 1);
    world_pass(world, 3599000);
    world_report(world, study, &b.offers[1], 1, 1);
    world_pass(world, 2000);
    assert_int_equal(studies_workers(world->studies, 4, views), 1);
    assert_string_equal(views[0].name, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
        T(test_complete),
        T(test_superseded),
        T(test_repeat_after_restart),
        T(test_second_tell_waits),
        T(test_second_tell_takes_over),
        T(test_slow_tell),
        T(test_failures),
        T(test_failure_classes),
        T(test_values),
        T(test_pruned),
        T(test_lost),
        T(test_lost_with_reports),
        T(test_lost_again),
        T(test_lost_slowly),
        T(test_renewal),
        T(test_away),
        T(test_report_is_fast),
        T(test_report_again),
        T(test_report_between),
        T(test_report_dropped),
        T(test_report_of_new_attempt),
        T(test_same_report_of_new_attempt),
        T(test_report_cut_twice),
        T(test_prune),
        T(test_dropped_tell_renews),
        T(test_directions),
        T(test_best),
        T(test_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
