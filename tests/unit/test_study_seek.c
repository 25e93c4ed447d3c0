/* SPDX-License-Identifier: MIT */
/* Studies that Optuna makes, fills and deletes while we serve. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/sampler/history.h"
#include "daemon/study/state.h"
#include "tests/unit/study_rows.h"
#include "tests/unit/study_world.h"

#define TWO_PARAMS                                                     \
    "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, \"n\": {" \
    "\"type\": \"int\", \"low\": 1, \"high\": 10}}"

static struct study *find(struct world *world, const char *name)
{
    return studies_find(world->studies, name);
}

/* Somebody asks for what is not here. */
static void seek(struct world *world)
{
    studies_seek(world->studies);
    world_pass(world, LOOK_INTERVAL_MS);
}

static void add_complete(struct world *world, struct row_study *rows, double value)
{
    world_optuna_finish(world_optuna_trial(world, rows, TRIAL_RUNNING), TRIAL_COMPLETE, value);
}

/* Optuna has got further: the study has these parameters now, trials with all of them included. */
static void grow_space(struct row_study *rows, const char *space)
{
    json_decref(rows->space);
    rows->space = json_loads(space, 0, NULL);
    rows->n_params = json_object_size(rows->space);
    for (size_t i = 0; i < rows->n_trials; i++) {
        rows->trials[i]->row.n_params = rows->n_params;
        for (size_t j = 0; j < rows->n_params; j++)
            rows->trials[i]->params[j] = 1;
    }
}

/* ---- coming ---- */

/* A new study is here within 2 s of somebody's asking for it, with its trials, and can be asked. */
static void test_appears(void **state)
{
    struct world *world = *state;
    struct row_study *rows = world_optuna_study(world, "theirs", NULL);
    add_complete(world, rows, 3);
    assert_null(find(world, "theirs"));
    seek(world);
    struct study *study = find(world, "theirs");
    assert_non_null(study);
    assert_int_equal(study_counts(study)[TRIAL_COMPLETE], 1);
    int64_t best;
    assert_int_equal(study_best(study, 1, &best), 1);
    assert_int_equal(world_ask(world, study).number, 1);
    world_restart(world);
    assert_int_equal(world_ask(world, find(world, "theirs")).number, 2);
}

/* However many ask, there is one look in 2 s; and none where nobody does. */
static void test_bounded(void **state)
{
    struct world *world = *state;
    world_create(world, "s", NULL);
    int64_t n_before = world->n_finds;
    for (int i = 0; i < 1000; i++) {
        studies_seek(world->studies);
        world_pass(world, 10);
    }
    assert_in_range(world->n_finds - n_before, 4, 6);
    n_before = world->n_finds;
    world_pass(world, 60000);
    assert_in_range(world->n_finds - n_before, 0, 1);
    assert_int_equal(world->wake_ms, INT64_MAX);
    seek(world);
    assert_in_range(world->n_finds - n_before, 1, 2);
}

/* Who waits for any study gets a trial of one that appears. */
static void test_ask_of_all(void **state)
{
    struct world *world = *state;
    struct test_ask any, other;
    world_start_ask_of_all(world, &any, "w", NULL, 60);
    world_start_ask_of_all(world, &other, "w", "xgboost", 60);
    world_pass(world, 10000);
    struct row_study *rows = world_optuna_study(world, "theirs", "{}");
    world_pass(world, 10000);
    assert_non_null(find(world, "theirs"));
    assert_false(any.is_done); /* nothing could be sampled, and no empty spec was stored */
    assert_null(rows->spec_json);
    add_complete(world, rows, 1);
    grow_space(rows, TWO_PARAMS);
    world_pass(world, 3 * LOOK_INTERVAL_MS);
    assert_int_equal(any.n_offers, 1);
    assert_string_equal(any.offers[0].study, "theirs");
    assert_true(any.offers[0].n >= 1);
    assert_false(other.is_done);
}

