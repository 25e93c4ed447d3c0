/* SPDX-License-Identifier: MIT */
/* Calls that meet: a repeated request behind the first one, a study that is deleted under an ask, a store
 * that takes nothing just now. */
#include <string.h>

#include "tests/unit/study_world.h"

/* An ask of all studies that is repeated while the first waits gets the first one's trial; where the first
 * got nothing it goes on by itself. */
static void test_ask_of_all_repeated(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_offer offer = world_ask(world, study);
    struct test_ask first, second;
    world->is_held = true;
    world_start_ask(world, &first, NULL, "w", 1, 0, "one");
    world_start_ask(world, &second, NULL, "w", 1, 0, "one");
    world->is_held = false;
    world_run(world);
    assert_int_equal(first.n_offers, 1);
    assert_int_equal(second.n_offers, 1);
    assert_string_equal(first.offers[0].lease, second.offers[0].lease);
    world_start_ask(world, &first, NULL, "w", 1, 1, "two");
    world_start_ask(world, &second, NULL, "w", 1, 10, "two");
    world_pass(world, 1500);
    assert_string_equal(first.state, "waiting");
    assert_false(second.is_done);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    assert_int_equal(second.n_offers, 1);
    assert_int_equal(second.offers[0].number, 0);
}

/* An enqueue that is repeated while the first is under way, which then fails, enqueues the trial itself. */
static void test_enqueue_repeated(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_call first, second;
    world->is_held = true;
    world_start_enqueue(world, &first, study, "{\"x\": 0.5}", "one");
    world_start_enqueue(world, &second, study, "{\"x\": 0.5}", "one");
    world_run(world);
    world->is_held = false;
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_STORE_AWAY);
    assert_true(second.is_done);
    assert_int_equal(second.problem, PROBLEM_NONE);
    assert_int_equal(second.call.number, 0);
    assert_int_equal(world_rows(world, "s")->n_trials, 1);
}

/* An enqueue in a study of Optuna's, whose spec the store does not take just now, is answered 503. */
static void test_enqueue_spec_not_taken(void **state)
{
    struct world *world = *state;
    world_optuna_trial(world, world_optuna_study(world, "o", NULL), TRIAL_RUNNING);
    world_restart(world);
    struct study *study = studies_find(world->studies, "o");
    struct test_call call;
    world->takes_nothing = true;
    world_start_enqueue(world, &call, study, "{\"x\": 0.5}", NULL);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_STORE_AWAY);
    world->takes_nothing = false;
    world_start_enqueue(world, &call, study, "{\"x\": 0.5}", NULL);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_int_equal(call.call.number, 1);
}

/* A study is deleted while an ask of all studies has one of its trials and waits for another: the answer
 * still names the study. */
static void test_deleted_under_ask(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    struct test_call deleted;
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world->is_sampler_held = true;
    world_start_ask(world, &ask, NULL, "w", 2, 0, NULL);
    world_start_delete(world, &deleted, study, true);
    world_run(world);
    assert_int_equal(deleted.problem, PROBLEM_NONE);
    assert_false(ask.is_done);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
    assert_string_equal(ask.offers[0].study, "s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_ask_of_all_repeated),
        T(test_enqueue_repeated),
        T(test_enqueue_spec_not_taken),
        T(test_deleted_under_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
