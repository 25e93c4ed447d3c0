/* SPDX-License-Identifier: MIT */
/* Studies: creating, changing, finishing, deleting; enqueued trials; the list of changes. */
#include <math.h>
#include <string.h>

#include "daemon/study/state.h"
#include "tests/unit/study_world.h"

#define SPACE_XN                                                                                      \
    "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, \"n\": {\"type\": \"int\", \"low\": 1, " \
    "\"high\": 10}}"
#define SPEC(more) "{\"name\": \"s\", \"space\": " SPACE_XN more "}"

static enum problem_type create(struct world *world, struct test_call *call, const char *spec, bool exist_ok)
{
    world_start_create(world, call, spec, exist_ok);
    world_run(world);
    assert_true(call->is_done);
    return call->problem;
}

static enum problem_type change(struct world *world, struct study *study, const struct study_change *change)
{
    struct test_call call;
    world_start_change(world, &call, study, change);
    world_run(world);
    assert_true(call.is_done);
    return call.problem;
}

static enum problem_type delete (struct world *world, struct study *study, bool force) {
    struct test_call call; world_start_delete(world, &call, study, force); world_run(world);
    assert_true(call.is_done);
    return call.problem;
}

/* A study is there when it is committed; its stored spec has the sampler's defaults. */
static void test_create(void **state)
{
    struct world *world = *state;
    struct test_call call;
    world->is_held = true;
    world_start_create(world, &call, SPEC(""), false);
    world_run(world);
    assert_false(call.is_done);
    assert_null(studies_find(world->studies, "s"));
    world->is_held = false;
    world_run(world);
    assert_true(call.study_call.was_created);
    assert_ptr_equal(studies_find(world->studies, "s"), call.study_call.study);
    assert_int_equal(strlen(study_uid(call.study_call.study)), 32);
    assert_non_null(strstr(world_rows(world, "s")->spec_json, "\"version\""));
}

/* The name exists: 409, or with exist_ok the same study for an equal spec, 409 with the first difference for
 * another. */
static void test_exists(void **state)
{
    struct world *world = *state;
    struct test_call call;
    assert_int_equal(create(world, &call, SPEC(", \"sampler\": {\"type\": \"tpe\", \"seed\": 1}"), false),
                     PROBLEM_NONE);
    assert_int_equal(create(world, &call, SPEC(""), false), PROBLEM_EXISTS);
    assert_int_equal(create(world, &call, SPEC(""), true), PROBLEM_NONE); /* a drawn seed equals any */
    assert_false(call.study_call.was_created);
    assert_int_equal(create(world, &call, SPEC(", \"retries\": 9"), true), PROBLEM_EXISTS);
    assert_string_equal(call.study_call.problem.field, "retries");
    assert_int_equal(create(world, &call, SPEC(", \"pruner\": {\"type\": \"nopp\"}"), true), PROBLEM_INVALID);
}

/* Two calls create one name at the same time: the second waits, and finds the study; or creates it when the
 * first fails. */
static void test_create_twice(void **state)
{
    struct world *world = *state;
    struct test_call first, second;
    world_start_create(world, &first, SPEC(""), false);
    world_start_create(world, &second, SPEC(""), true);
    world->fault = STORE_REFUSED;
    world->n_faults = 1;
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_STORE_REFUSED);
    assert_int_equal(second.problem, PROBLEM_NONE);
    assert_true(second.study_call.was_created);
    assert_int_equal(studies_count(world->studies), 1);
}

