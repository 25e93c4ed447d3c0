/* SPDX-License-Identifier: MIT */
/* What the database brings: restarts, studies and trials of Optuna's, changes from outside. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/sampler/history.h"
#include "daemon/study/state.h"
#include "tests/unit/study_world.h"

/* A restart goes on where the last process stopped: numbers, seq, leases in full, reports, waiting trials,
 * the best. */
static void test_restart(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10, \"max_seconds\": 1000");
    struct test_offer offers[4];
    for (int i = 0; i < 4; i++)
        offers[i] = world_ask(world, study);
    world_tell(world, study, &offers[0], 3);
    world_tell(world, study, &offers[1], 2);
    world_tell_state(world, study, &offers[2], TRIAL_WAITING);
    world_report(world, study, &offers[3], 7, 0.5);
    world_pass(world, 9000);
    int64_t seq = study_seq(study);
    int64_t first_ask_us = study_first_ask_us(study);
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_true(study_seq(study) >= seq);
    assert_true(study_first_ask_us(study) == first_ask_us);
    assert_int_equal(study_counts(study)[TRIAL_COMPLETE], 2);
    assert_int_equal(study_counts(study)[TRIAL_RUNNING], 1);
    assert_int_equal(world_view(study, 3).lease_left_ms, 10000);
    int64_t best;
    assert_int_equal(study_best(study, 1, &best), 1);
    assert_int_equal(best, 1);
    assert_int_equal(world_tell_state(world, study, &offers[3], TRIAL_PRUNED), PROBLEM_NONE);
    assert_true(world_view(study, 3).values[0] == 0.5);
    struct test_offer again = world_ask(world, study);
    assert_int_equal(again.number, 2);
    assert_true(again.x == offers[2].x);
    assert_int_equal(again.attempt, 2);
    int64_t numbers[8], next;
    assert_int_equal(study_list_changed(study, seq, 1u << TRIAL_RUNNING, 8, numbers, &next), 1);
    assert_int_equal(world_ask(world, study).number, 4);
}

/* max_seconds counts from the first ask, also after a restart, and although that trial was handed out anew
 * since; where the first ask was not kept, from the earliest start that is known. */
static void test_first_ask(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_seconds\": 1000, \"lease_s\": 1000");
    struct test_offer offer = world_ask(world, study);
    int64_t first_ask_us = study_first_ask_us(study);
    world_pass(world, 300000);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_true(study_first_ask_us(study) == first_ask_us);
    offer = world_ask(world, study);
    world_pass(world, 300000);
    world_ask(world, study);
    world_rows(world, "s")->first_ask_us = 0; /* as an older studyd left it */
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_true(study_first_ask_us(study) >= first_ask_us + 299000000);
    assert_true(study_first_ask_us(study) <= first_ask_us + 300000000);
    world_ask(world, study);
    assert_true(world_rows(world, "s")->first_ask_us == study_first_ask_us(study)); /* and now it is kept */
}

/* The sampler sees the history as before: a suggestion after a restart is the one that there would have been.
 */
static void test_same_suggestion(void **state)
{
    double x[2];
    for (int i = 0; i < 2; i++) {
        struct world world;
        world_init(&world);
        struct test_call call;
        world_start_create(&world, &call,
                           "{\"name\": \"t\", \"sampler\": {\"type\": \"tpe\", \"seed\": 3}, "
                           "\"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}}",
                           false);
        world_run(&world);
        struct study *study = call.study_call.study;
        for (int n = 0; n < 15; n++) {
            struct test_offer offer = world_ask(&world, study);
            world_tell(&world, study, &offer, offer.x * offer.x);
        }
        world_ask(&world, study); /* one is open */
        if (i == 1)
            world_restart(&world);
        x[i] = world_ask(&world, studies_find(world.studies, "t")).x;
        world_deinit(&world);
    }
    assert_true(x[0] == x[1]);
    (void)state;
}

/* A study that Optuna made is continued: its derived spec is stored with the first ask, its trials are
 * history. */
static void test_optuna_study(void **state)
{
    struct world *world = *state;
    struct row_study *rows = world_optuna_study(world, "Optuna's \xc3\xbc", NULL);
    for (int i = 0; i < 3; i++)
        world_optuna_finish(world_optuna_trial(world, rows, TRIAL_RUNNING), TRIAL_COMPLETE, 3 - i);
    struct row_trial *waiting = world_optuna_trial(world, rows, TRIAL_WAITING);
    waiting->row.fixed_params = json_pack("{s:f, s:f}", "x", 0.125, "y", 1.0);
    world_optuna_trial(world, rows, TRIAL_RUNNING);
    world_restart(world);
    struct study *study = studies_find(world->studies, "Optuna's \xc3\xbc");
    assert_null(rows->spec_json);
    assert_string_equal(json_string_value(json_object_get(study_spec(study)->sampler, "type")), "tpe");
    int64_t best;
    study_best(study, 1, &best);
    assert_int_equal(best, 2);
    int64_t numbers[8], next;
    assert_int_equal(study_list_changed(study, 0, ~0u, 8, numbers, &next), 5);
    struct test_offer offer = world_ask(world, study); /* although it is the first, and waits for nothing */
    assert_int_equal(offer.number, 3);
    assert_true(offer.x == 0.125);
    assert_non_null(rows->spec_json);
    assert_int_equal(strlen(rows->uid), 32);
    assert_int_equal(world_ask(world, study).number, 5);
    world_restart(world);
    study = studies_find(world->studies, "Optuna's \xc3\xbc");
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
}

