/* SPDX-License-Identifier: MIT */
/* Unit tests of studies that come and go while the store is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store_harness.h"

static const double params[] = {0.5, 3, 1};
static const double half = 0.5;

static int64_t create_study(struct harness *harness, const char *name, const char *uid)
{
    struct store_record record = record_create_study(name);
    record.uid = uid;
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    return record.study_id;
}

static int64_t create_trial(struct harness *harness, int64_t study_id, int64_t number)
{
    struct store_record record = record_create_trial(study_id, number, params);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    return record.trial.trial_id;
}

/* As Optuna makes one, with a trial that is complete. */
static void optuna_study(struct harness *harness, int64_t study_id, int64_t trial_id, const char *name)
{
    long long id = study_id, trial = trial_id;
    harness_sql(harness, "INSERT INTO studies (study_id, study_name) VALUES (%lld, '%s')", id, name);
    harness_sql(harness,
                "INSERT INTO study_directions (study_id, objective, direction) VALUES (%lld, 0, 'MINIMIZE')",
                id);
    harness_sql(harness,
                "INSERT INTO trials (trial_id, number, study_id, state) VALUES (%lld, 0, %lld, 'COMPLETE')",
                trial, id);
    harness_sql(harness,
                "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (%lld, 0, 0.25, "
                "'FINITE')",
                trial);
}

/* As Optuna deletes all of them. */
static void optuna_delete(struct harness *harness)
{
    static const char *const tables[] = {
        "trial_intermediate_values", "trial_params", "trial_values", "trials", "study_directions",
        "study_system_attributes",   "studies"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        harness_sql(harness, "DELETE FROM %s", tables[i]);
}

static void found(struct store_find *find)
{
    *(bool *)find->user = true;
}

static void find(struct harness *harness, size_t n_known, struct store_found *known)
{
    bool is_done = false;
    struct store_find find = {.n_known = n_known, .known = known, .done = found, .user = &is_done};
    json_object_clear(harness->loaded);
    assert_int_equal(store_find(harness->store, &find), 0);
    assert_false(is_done);
    harness_run_until(harness, is_done);
    assert_int_equal(find.error, 0);
}

/* A study that appears is told to the sink with its trials, and takes changes from then on, at once; the one
 * that is known is not told again, unless it is wanted. */
static void test_new_study(void **state)
{
    struct harness *harness = *state;
    harness_open(harness);
    int64_t study_id = create_study(harness, "s", TEST_UID);
    create_trial(harness, study_id, 0);
    optuna_study(harness, 77, 770, "theirs");
    struct store_found known = {.study_id = study_id, .name = "s", .uid = TEST_UID};
    find(harness, 1, &known);
    assert_false(known.is_gone);
    assert_int_equal(json_object_size(harness->loaded), 1);
    json_t *trial = harness_trial(harness, "theirs", 0);
    assert_string_equal(json_string_value(json_object_get(trial, "state")), "complete");
    assert_true(json_real_value(json_array_get(json_object_get(trial, "values"), 0)) == 0.25);
    struct store_record ask = record_create_trial(77, 1, params);
    ask.uid = TEST_OTHER_UID;
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    assert_true(ask.trial.trial_id > 770);

    struct store_found both[] = {{.study_id = study_id, .name = "s", .uid = TEST_UID, .is_wanted = true},
                                 {.study_id = 77, .name = "theirs", .uid = TEST_OTHER_UID}};
    find(harness, 2, both);
    assert_int_equal(json_object_size(harness->loaded), 1);
    assert_non_null(harness_trial(harness, "s", 0));
    create_trial(harness, study_id, 1);
}

/* Optuna's copy of a study of ours has its uid, too: it is loaded without, gets one of its own, and neither
 * takes anything from the other. */
static void test_copy(void **state)
{
    struct harness *harness = *state;
    harness_open(harness);
    int64_t study_id = create_study(harness, "s", TEST_UID);
    create_trial(harness, study_id, 0);
    optuna_study(harness, 77, 770, "copy");
    harness_sql(harness, "INSERT INTO study_system_attributes (study_id, `key`, value_json) VALUES "
                         "(77, 'studyd:uid', '\"" TEST_UID "\"')");
    struct store_found known = {.study_id = study_id, .name = "s", .uid = TEST_UID};
    find(harness, 1, &known);
    assert_false(known.is_gone);
    assert_string_equal(json_string_value(json_object_get(json_object_get(harness->loaded, "copy"), "uid")),
                        "");
    struct store_record ask = record_create_trial(77, 1, params);
    ask.uid = TEST_OTHER_UID;
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    struct store_record removal = record_of(STORE_DELETE_STUDY, 77, 99);
    removal.uid = TEST_OTHER_UID;
    assert_int_equal(harness_do(harness, &removal), STORE_DONE);
    harness_reopen(harness);
    assert_int_equal(json_object_size(harness->loaded), 1);
    assert_string_equal(json_string_value(json_object_get(harness_trial(harness, "s", 0), "lease")),
                        TEST_LEASE);
}

/* Its trials may have ids as far apart as other studies' trials between them make them. */
static void test_far_apart(void **state)
{
    struct harness *harness = *state;
    harness_open(harness);
    optuna_study(harness, 77, 770, "theirs");
    harness_sql(harness, "INSERT INTO trials (trial_id, number, study_id, state) VALUES "
                         "(400000, 1, 77, 'FAIL'), (2147483647, 2, 77, 'FAIL')");
    find(harness, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json_object_get(harness->loaded, "theirs"), "trials")),
                     3);
}