/* A name that Optuna has just made: creating it meets that study. */
static void test_create_existing(void **state)
{
    struct world *world = *state;
    struct test_call refused, attached, other;
    const char *spec =
        "{\"name\": \"s\", \"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}}";
    add_complete(world, world_optuna_study(world, "s", NULL), 1);
    world_start_create(world, &refused, spec, false);
    world_start_create(world, &attached, spec, true);
    world_pass(world, 2 * LOOK_INTERVAL_MS);
    assert_int_equal(refused.problem, PROBLEM_EXISTS);
    assert_int_equal(attached.problem, PROBLEM_NONE);
    assert_false(attached.study_call.was_created);
    assert_ptr_equal(attached.study_call.study, find(world, "s"));
    assert_int_equal(study_counts(find(world, "s"))[TRIAL_COMPLETE], 1);
    assert_int_equal(studies_count(world->studies), 1);
    world->cannot_find = true; /* and it cannot be read */
    world_optuna_study(world, "t", NULL);
    world_start_create(world, &other, "{\"name\": \"t\", \"space\": " TWO_PARAMS "}", true);
    world_pass(world, 20000);
    assert_int_equal(other.problem, PROBLEM_STORE_AWAY);
}

/* ---- getting on ---- */

/* A study that was found before its first trial: nothing can be asked of it yet; later it can, with all the
 * parameters that it has then. */
static void test_empty_study(void **state)
{
    struct world *world = *state;
    struct test_ask ask;
    struct row_study *rows = world_optuna_study(world, "theirs", "{}");
    seek(world);
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 0, NULL);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(ask.problem, PROBLEM_NO_SPACE);
    assert_null(rows->spec_json);
    add_complete(world, rows, 1);
    grow_space(rows, TWO_PARAMS);
    world_pass(world, LOOK_INTERVAL_MS);
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 0, NULL);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(ask.offers[0].number, 1);
    assert_non_null(rows->spec_json);
    assert_non_null(strstr(rows->spec_json, "\"n\""));
}

/* What memory has of a study whose spec is derived is what a restart would bring: parameters, history, best,
 * and the list of changes, behind the cursor that somebody has. */
static void test_read_anew(void **state)
{
    struct world *world = *state;
    struct test_call call;
    int64_t numbers[8], next;
    struct row_study *rows =
        world_optuna_study(world, "theirs", "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}");
    add_complete(world, rows, 3);
    world_optuna_trial(world, rows, TRIAL_WAITING);
    seek(world);
    struct study *study = find(world, "theirs");
    assert_int_equal(study_list_changed(study, 0, ~0u, 8, numbers, &next), 2);
    add_complete(world, rows, 2);
    world_optuna_trial(world, rows, TRIAL_RUNNING);
    grow_space(rows, TWO_PARAMS);
    study_watch(study);
    world_pass(world, LOOK_INTERVAL_MS); /* read by the old space */
    assert_int_equal(study_counts(study)[TRIAL_RUNNING], 1);
    world_start_enqueue(world, &call, study, "{\"n\": 3}", NULL);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(call.problem, PROBLEM_NONE);
    assert_ptr_equal(find(world, "theirs"), study);
    for (int i = 0; i < 2; i++) {
        struct history_trial entry;
        assert_int_equal(study_counts(study)[TRIAL_COMPLETE], 2);
        assert_int_equal(study_counts(study)[TRIAL_RUNNING], 1);
        assert_int_equal(study_counts(study)[TRIAL_WAITING], 2);
        assert_int_equal(study->n_open, 1);
        assert_int_equal(history_size(study->history), 2);
        history_get(study->history, 0, &entry);
        assert_true(entry.params[0] == 1 && entry.params[1] == 1);
        int64_t best;
        assert_int_equal(study_best(study, 1, &best), 1);
        assert_int_equal(best, 2);
        assert_int_equal(study_list_changed(study, next, ~0u, 8, numbers, &next), 5);
        world_restart(world);
        study = find(world, "theirs");
    }
    assert_int_equal(world_ask(world, study).number, 1);
}