/* The history after a restart: in the order in which trials finished, without values outside the range. */
static void test_history(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer zero = world_ask(world, study);
    struct test_offer one = world_ask(world, study);
    struct row_trial *theirs = world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING);
    theirs->params[0] = 5;
    world_optuna_finish(theirs, TRIAL_COMPLETE, 1);
    world_ask(world, study);
    world_tell(world, study, &one, 1);
    world_tell(world, study, &zero, 1);
    for (int i = 0; i < 2; i++) {
        struct history_trial entry;
        assert_int_equal(history_size(study->history), 3);
        history_get(study->history, 0, &entry);
        assert_int_equal(entry.number, 2);
        assert_true(isnan(entry.params[0]) && entry.params[1] == 1);
        history_get(study->history, 1, &entry);
        assert_int_equal(entry.number, 1);
        history_get(study->history, 2, &entry);
        assert_int_equal(entry.number, 0);
        world_restart(world);
        study = studies_find(world->studies, "s");
    }
}

/* Optuna's change is known while a change of ours, with an earlier seq, is on its way: the list shows both in
 * order. */
static void test_changed_under_way(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_offer offer = world_ask(world, study);
    world_ask(world, study);
    struct test_ask ask;
    struct test_call tell;
    int64_t numbers[4], next;
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world->is_held = true;
    world_pass(world, 2000); /* a look is on its way */
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_run(world);
    int64_t seq = study_seq(study);
    world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING);
    world_settle_first(world, STORE_DONE);
    assert_int_equal(world_view(study, 2).state, TRIAL_RUNNING);
    assert_int_equal(study_list_changed(study, seq, ~0u, 4, numbers, &next), 0);
    assert_int_equal(next, seq);
    world->is_held = false;
    world_run(world);
    assert_int_equal(study_list_changed(study, seq, ~0u, 4, numbers, &next), 2);
    assert_int_equal(numbers[0], 0);
    assert_int_equal(numbers[1], 2);
}

/* A budget for a study without a spec: its derived spec is stored with it. */
static void test_budget_stores_spec(void **state)
{
    struct world *world = *state;
    struct row_study *rows = world_optuna_study(world, "s", NULL);
    world_restart(world);
    struct study *study = studies_find(world->studies, "s");
    struct test_call call;
    world_start_change(world, &call, study, &(struct study_change){.has_max_trials = true, .max_trials = 1});
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_non_null(rows->spec_json);
    struct test_offer offer = world_ask(world, study);
    world_tell(world, study, &offer, 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* No spec and no trial: there is nothing to sample. A spec that is attached helps. */
static void test_no_space(void **state)
{
    struct world *world = *state;
    world_optuna_study(world, "s", "{}");
    world_restart(world);
    struct study *study = studies_find(world->studies, "s");
    struct test_ask ask;
    struct test_call call;
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_start_enqueue(world, &call, study, "{}", NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_NO_SPACE);
    assert_int_equal(call.problem, PROBLEM_NO_SPACE);
    world_start_create(
        world, &call, "{\"name\": \"s\", \"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}}",
        true);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_false(call.study_call.was_created);
    world_ask(world, study);
}

/* Attaching a spec: trials are seen in its space; one that does not suit them is refused. */
static void test_attach(void **state)
{
    struct world *world = *state;
    struct row_study *rows = world_optuna_study(world, "s", NULL);
    world_optuna_finish(world_optuna_trial(world, rows, TRIAL_RUNNING), TRIAL_COMPLETE, 5);
    world_restart(world);
    struct test_call call;
    world_start_create(
        world, &call,
        "{\"name\": \"s\", \"space\": {\"c\": {\"type\": \"categorical\", \"choices\": [\"z\"]}}}", true);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_EXISTS);
    world_start_create(
        world, &call,
        "{\"name\": \"s\", \"space\": {\"new\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, "
        "\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 2}}, \"max_trials\": 2}",
        true);
    world_run(world);
    assert_int_equal(call.problem, PROBLEM_NONE);
    struct study *study = call.study_call.study;
    struct trial_view view = world_view(study, 0);
    assert_true(view.params[0] != view.params[0]); /* NaN: it has no such parameter */
    assert_true(view.params[1] == 1);
    assert_true(view.values[0] == 5);
    int64_t best;
    assert_int_equal(study_best(study, 1, &best), 1);
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(offer.number, 1);
    world_tell(world, study, &offer, 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* The derived spec cannot be stored: who asks is told why, and nothing spins. */
static void test_spec_refused(void **state)
{
    struct world *world = *state;
    world_optuna_study(world, "s", NULL);
    world_restart(world);
    struct study *study = studies_find(world->studies, "s");
    struct test_ask ask;
    world->fault = STORE_REFUSED;
    world->n_faults = 1;
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_STORE_REFUSED);
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_NO_SPACE);
    assert_string_equal(ask.detail, "nothing can be sampled in study \"s\": value too long");
}

/* A stored spec that this version cannot read: the study is shown, and refuses asks. */
static void test_unreadable_spec(void **state)
{
    struct world *world = *state;
    world_create(world, "s", NULL);
    struct row_study *rows = world_rows(world, "s");
    free(rows->spec_json);
    rows->spec_json = strdup("{\"name\": \"s\", \"space\": {}, \"future\": 1}");
    world_restart(world);
    struct study *study = studies_find(world->studies, "s");
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_NO_SPACE);
    assert_non_null(strstr(ask.detail, "future"));
}