/* Gone is what was deleted, and what another study has taken the place of: by its name, by its id, by both
 * without our uid. What studyd itself deletes is not told as new. */
static void test_gone(void **state)
{
    struct harness *harness = *state;
    harness_open(harness);
    create_study(harness, "mine", TEST_UID);
    optuna_study(harness, 77, 770, "a");
    optuna_study(harness, 78, 780, "b");
    struct store_found known[] = {{.study_id = 76, .name = "a", .uid = ""},
                                  {.study_id = 78, .name = "b", .uid = TEST_OTHER_UID},
                                  {.study_id = 77, .name = "c", .uid = ""}};
    find(harness, 3, known);
    for (size_t i = 0; i < 3; i++)
        assert_true(known[i].is_gone);
    assert_int_equal(json_object_size(harness->loaded), 1); /* mine, which was not named */
    int64_t mine = json_integer_value(json_object_get(json_object_get(harness->loaded, "mine"), "study_id"));
    struct store_record removal = record_of(STORE_DELETE_STUDY, mine, 99);
    assert_int_equal(harness_do(harness, &removal), STORE_DONE);
    find(harness, 3, known);
    assert_int_equal(json_object_size(harness->loaded), 0);
}

/* Changes of a study that Optuna has deleted are conflicts without a row, not refusals that take what stands
 * behind them along. */
static void test_change_of_deleted(void **state)
{
    struct harness *harness = *state;
    struct report_point point = {1, 0.5};
    harness_open(harness);
    int64_t study_id = create_study(harness, "s", TEST_UID);
    int64_t trial_id = create_trial(harness, study_id, 0);
    optuna_delete(harness);
    struct store_record report = record_of(STORE_REPORT, study_id, 20);
    report.report.trial_id = trial_id;
    report.report.n_points = 1;
    report.report.points = &point;
    struct store_record change = record_of(STORE_CHANGE_STUDY, study_id, 21);
    change.study.state = "paused";
    change.study.spec_json = TEST_SPEC;
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    harness_do_all(harness, (struct store_record *[]){&report, &change, &tell}, 3);
    assert_int_equal(report.result, STORE_CONFLICT);
    assert_int_equal(change.result, STORE_CONFLICT);
    assert_int_equal(tell.result, STORE_CONFLICT);
}

/* The deleted study's ids, and its trials', are another one's by now: no change reaches that. */
static void test_change_of_reused(void **state)
{
    struct harness *harness = *state;
    struct report_point point = {1, 0.5};
    harness_open(harness);
    int64_t study_id = create_study(harness, "s", TEST_UID);
    int64_t trial_id = create_trial(harness, study_id, 0);
    optuna_delete(harness);
    optuna_study(harness, study_id, trial_id, "s");
    harness_sql(harness, "UPDATE trials SET state='RUNNING'");
    harness_sql(harness, "DELETE FROM trial_values");
    struct store_record report = record_of(STORE_REPORT, study_id, 20);
    report.report.trial_id = trial_id;
    report.report.n_points = 1;
    report.report.points = &point;
    struct store_record change = record_of(STORE_CHANGE_STUDY, study_id, 21);
    change.study.state = "paused";
    change.study.spec_json = TEST_SPEC;
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    struct store_record removal = record_of(STORE_DELETE_STUDY, study_id, 99);
    struct store_record *const records[] = {&report, &change, &tell, &removal};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(harness_do(harness, records[i]), STORE_CONFLICT);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials"), "RUNNING");
    assert_string_equal(harness_value(harness, "SELECT study_name FROM studies"), "s");
    static const char *const tables[] = {"trial_intermediate_values", "trial_values",
                                         "study_system_attributes"};
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM %s", tables[i]), "0");
}

/* A look that is under way when the store closes is answered; none is taken afterwards. */
static void test_close(void **state)
{
    struct harness *harness = *state;
    bool is_done = false;
    struct store_find find = {.done = found, .user = &is_done};
    harness_open(harness);
    assert_int_equal(store_find(harness->store, &find), 0);
    harness_close(harness);
    assert_true(is_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_new_study), ON_BOTH(test_far_apart),         ON_BOTH(test_copy),
        ON_BOTH(test_gone),      ON_BOTH(test_change_of_deleted), ON_SQLITE(test_change_of_reused),
        ON_BOTH(test_close),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
