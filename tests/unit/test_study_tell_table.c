/* SPDX-License-Identifier: MIT */
/* What a tell gets, a row for each case of the table in daemon/study/tell.c: at once, and after a restart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/study_world.h"

#define LEASE_MS 10000

/* ---- what has become of the trial when the tell comes: each gives the offer that it comes with ---- */

static struct test_offer current(struct world *world, struct study *study)
{
    return world_ask(world, study);
}

static struct test_offer unknown(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    memset(offer.lease, '0', 32);
    return offer;
}

static struct test_offer lapsed(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    world_pass(world, LEASE_MS);
    assert_int_equal(world_view(study, 0).lease_left_ms, 0);
    return offer;
}

static struct test_offer told(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
    return offer;
}

static struct test_offer failed(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_fail(world, study, &offer, FAILURE_OBJECTIVE), PROBLEM_NONE);
    return offer;
}

/* It will be tried again. */
static struct test_offer killed(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_fail(world, study, &offer, FAILURE_KILLED), PROBLEM_NONE);
    assert_int_equal(world_view(study, 0).state, TRIAL_WAITING);
    return offer;
}

static struct test_offer handed_back(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_tell_state(world, study, &offer, TRIAL_WAITING), PROBLEM_NONE);
    return offer;
}

static struct test_offer superseded(struct world *world, struct study *study)
{
    struct test_offer offer = lapsed(world, study);
    assert_int_equal(world_ask(world, study).attempt, 2);
    return offer;
}

static struct test_offer superseded_after_killed(struct world *world, struct study *study)
{
    struct test_offer offer = killed(world, study);
    assert_int_equal(world_ask(world, study).attempt, 2);
    return offer;
}

static struct test_offer superseded_and_told(struct world *world, struct study *study)
{
    struct test_offer offer = lapsed(world, study);
    struct test_offer next = world_ask(world, study);
    assert_int_equal(world_tell(world, study, &next, 1), PROBLEM_NONE);
    return offer;
}

static struct test_offer lost(struct world *world, struct study *study)
{
    struct test_offer offer = superseded(world, study);
    offer = world_ask(world, study); /* another trial; of the first one the retries are spent */
    world_pass(world, LEASE_MS);
    assert_int_equal(world_view(study, 0).state, TRIAL_FAIL);
    offer.number = 0;
    return offer;
}

static struct test_offer gone(struct world *world, struct study *study)
{
    struct test_offer offer = world_ask(world, study);
    offer.number = 7;
    return offer;
}

/* ---- what is told ---- */

static enum problem_type tell_value(struct world *world, struct study *study, const struct test_offer *offer)
{
    return world_tell(world, study, offer, 1);
}

static enum problem_type tell_other(struct world *world, struct study *study, const struct test_offer *offer)
{
    return world_tell(world, study, offer, 2);
}

static enum problem_type tell_pruned(struct world *world, struct study *study, const struct test_offer *offer)
{
    return world_tell_state(world, study, offer, TRIAL_PRUNED);
}

static enum problem_type tell_back(struct world *world, struct study *study, const struct test_offer *offer)
{
    return world_tell_state(world, study, offer, TRIAL_WAITING);
}

static enum problem_type tell_failure(struct world *world, struct study *study,
                                      const struct test_offer *offer)
{
    return world_fail(world, study, offer, FAILURE_OBJECTIVE);
}

static enum problem_type tell_killed(struct world *world, struct study *study, const struct test_offer *offer)
{
    return world_fail(world, study, offer, FAILURE_KILLED);
}

/* ---- the table ---- */