/* While a study is read anew its own changes wait; budgets do not store what is too old. */
static void test_changes_wait(void **state)
{
    struct world *world = *state;
    struct test_call attrs, budget, attached;
    json_t *json = json_pack("{s:i}", "a", 1);
    struct row_study *rows = world_optuna_study(world, "theirs", "{}");
    seek(world);
    world_pass(world, 10000);
    add_complete(world, rows, 3);
    grow_space(rows, TWO_PARAMS);
    struct study *study = find(world, "theirs");
    world_start_change(world, &budget, study,
                       &(struct study_change){.has_max_trials = true, .max_trials = 9});
    world_start_change(world, &attrs, study, &(struct study_change){.user_attrs = json});
    world_start_create(world, &attached, "{\"name\": \"theirs\", \"space\": " TWO_PARAMS "}", true);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(budget.problem, PROBLEM_NONE);
    assert_int_equal(attrs.problem, PROBLEM_NONE);
    assert_int_equal(attached.problem, PROBLEM_EXISTS); /* the budget has stored a spec */
    assert_int_equal(study_spec(study)->max_trials, 9);
    assert_int_equal(study_spec(study)->space->n_params, 2);
    json_decref(json);
}

/* The look fails, again and again: who waits is told so in time, and nothing spins. */
static void test_cannot_be_read(void **state)
{
    struct world *world = *state;
    struct test_ask ask;
    struct test_call call;
    add_complete(world, world_optuna_study(world, "theirs", NULL), 3);
    seek(world);
    world_pass(world, 10000);
    world->cannot_find = true;
    int64_t n_before = world->n_finds;
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 0, NULL);
    world_start_enqueue(world, &call, find(world, "theirs"), "{}", NULL);
    world_pass(world, 20000);
    assert_int_equal(ask.problem, PROBLEM_STORE_AWAY);
    assert_int_equal(call.problem, PROBLEM_STORE_AWAY);
    assert_in_range(world->n_finds - n_before, 2, 4);
    world->cannot_find = false;
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 0, NULL);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(ask.n_offers, 1);
    world_restart(world);
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 0, NULL);
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
}

/* studyd stops, or the store goes away, while somebody waits for a study to be read. */
static void test_ends_while_read(void **state)
{
    struct world *world = *state;
    struct test_ask ask;
    add_complete(world, world_optuna_study(world, "theirs", NULL), 3);
    seek(world);
    world_pass(world, 10000);
    world->is_held = true;
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 30, NULL);
    world_pass(world, 100); /* the look is under way */
    world_lose_store(world);
    world->is_held = false;
    world->cannot_find = true;
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_STORE_AWAY);
    world->cannot_find = false;
    world_find_store(world);
    world_start_ask(world, &ask, find(world, "theirs"), "w", 1, 30, NULL);
    studies_stop(world->studies);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(ask.problem, PROBLEM_STOPPING);
}

/* ---- going ---- */

/* Optuna deletes a study: who waits for a trial of it is told within some seconds, who holds one when he
 * tells. A new one of the same name is another study. */
static void test_deleted(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_offer told = world_ask(world, study);
    struct test_offer held = world_ask(world, study);
    struct test_ask ask;
    struct test_call call;
    world_start_ask(world, &ask, study, "w", 1, 60, "id");
    world_run(world);
    world_optuna_delete(world, "s");
    assert_int_equal(world_tell(world, study, &told, 1), PROBLEM_NOT_FOUND);
    world_start_report(world, &call, study, held.number, held.lease, 1, 0.5);
    world_pass(world, 2 * LOOK_INTERVAL_MS);
    assert_int_equal(ask.problem, PROBLEM_NOT_FOUND);
    assert_null(find(world, "s"));
    add_complete(world, world_optuna_study(world, "s", NULL), 1);
    seek(world);
    study = find(world, "s");
    assert_int_equal(study_counts(study)[TRIAL_COMPLETE], 1);
    assert_int_equal(world_tell(world, study, &told, 1), PROBLEM_ALREADY_FINISHED);
    assert_int_equal(world_tell(world, study, &held, 1), PROBLEM_NOT_FOUND);
}

