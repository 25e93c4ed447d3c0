/* SPDX-License-Identifier: MIT */
/* Leases while studyd itself stands still: who could not be heard has not been silent. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/study_world.h"

/* No tick comes for so long. */
static void stand_still(struct world *world, int64_t ms)
{
    world->now_ms += ms;
    world_run(world);
}

/* studyd stood still for longer than any lease: none lapses at once, each has its full time, and lapses when
 * that is over; also where there are no retries, so that to lapse is to fail. */
static void test_stood_still(void **state)
{
    struct world *world = *state;
    for (int retries = 0; retries < 2; retries++) {
        char name[] = {(char)('a' + retries), '\0'};
        char more[60];
        snprintf(more, sizeof more, "\"lease_s\": 10, \"max_trials\": 3, \"retries\": %d", retries);
        struct study *study = world_create(world, name, more);
        struct test_offer offers[3];
        struct test_ask ask;
        struct test_call call;
        for (int i = 0; i < 3; i++)
            offers[i] = world_ask(world, study);
        world_pass(world, 4000);
        stand_still(world, 60000);
        for (int i = 0; i < 3; i++)
            assert_int_equal(world_view(study, i).lease_left_ms, 10000);
        world_start_ask(world, &ask, study, "other", 1, 9.9, NULL);
        world_pass(world, 9990);
        assert_string_equal(ask.state, "waiting");
        world_start_heartbeat(world, &call, study, 1, offers[1].lease);
        world_pass(world, 10);
        assert_int_equal(call.problem, PROBLEM_NONE);
        assert_int_equal(world_view(study, 0).lease_left_ms, retries ? 0 : -1);
        assert_int_equal(world_view(study, 0).state, retries ? TRIAL_RUNNING : TRIAL_FAIL);
        assert_int_equal(world_view(study, 1).lease_left_ms, 9990);
        assert_int_equal(world_tell(world, study, &offers[1], 1), PROBLEM_NONE);
        if (retries)
            assert_int_equal(world_ask(world, study).attempt, 2);
        world_set_state(world, study, "stopped");
    }
}

/* As long as a lease is as long as matters, whenever it began: the shortest lease, renewed right before. */
static void test_as_long_as_lease(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 1");
    struct test_offer offer = world_ask(world, study);
    for (int begin_ms = 0; begin_ms < 1000; begin_ms += 50) {
        struct test_call call;
        world_pass(world, begin_ms);
        world_start_heartbeat(world, &call, study, 0, offer.lease);
        world_run(world);
        stand_still(world, 1000);
        assert_int_equal(world_view(study, 0).lease_left_ms, 1000);
    }
}

/* A loop that is busy for a moment has heard everybody: who was silent lapses. */
static void test_busy_moment(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    world_ask(world, study);
    world_pass(world, 9700);
    stand_still(world, 400);
    assert_int_equal(world_view(study, 0).lease_left_ms, 0);
}

/* What had lapsed before stays so: somebody else may have it. */
static void test_lapsed_before(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    world_ask(world, study);
    world_pass(world, 10000);
    struct test_offer other = world_ask(world, study);
    world_pass(world, 10000);
    stand_still(world, 60000);
    assert_int_equal(world_view(study, other.number).lease_left_ms, 0);
    assert_int_equal(world_ask(world, study).number, other.number);
}

/* A study that is stopped hands nothing on: what lapses then fails, retries or not. */
static void test_lapse_in_a_stopped_study(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 5");
    world_ask(world, study);
    world_set_state(world, study, "stopped");
    world_pass(world, 9000);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world_pass(world, 1000);
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
}

/* So does what had lapsed before it was stopped; a pause alone is no end. */
static void test_stopped_after_a_lapse(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"retries\": 5");
    world_ask(world, study);
    world_pass(world, 10000);
    world_set_state(world, study, "paused");
    world_pass(world, 60000);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world_set_state(world, study, "stopped");
    world_pass(world, 10000);
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_stood_still),   T(test_as_long_as_lease),         T(test_busy_moment),
        T(test_lapsed_before), T(test_lapse_in_a_stopped_study), T(test_stopped_after_a_lapse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