/* Raising the budget of a finished study makes it run again; "running" without that is refused. */
static void test_raise_budget(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_offer offer = world_ask(world, study);
    world_tell(world, study, &offer, 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
    assert_int_equal(change(world, study, &(struct study_change){.state = "running"}), PROBLEM_INVALID);
    assert_int_equal(change(world, study, &(struct study_change){.state = "paused"}), PROBLEM_INVALID);
    assert_int_equal(change(world, study, &(struct study_change){.has_max_trials = true, .max_trials = 0}),
                     PROBLEM_INVALID);
    assert_int_equal(change(world, study, &(struct study_change){.has_max_trials = true, .max_trials = 2}),
                     PROBLEM_NONE);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    assert_null(study_reason(study));
    offer = world_ask(world, study);
    assert_int_equal(offer.number, 1);
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_int_equal(study_spec(study)->max_trials, 2);
    world_tell(world, study, &offer, 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* Lowering the budget below what is given out gives nothing more, and finishes when the open ones are told.
 */
static void test_lower_budget(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer a = world_ask(world, study);
    struct test_offer b = world_ask(world, study);
    change(world, study, &(struct study_change){.has_max_trials = true, .max_trials = 1});
    world_tell(world, study, &a, 1);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    world_tell(world, study, &b, 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* A PATCH that leaves nothing to do is answered "finished", with the reason, in the one change; also where
 * the study was paused, or finished for another reason before. */
static void test_budget_reached_already(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 4");
    for (int i = 0; i < 3; i++) {
        struct test_offer offer = world_ask(world, study);
        world_tell(world, study, &offer, 1);
    }
    world_set_state(world, study, "paused");
    struct study_change two = {.has_max_trials = true, .max_trials = 2};
    assert_int_equal(change(world, study, &two), PROBLEM_NONE);
    assert_int_equal(study_state(study), STUDY_PAUSED);
    struct test_call call;
    int64_t seq = study_seq(study);
    world_start_change(world, &call, study, &(struct study_change){.state = "running"});
    while (!call.is_done)
        assert_true(world_step(world));
    assert_int_equal(study_state(study), STUDY_FINISHED);
    assert_string_equal(study_reason(study), "max_trials reached (2)");
    assert_int_equal(study_seq(study), seq + 1);
    struct study_change one = {.has_max_trials = true, .max_trials = 1};
    assert_int_equal(change(world, study, &one), PROBLEM_NONE);
    assert_string_equal(study_reason(study), "max_trials reached (1)");
    assert_string_equal(world_rows(world, "s")->state, "finished");
    assert_string_equal(world_rows(world, "s")->reason, "max_trials reached (1)");
}

/* When so many trials have failed the study stops, with the reason, and what is on its way is not handed out;
 * it goes on with a larger limit alone. Open trials may end. */
static void test_too_many_fail(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_failed_trials\": 2");
    struct test_offer offers[3];
    struct test_ask waiting;
    for (int i = 0; i < 3; i++)
        offers[i] = world_ask(world, study);
    world_fail(world, study, &offers[0], FAILURE_OBJECTIVE);
    world_tell(world, study, &offers[1], 1);
    struct test_offer again = world_ask(world, study);
    world_fail(world, study, &again, FAILURE_OOM); /* which is tried again */
    assert_int_equal(study_state(study), STUDY_RUNNING);
    again = world_ask(world, study);
    world->is_sampler_held = true;
    world_start_ask(world, &waiting, study, "w", 1, 60, NULL);
    world_tell(world, study, &again, NAN);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(study_state(study), STUDY_STOPPED);
    assert_string_equal(study_reason(study), "max_failed_trials reached (2)");
    assert_string_equal(world_rows(world, "s")->reason, "max_failed_trials reached (2)");
    assert_string_equal(waiting.state, "stopped");
    assert_int_equal(world_rows(world, "s")->n_trials, 4);
    assert_int_equal(world_tell(world, study, &offers[2], 1), PROBLEM_NONE);
    assert_int_equal(world_set_state(world, study, "running"), PROBLEM_INVALID);
    struct study_change three = {.state = "running", .has_max_failed_trials = true, .max_failed_trials = 3};
    assert_int_equal(change(world, study, &three), PROBLEM_NONE);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    assert_null(study_reason(study));
    struct study_change one = {.has_max_failed_trials = true, .max_failed_trials = 1};
    assert_int_equal(change(world, study, &one), PROBLEM_NONE);
    assert_int_equal(study_state(study), STUDY_STOPPED);
    assert_string_equal(study_reason(study), "max_failed_trials reached (1)");
    assert_int_equal(world_set_state(world, study, "paused"), PROBLEM_NONE);
    assert_int_equal(world_set_state(world, study, "stopped"), PROBLEM_NONE);
    assert_string_equal(study_reason(study), "stopped by request");
}

/* A PATCH changes the trials' time limit as it does the budgets: stored with the spec, null is none. */
static void test_change_timeout(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"trial_timeout_s\": 60");
    static const double limits[] = {0.5, -1};
    for (size_t i = 0; i < 2; i++) {
        struct study_change to = {.has_trial_timeout_s = true, .trial_timeout_s = limits[i]};
        assert_int_equal(change(world, study, &to), PROBLEM_NONE);
        world_restart(world);
        study = studies_find(world->studies, "s");
        assert_true(study_spec(study)->trial_timeout_s == limits[i]);
    }
    struct study_change wrong = {.has_trial_timeout_s = true, .trial_timeout_s = 0};
    assert_int_equal(change(world, study, &wrong), PROBLEM_INVALID);
    assert_int_equal(study_state(study), STUDY_RUNNING);
}

/* Attributes are merged; a second change waits for the first. */
static void test_change_attrs(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    json_t *one = json_pack("{s:i, s:i}", "a", 1, "b", 1);
    json_t *two = json_pack("{s:i}", "b", 2);
    struct test_call first, second;
    world_start_change(world, &first, study, &(struct study_change){.user_attrs = one, .state = "paused"});
    world_start_change(world, &second, study, &(struct study_change){.user_attrs = two});
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_NONE);
    assert_int_equal(second.problem, PROBLEM_NONE);
    assert_int_equal(json_integer_value(json_object_get(study_user_attrs(study), "a")), 1);
    assert_int_equal(json_integer_value(json_object_get(world_rows(world, "s")->user_attrs, "b")), 2);
    assert_string_equal(world_rows(world, "s")->state, "paused");
    json_decref(one);
    json_decref(two);
}

/* A running study with trials is deleted by force alone; who waits is told, and the name is free at once. */
static void test_delete(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    struct test_call tell, call;
    world_start_ask(world, &ask, study, "w", 1, 60, "id");
    world_run(world);
    assert_int_equal(delete (world, study, false), PROBLEM_INVALID);
    world->is_held = true;
    world_start_delete(world, &call, study, true);
    world_start_tell(world, &tell, study, offer.number, offer.lease, TRIAL_COMPLETE, 1);
    world->is_held = false;
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_int_equal(ask.problem, PROBLEM_NOT_FOUND);
    assert_int_equal(tell.problem, PROBLEM_NOT_FOUND);
    assert_null(studies_find(world->studies, "s"));
    study = world_create(world, "s", NULL);
    assert_int_equal(delete (world, study, false), PROBLEM_NONE); /* an empty one */
    study = world_create(world, "s", NULL);
    world_ask(world, study);
    world_set_state(world, study, "stopped");
    assert_int_equal(delete (world, study, false), PROBLEM_NONE);
}

/* Deleted while a suggestion and records are under way: everything ends, nothing is left. */
static void test_delete_under_way(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask sampled, queued;
    struct test_call call;
    world->is_sampler_held = true;
    world_start_ask(world, &sampled, study, "w", 2, 60, NULL);
    world_start_delete(world, &call, study, true);
    world_start_ask(world, &queued, study, "w", 2, 60, "id");
    world_run(world);
    assert_true(call.is_done);
    assert_false(sampled.is_done);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(sampled.problem, PROBLEM_NOT_FOUND);
    assert_int_equal(queued.problem, PROBLEM_NOT_FOUND);
}

/* Somebody else deleted the study in the database: it is gone here, too. */
static void test_vanished_study(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct row_study *rows = world_rows(world, "s");
    rows->study_id = -1; /* not found any more */
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_NOT_FOUND);
    assert_null(studies_find(world->studies, "s"));
}

/* Enqueue counts as a number, is repeatable also after the trial was handed out and studyd restarted. */
static void test_enqueue(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_call call;
    world_start_enqueue(world, &call, study, "{\"x\": 2}", NULL);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_INVALID); /* outside the range */
    world_start_enqueue(world, &call, study, "{\"x\": 0.5, \"c\": \"b\"}", "e1");
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_int_equal(call.call.number, 0);
    assert_int_equal(world_view(study, 0).state, TRIAL_WAITING);
    world_restart(world);
    study = studies_find(world->studies, "s");
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, "a1");
    world_run(world);
    assert_int_equal(ask.offers[0].number, 0);
    assert_true(ask.offers[0].x == 0.5);
    assert_string_equal(ask.offers[0].c, "b");
    for (int i = 0; i < 2; i++) {
        world_start_enqueue(world, &call, study, "{\"x\": 0.5, \"c\": \"b\"}", "e1");
        world_run(world);
        assert_int_equal(call.call.number, 0);
        world_start_ask(world, &ask, study, "w", 1, 0, "a1");
        world_run(world);
        assert_int_equal(ask.offers[0].number, 0);
        world_restart(world);
        study = studies_find(world->studies, "s");
    }
    world_start_enqueue(world, &call, study, "{}", "e1");
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_REQUEST_ID_REUSED);
    world_start_enqueue(world, &call, study, "{}", NULL);
    world_run(world);
    assert_int_equal(call.call.number, 1);
    world_start_enqueue(world, &call, study, "{}", NULL);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_STUDY_STOPPED);
}