/* The same where nobody but a reader looks, and where the new study is there before the old one is missed. */
static void test_replaced(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    world_ask(world, study);
    world_optuna_delete(world, "s");
    add_complete(world, world_optuna_study(world, "s", NULL), 1);
    study_watch(study);
    world_pass(world, LOOK_INTERVAL_MS);
    assert_null(find(world, "s"));
    world_pass(world, LOOK_INTERVAL_MS);
    assert_int_equal(study_counts(find(world, "s"))[TRIAL_COMPLETE], 1);
    assert_int_equal(study_counts(find(world, "s"))[TRIAL_RUNNING], 0);
}

/* The new study has the old one's id (SQLite gives it away again): what is still on its way for the old one
 * does not reach it. */
static void test_same_id(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "old", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    int64_t study_id = world_rows(world, "old")->study_id;
    int64_t trial_id = world_row(world, "old", 0)->row.trial_id;
    world->is_held = true;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world); /* at the store */
    world_optuna_delete(world, "old");
    struct row_study *rows = world_optuna_study(world, "new", NULL);
    rows->study_id = study_id;
    world_optuna_trial(world, rows, TRIAL_RUNNING)->row.trial_id = trial_id;
    studies_seek(world->studies);
    world_pass(world, LOOK_INTERVAL_MS);
    rows_finish_find(world); /* the reader is faster than the writer */
    assert_null(find(world, "old"));
    assert_null(find(world, "new"));
    studies_seek(world->studies);
    world_pass(world, LOOK_INTERVAL_MS);
    rows_finish_find(world);
    assert_null(find(world, "new")); /* the old one's record is still on its way */
    world_settle_first(world, STORE_CONFLICT);
    assert_int_equal(ask.problem, PROBLEM_NOT_FOUND);
    world->is_held = false;
    seek(world);
    assert_non_null(find(world, "new"));
    assert_int_equal(rows->n_trials, 1);
    assert_int_equal(world_tell(world, find(world, "new"), &offer, 1), PROBLEM_LEASE_SUPERSEDED);
    assert_int_equal(rows->trials[0]->row.state, TRIAL_RUNNING);
}

/* studyd deletes a study while a look is under way that has seen it still: it does not come back. */
static void test_no_return(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_call call;
    studies_seek(world->studies);
    world->is_held = true;
    world_pass(world, LOOK_INTERVAL_MS);
    assert_non_null(world->find);
    world_start_delete(world, &call, study, true);
    world_settle_first(world, STORE_DONE);
    assert_int_equal(call.problem, PROBLEM_NONE);
    world_optuna_study(world, "s", NULL); /* what the look has seen */
    rows_finish_find(world);
    assert_null(find(world, "s"));
    world_optuna_delete(world, "s");
    world->is_held = false;
    seek(world);
    assert_null(find(world, "s"));
}

/* A study that studyd is creating is in the database before its answer is known: it is here once. */
static void test_created_meanwhile(void **state)
{
    struct world *world = *state;
    struct test_call call;
    studies_seek(world->studies);
    world->is_held = true;
    world_pass(world, LOOK_INTERVAL_MS);
    world_start_create(
        world, &call, "{\"name\": \"s\", \"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}}",
        false);
    world_optuna_study(world, "s", NULL);
    rows_finish_find(world);
    assert_null(find(world, "s"));
    world_optuna_delete(world, "s");
    world->is_held = false;
    world_run(world);
    assert_true(call.study_call.was_created);
    seek(world);
    assert_int_equal(studies_count(world->studies), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_appears),         T(test_bounded),           T(test_ask_of_all),   T(test_create_existing),
        T(test_empty_study),     T(test_read_anew),         T(test_changes_wait), T(test_cannot_be_read),
        T(test_ends_while_read), T(test_deleted),           T(test_replaced),     T(test_same_id),
        T(test_no_return),       T(test_created_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