/* New budgets for a study whose spec is not in memory would write over what is stored. */
static void test_budgets_without_spec(void **state)
{
    struct world *world = *state;
    const struct study_change change = {.has_max_trials = true, .max_trials = 5};
    const char *unreadable = "{\"name\": \"s\", \"space\": {}, \"future\": 1}";
    struct test_call call;
    world_create(world, "s", NULL);
    struct row_study *rows = world_rows(world, "s");
    free(rows->spec_json);
    rows->spec_json = strdup(unreadable);
    world_optuna_study(world, "empty", "{}");
    world_restart(world);
    const char *const names[] = {"s", "empty"};
    for (size_t i = 0; i < 2; i++) {
        struct study *study = studies_find(world->studies, names[i]);
        world_start_change(world, &call, study, &change);
        world_run(world);
        assert_int_equal(call.problem, PROBLEM_NO_SPACE);
        assert_int_equal(world_set_state(world, study, "paused"), PROBLEM_NONE);
    }
    assert_string_equal(rows->spec_json, unreadable);
    assert_null(world_rows(world, "empty")->spec_json);
}

/* While somebody waits, what Optuna does is seen at once, and then every 2 s. */
static void test_look(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 3");
    struct row_study *rows = world_rows(world, "s");
    struct test_offer a = world_ask(world, study);
    struct row_trial *theirs = world_optuna_trial(world, rows, TRIAL_RUNNING);
    struct test_offer c = world_ask(world, study);
    struct test_ask ask;
    assert_int_equal(c.number, 2);
    assert_int_equal(study_counts(study)[TRIAL_RUNNING], 3);
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_run(world);
    assert_int_equal(world->n_looks, 1);
    world_optuna_finish(theirs, TRIAL_COMPLETE, 0.25);
    world_pass(world, 1999);
    assert_int_equal(world_view(study, 1).state, TRIAL_RUNNING);
    world_pass(world, 1);
    assert_int_equal(world_view(study, 1).state, TRIAL_COMPLETE);
    assert_true(world_view(study, 1).values[0] == 0.25);
    int64_t best;
    study_best(study, 1, &best);
    assert_int_equal(best, 1);
    assert_false(ask.is_done);
    world_tell(world, study, &a, 1);
    world_tell(world, study, &c, 1);
    assert_string_equal(ask.state, "finished");
    int64_t n_looks = world->n_looks;
    world_pass(world, 60000);
    assert_int_equal(world->n_looks, n_looks); /* nobody waits: nobody looks */
    world_optuna_trial(world, rows, TRIAL_RUNNING);
    study_watch(study); /* but who reads is shown what is there, the next time he reads */
    study_watch(study);
    world_run(world);
    assert_int_equal(world_view(study, 3).state, TRIAL_RUNNING);
    world_pass(world, 60000);
    assert_int_equal(world->n_looks, n_looks + 1);
}

