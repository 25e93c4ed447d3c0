/* SPDX-License-Identifier: MIT */
/* Budgets are exact, also where they are lowered while trials are in the making. That no number lies beyond
 * the max_trials that was stored before it, the world's store checks with each trial. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/study_world.h"

static const struct study_change to_three = {.has_max_trials = true, .max_trials = 3};

/* What is on its way while the budget is lowered. */
struct traffic {
    struct test_ask asks[3];
    struct test_call enqueued;
};

#define N_WANTED 8 /* trials, in all */

static void start_traffic(struct world *world, struct study *study, struct traffic *traffic)
{
    static const int64_t counts[] = {4, 1, 2};
    for (size_t i = 0; i < 3; i++)
        world_start_ask(world, &traffic->asks[i], study, "w", counts[i], 1, NULL);
    world_start_enqueue(world, &traffic->enqueued, study, "{\"x\": 0.5}", NULL);
}

static size_t count_offers(const struct traffic *traffic)
{
    size_t n = 0;
    for (size_t i = 0; i < 3; i++)
        n += traffic->asks[i].n_offers;
    return n;
}

/* Tells all that was given out; the last tell ends the study. */
static void tell_all(struct world *world, struct study *study, struct traffic *traffic)
{
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < traffic->asks[i].n_offers; j++)
            assert_int_equal(world_tell(world, study, &traffic->asks[i].offers[j], 1), PROBLEM_NONE);
    }
    while (study_counts(study)[TRIAL_WAITING]) {
        struct test_offer offer = world_ask(world, study);
        world_tell(world, study, &offer, 1);
    }
}

/* The change is begun after so many steps on the way of the drafts, and runs to its end; false where they
 * were through before. */
static bool lower_after(struct world *world, const char *name, int n_steps)
{
    struct study *study = world_create(world, name, NULL);
    struct traffic traffic;
    struct test_call call;
    start_traffic(world, study, &traffic);
    bool is_quiet = false;
    for (int i = 0; i < n_steps && !is_quiet; i++)
        is_quiet = !world_step(world);
    size_t n_sent = world_rows(world, name)->n_trials + world->n_queued;
    world_start_change(world, &call, study, &to_three);
    world_pass(world, 2000);
    assert_int_equal(call.problem, PROBLEM_NONE);
    size_t n_rows = world_rows(world, name)->n_trials;
    assert_int_equal(n_rows, n_sent > 3 ? n_sent : 3); /* what was on its way before, no more */
    assert_int_equal(count_offers(&traffic) + (traffic.enqueued.problem == PROBLEM_NONE), n_rows);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(traffic.asks[i].problem, PROBLEM_NONE);
    if (traffic.enqueued.problem)
        assert_non_null(strstr(traffic.enqueued.detail, "raise max_trials"));
    tell_all(world, study, &traffic);
    assert_int_equal(study_state(study), STUDY_FINISHED);
    return !is_quiet;
}

/* max_trials is lowered at each moment of the drafts' way: queued, being sampled, at the store, in memory. */
static void test_lowered_at_each_moment(void **state)
{
    char name[16] = "s0";
    int n_steps = 0;
    for (; lower_after(*state, name, n_steps); n_steps++)
        snprintf(name, sizeof name, "s%d", n_steps + 1);
    assert_true(n_steps > 5); /* there were as many moments */
}

/* The change is stored while the sampler computes: what it brings beyond the new budget is not sent. */
static void test_lowered_while_sampled(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct traffic traffic;
    struct test_call call;
    world->is_sampler_held = true;
    start_traffic(world, study, &traffic);
    world_start_change(world, &call, study, &to_three);
    world_run(world);
    assert_true(call.is_done);
    assert_int_equal(world_rows(world, "s")->n_trials, 0);
    world->is_sampler_held = false;
    world_pass(world, 1500);
    assert_int_equal(world_rows(world, "s")->n_trials, 3);
    assert_int_equal(traffic.enqueued.problem, PROBLEM_STUDY_STOPPED);
}

/* The change waits at the store while the sampler ends: nothing overtakes it, and nothing is lost where it
 * comes to nothing. */