/* Enqueued behind asks that are still being sampled: numbers go out in order all the same. */
static void test_enqueue_behind_asks(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask ask;
    struct test_call call, stopped;
    world->is_sampler_held = true;
    world_start_ask(world, &ask, study, "w", 2, 0, NULL);
    world_start_enqueue(world, &call, study, "{}", "e");
    world_start_enqueue(world, &stopped, study, "{}", "e");
    world_run(world);
    assert_false(call.is_done);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(call.call.number, 2);
    assert_int_equal(stopped.call.number, 2);
    assert_int_equal(world_rows(world, "s")->n_trials, 3);
    world_set_state(world, study, "stopped");
    world_start_enqueue(world, &stopped, study, "{}", NULL);
    world_run(world);
    assert_int_equal(stopped.problem, PROBLEM_STUDY_STOPPED);
}

/* The list of changes: in the order of the last change, by pages, filtered by state, and never ahead of a
 * commit. */
static void test_changed(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offers[4];
    int64_t numbers[10], next;
    for (int i = 0; i < 4; i++)
        offers[i] = world_ask(world, study);
    world_tell(world, study, &offers[1], 1);
    assert_int_equal(study_list_changed(study, 0, ~0u, 10, numbers, &next), 4);
    assert_int_equal(numbers[0], 0);
    assert_int_equal(numbers[3], 1);
    assert_int_equal(next, study_seq(study));
    assert_int_equal(study_list_changed(study, next, ~0u, 10, numbers, &next), 0);
    assert_int_equal(next, study_seq(study));
    assert_int_equal(study_list_changed(study, 0, ~0u, 2, numbers, &next), 2);
    assert_int_equal(study_list_changed(study, next, ~0u, 2, numbers, &next), 2);
    assert_int_equal(numbers[1], 1);
    assert_int_equal(study_list_changed(study, 0, 1u << TRIAL_COMPLETE, 10, numbers, &next), 1);
    assert_int_equal(numbers[0], 1);
    for (int i = 0; i < 40; i++) { /* many changes of few trials: the log is compacted */
        world_tell_state(world, study, &offers[0], TRIAL_WAITING);
        offers[0] = world_ask(world, study);
    }
    assert_int_equal(study_list_changed(study, 0, ~0u, 10, numbers, &next), 4);
    assert_int_equal(numbers[3], 0);
    assert_true(study->changed.n_entries < 30);
}