static const struct {
    struct test_offer (*prepare)(struct world *world, struct study *study);
    enum problem_type (*tell)(struct world *world, struct study *study, const struct test_offer *offer);
    enum problem_type gets;
    enum trial_state becomes; /* of trial 0 */
} rows[] = {
    {current, tell_value, PROBLEM_NONE, TRIAL_COMPLETE},
    {current, tell_pruned, PROBLEM_NONE, TRIAL_PRUNED},
    {current, tell_failure, PROBLEM_NONE, TRIAL_FAIL},
    {current, tell_killed, PROBLEM_NONE, TRIAL_WAITING},
    {current, tell_back, PROBLEM_NONE, TRIAL_WAITING},
    {unknown, tell_value, PROBLEM_LEASE_SUPERSEDED, TRIAL_RUNNING},

    {lapsed, tell_value, PROBLEM_NONE, TRIAL_COMPLETE},
    {lapsed, tell_killed, PROBLEM_NONE, TRIAL_WAITING},

    {told, tell_value, PROBLEM_NONE, TRIAL_COMPLETE},
    {told, tell_other, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {told, tell_pruned, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {told, tell_failure, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {told, tell_back, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {failed, tell_failure, PROBLEM_NONE, TRIAL_FAIL},
    {failed, tell_killed, PROBLEM_ALREADY_FINISHED, TRIAL_FAIL},
    {failed, tell_value, PROBLEM_ALREADY_FINISHED, TRIAL_FAIL},

    {killed, tell_killed, PROBLEM_NONE, TRIAL_WAITING},
    {killed, tell_value, PROBLEM_ALREADY_FINISHED, TRIAL_WAITING},
    {handed_back, tell_back, PROBLEM_NONE, TRIAL_WAITING},
    {handed_back, tell_value, PROBLEM_ALREADY_FINISHED, TRIAL_WAITING},

    {superseded, tell_value, PROBLEM_LEASE_SUPERSEDED, TRIAL_RUNNING},
    {superseded, tell_back, PROBLEM_LEASE_SUPERSEDED, TRIAL_RUNNING},
    {superseded_after_killed, tell_killed, PROBLEM_LEASE_SUPERSEDED, TRIAL_RUNNING},
    {superseded_and_told, tell_value, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {superseded_and_told, tell_other, PROBLEM_ALREADY_FINISHED, TRIAL_COMPLETE},
    {lost, tell_value, PROBLEM_ALREADY_FINISHED, TRIAL_FAIL},

    {gone, tell_value, PROBLEM_NOT_FOUND, TRIAL_RUNNING},
};

/* `is_restarted`: studyd dies between what became of the trial and the tell, and again after it. */
static void assert_row(struct world *world, size_t i, bool is_restarted)
{
    char name[16];
    snprintf(name, sizeof name, "s%zu", i);
    struct study *study = world_create(world, name, "\"lease_s\": 10, \"retries\": 1");
    struct test_offer offer = rows[i].prepare(world, study);
    int n_results = world_row(world, name, 0)->n_results;
    if (is_restarted)
        world_restart(world);
    study = studies_find(world->studies, name);
    enum problem_type gets = rows[i].tell(world, study, &offer);
    if (gets != rows[i].gets)
        fail_msg("row %zu%s: problem %d instead of %d", i, is_restarted ? " after a restart" : "", (int)gets,
                 (int)rows[i].gets);
    if (is_restarted)
        world_restart(world);
    study = studies_find(world->studies, name);
    assert_int_equal(world_view(study, 0).state, rows[i].becomes);
    bool is_over = rows[i].becomes != TRIAL_RUNNING && rows[i].becomes != TRIAL_WAITING;
    assert_int_equal(world_row(world, name, 0)->n_results, is_over ? 1 : 0);
    assert_true(n_results == 0 || n_results == world_row(world, name, 0)->n_results);
}

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_row(*state, i, false);
}

static void test_table_after_restart(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_row(*state, i, true);
}

/* Of a study that was deleted, and of one of the same name that was made since: nothing is told there. */
static void test_deleted(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world_start_delete(world, &call, study, true);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_null(studies_find(world->studies, "s")); /* http answers 404 */
    study = world_create(world, "s", NULL);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NOT_FOUND);
    world_ask(world, study);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_LEASE_SUPERSEDED);
    assert_int_equal(world_row(world, "s", 0)->n_results, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_table_after_restart, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_deleted, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