static void test_lowered_at_store(void **state)
{
    struct world *world = *state;
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        const char *name = is_refused ? "refused" : "stored";
        struct study *study = world_create(world, name, NULL);
        struct traffic traffic;
        struct test_call call;
        world->is_sampler_held = world->is_held = true;
        start_traffic(world, study, &traffic);
        world_start_change(world, &call, study, &to_three);
        world->is_sampler_held = false;
        world_run(world);
        assert_false(call.is_done);
        world->n_faults = is_refused;
        world->fault = STORE_REFUSED;
        world->is_held = false;
        world_pass(world, 1500);
        assert_int_equal(call.problem, is_refused ? PROBLEM_STORE_REFUSED : PROBLEM_NONE);
        assert_int_equal(world_rows(world, name)->n_trials, is_refused ? N_WANTED : 3);
    }
}

/* Drafts that met strangers are made again, and then lie beyond the new budget. */
static void test_lowered_among_strangers(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct traffic traffic;
    struct test_call call;
    world->is_held = true;
    start_traffic(world, study, &traffic);
    world_run(world); /* all are at the store, 0 and 1 in vain */
    for (int i = 0; i < 2; i++)
        world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING);
    world_start_change(world, &call, study, &to_three);
    world->is_held = false;
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_int_equal(world_rows(world, "s")->n_trials, N_WANTED);
}

/* Paused or stopped, or its time over, while trials are being sampled: none starts any more. */
static void test_ended_while_sampled(void **state)
{
    struct world *world = *state;
    static const struct study_change changes[] = {
        {.state = "paused"}, {.state = "stopped"}, {.has_max_seconds = true, .max_seconds = 0.5}};
    static const char *const states[] = {"paused", "stopped", "finished"};
    for (size_t i = 0; i < 3; i++) {
        char name[4] = {(char)('a' + i)};
        struct study *study = world_create(world, name, NULL);
        struct test_offer first = world_ask(world, study);
        struct test_ask ask;
        struct test_call call;
        world_tell(world, study, &first, 1);
        world_pass(world, 1000);
        world->is_sampler_held = true;
        world_start_ask(world, &ask, study, "w", 2, 1, NULL);
        world_start_change(world, &call, study, &changes[i]);
        world_run(world);
        assert_int_equal(call.problem, PROBLEM_NONE);
        world->is_sampler_held = false;
        world_run(world);
        assert_int_equal(world_rows(world, name)->n_trials, 1);
        world_pass(world, 1000);
        assert_true(ask.is_done);
        assert_string_equal(ask.state, states[i]);
    }
}

/* A trial that is open again does not overtake a pause or a stop either; it goes out where the change comes
 * to nothing. */
static void test_restart_waits_for_change(void **state)
{
    struct world *world = *state;
    static const char *const states[] = {"paused", "stopped", "refused"};
    for (size_t i = 0; i < 3; i++) {
        struct study *study = world_create(world, states[i], "\"max_trials\": 1");
        struct test_offer offer = world_ask(world, study);
        struct test_ask ask;
        struct test_call call;
        world_tell_state(world, study, &offer, TRIAL_WAITING);
        world->is_held = true;
        world_start_change(world, &call, study, &(struct study_change){.state = i ? "stopped" : "paused"});
        world_start_ask(world, &ask, study, "w", 1, 1, NULL);
        world_run(world);
        world->n_faults = i == 2;
        world->fault = STORE_REFUSED;
        world->is_held = false;
        world_run(world);
        assert_int_equal(call.problem, i == 2 ? PROBLEM_STORE_REFUSED : PROBLEM_NONE);
        world_pass(world, 1000);
        assert_true(ask.is_done);
        assert_int_equal(ask.n_offers, i == 2);
        assert_int_equal(world_row(world, states[i], 0)->row.state, i == 2 ? TRIAL_RUNNING : TRIAL_WAITING);
    }
}

/* The time ends while a change is under way, behind which a trial that is open again waits: that still goes
 * out. */
static void test_restart_after_time(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_seconds\": 1");
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    struct test_call call;
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world->is_held = true;
    world_start_change(world, &call, study, &(struct study_change){.has_max_trials = true, .max_trials = 5});
    world_start_ask(world, &ask, study, "w", 1, 3, NULL);
    world_pass(world, 2000);
    world->is_held = false;
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(ask.offers[0].attempt, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_lowered_at_each_moment),  T(test_lowered_while_sampled), T(test_lowered_at_store),
        T(test_lowered_among_strangers), T(test_ended_while_sampled),   T(test_restart_waits_for_change),
        T(test_restart_after_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