/* Whole trials: those that are still there, with the reports of open ones from memory; 503 while the store is
 * away. */
struct read_result {
    bool is_done;
    enum problem_type problem;
    size_t n_trials, n_points, n_values;
    enum trial_state state; /* of the last one */
    int64_t seq;
    char reason[64];
};

static void read_done(struct trials_call *call)
{
    struct read_result *result = call->user;
    result->is_done = true;
    result->problem = call->problem.type;
    result->n_trials = call->n_trials;
    for (size_t i = 0; i < call->n_trials; i++) {
        result->n_points += call->cold[i].n_points;
        result->n_values += call->views[i].n_values;
        result->state = call->views[i].state;
        result->seq = call->views[i].seq;
        if (call->cold[i].reason)
            snprintf(result->reason, sizeof result->reason, "%s", call->cold[i].reason);
    }
}

static void test_read(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer open = world_ask(world, study);
    struct test_offer failed = world_ask(world, study);
    world_fail(world, study, &failed, FAILURE_OBJECTIVE);
    world_report(world, study, &open, 1, 1);
    world->is_held = true;
    world_report(world, study, &open, 2, 1);
    const int64_t numbers[] = {0, 1, 5};
    struct read_result result = {0};
    struct trials_call call = {.done = read_done, .user = &result};
    study_read_trials(world->studies, study, 3, numbers, &call);
    assert_false(result.is_done);
    world->is_held = false;
    world_run(world);
    assert_int_equal(result.n_trials, 2);
    assert_int_equal(result.n_points, 2);
    assert_string_equal(result.reason, "it broke");
    world_lose_store(world);
    result = (struct read_result){0};
    call = (struct trials_call){.done = read_done, .user = &result};
    study_read_trials(world->studies, study, 3, numbers, &call);
    world_run(world);
    assert_int_equal(result.problem, PROBLEM_STORE_AWAY);
}