/* However many are open a look reads 128 at most: what Optuna runs is seen each time, ours in turns. */
static void test_look_in_turns(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 1000");
    struct row_study *rows = world_rows(world, "s");
    struct row_trial *theirs[2];
    struct test_ask ask;
    for (int i = 0; i < 2; i++) {
        world_start_ask(world, &ask, study, "w", 100, 0, NULL);
        world_run(world);
        assert_int_equal(ask.n_offers, 100);
        theirs[i] = world_optuna_trial(world, rows, TRIAL_RUNNING);
    }
    world_optuna_finish(world_row(world, "s", 99), TRIAL_FAIL, 0);
    for (int i = 0; i < 4; i++) { /* 202 open ones, 64 in a look */
        study_watch(study);
        world_run(world);
        assert_int_equal(world->n_most_looked_at, 64);
        world_pass(world, 2000);
    }
    assert_int_equal(world->n_looks, 4);
    assert_int_equal(study_counts(study)[TRIAL_FAIL], 1);
    for (int i = 0; i < 2; i++) {
        world_optuna_finish(theirs[i], TRIAL_COMPLETE, 1);
        study_watch(study);
        world_run(world);
        world_pass(world, 2000);
        assert_int_equal(study_counts(study)[TRIAL_COMPLETE], i + 1);
    }
}

/* An ask that comes upon what Optuna has enqueued gets that, not a new number behind it. */
static void test_enqueued_by_optuna(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct row_study *rows = world_rows(world, "s");
    struct test_ask asks[3];
    world_ask(world, study);
    for (int i = 0; i < 2; i++) {
        struct row_trial *row = world_optuna_trial(world, rows, TRIAL_WAITING);
        row->row.fixed_params = json_pack("{s:f}", "x", 0.125);
    }
    for (int i = 0; i < 3; i++)
        world_start_ask(world, &asks[i], study, "w", 1, 10, NULL);
    world_run(world);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asks[i].n_offers, 1);
        assert_int_equal(asks[i].offers[0].number, i + 1);
        assert_int_equal(asks[i].offers[0].x == 0.125, i < 2);
    }
}

/* An enqueued trial of Optuna's is given out; one that Optuna takes first is left to it. */
static void test_optuna_takes_waiting(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_call enqueued;
    world_start_enqueue(world, &enqueued, study, "{}", NULL);
    world_run(world);
    struct row_trial *row = world_row(world, "s", 0);
    row->row.state = TRIAL_RUNNING; /* popped behind our back */
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(offer.number, 1);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    assert_int_equal(world_view(study, 0).lease_left_ms, -1);
    assert_false(world_view(study, 0).is_ours);
    world_pass(world, 600000);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING); /* never failed by us */
    world_restart(world);
    study = studies_find(world->studies, "s");
    assert_int_equal(world_view(study, 0).lease_left_ms, -1);
}

/* Somebody told our trial with Optuna, or removed it: the tell is refused, and memory follows. */
static void test_changed_outside(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer told = world_ask(world, study);
    struct test_offer gone = world_ask(world, study);
    struct test_offer lapsed = world_ask(world, study);
    world_optuna_finish(world_row(world, "s", 0), TRIAL_COMPLETE, 4);
    world_row(world, "s", 1)->is_gone = true;
    assert_int_equal(world_tell(world, study, &told, 1), PROBLEM_ALREADY_FINISHED);
    assert_true(world_view(study, 0).values[0] == 4);
    assert_int_equal(world_tell(world, study, &gone, 1), PROBLEM_NOT_FOUND);
    struct trial_view view;
    assert_int_equal(study_get_trial(study, 1, &view), -1);
    world_optuna_finish(world_row(world, "s", 2), TRIAL_COMPLETE, 5);
    world_pass(world, 10000);
    assert_int_equal(world_ask(world, study).number, 3); /* the lapsed one was told outside, and found out */
    assert_true(world_view(study, 2).values[0] == 5);
    assert_int_equal(world_report(world, study, &lapsed, 1, 1), PROBLEM_ALREADY_FINISHED);
    struct test_offer again = world_ask(world, study);
    world_tell_state(world, study, &again, TRIAL_WAITING);
    again = world_ask(world, study);
    world_optuna_finish(world_row(world, "s", again.number), TRIAL_COMPLETE, 6);
    for (int i = 0; i < 2; i++) /* although an earlier lease has told just that */
        assert_int_equal(world_tell_state(world, study, &again, TRIAL_WAITING), PROBLEM_ALREADY_FINISHED);
    struct test_offer reported = world_ask(world, study);
    world_optuna_finish(world_row(world, "s", reported.number), TRIAL_FAIL, 0);
    assert_int_equal(world_report(world, study, &reported, 1, 1), PROBLEM_NONE); /* answered from memory */
    assert_int_equal(world_view(study, reported.number).state, TRIAL_FAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_restart),
        T(test_first_ask),
        T(test_same_suggestion),
        T(test_optuna_study),
        T(test_no_space),
        T(test_attach),
        T(test_spec_refused),
        T(test_unreadable_spec),
        T(test_budgets_without_spec),
        T(test_look),
        T(test_look_in_turns),
        T(test_enqueued_by_optuna),
        T(test_history),
        T(test_changed_under_way),
        T(test_budget_stores_spec),
        T(test_optuna_takes_waiting),
        T(test_changed_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