/* A trial that ends while it is read may have been read before its end: it is shown as it was, as a whole. */
static void test_read_while_told(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    int64_t seq = world_view(study, 0).seq;
    struct test_call tell;
    struct read_result result = {0};
    struct trials_call call = {.done = read_done, .user = &result};
    world->is_held = true;
    study_read_trials(world->studies, study, 1, (const int64_t[]){0}, &call);
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_settle_first(world, STORE_DONE);
    world->is_held = false;
    world_run(world);
    assert_true(tell.is_done && result.is_done);
    assert_int_equal(result.state, TRIAL_RUNNING);
    assert_int_equal(result.n_values, 0);
    assert_int_equal(result.seq, seq);
    result = (struct read_result){0};
    call = (struct trials_call){.done = read_done, .user = &result};
    study_read_trials(world->studies, study, 1, (const int64_t[]){0}, &call);
    world_run(world);
    assert_int_equal(result.state, TRIAL_COMPLETE);
    assert_int_equal(result.n_values, 1);
    assert_true(result.seq > seq);
}

/* An idle daemon asks to be woken for nothing. */
static void test_idle(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    world_tell(world, study, &offer, 1);
    world_pass(world, 700000); /* the sampler was dropped */
    assert_int_equal(world->wake_ms, INT64_MAX);
    world_ask(world, study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_create),           T(test_exists),
        T(test_create_twice),     T(test_raise_budget),
        T(test_lower_budget),     T(test_budget_reached_already),
        T(test_too_many_fail),    T(test_change_timeout),
        T(test_change_attrs),     T(test_delete),
        T(test_delete_under_way), T(test_vanished_study),
        T(test_enqueue),          T(test_enqueue_behind_asks),
        T(test_changed),          T(test_read),
        T(test_read_while_told),  T(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
