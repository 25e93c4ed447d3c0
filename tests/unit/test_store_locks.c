/* SPDX-License-Identifier: MIT */
/* Unit tests of locks that other sessions hold: who waits, who does not, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/store_harness.h"

static const double half = 0.5;

static bool is_done;

static void note_done(struct store_record *record)
{
    (void)record;
    is_done = true;
}

/* Without waiting for it: it waits for a lock. */
static void submit(struct harness *harness, struct store_record *record)
{
    record->done = note_done;
    is_done = false;
    assert_int_equal(store_submit(harness->store, record), 0);
}

static void other_goes_on(struct harness *harness, int64_t other_id, int64_t number)
{
    struct store_record ask = record_create_trial(other_id, number, test_params);
    ask.uid = TEST_OTHER_UID;
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    assert_false(is_done);
}

static void unlock(struct harness *harness, const struct store_record *record, enum store_result result)
{
    harness_sql(harness, "ROLLBACK");
    harness_run_until(harness, is_done);
    assert_int_equal(record->result, result);
}

/* ---- one study ---- */

/* Optuna holds a study's row: that study waits, in order, while another one goes on. */
static void test_locked_study(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    struct store_record ask = record_create_trial(study_id, 1, test_params),
                        other = record_create_trial(other_id, 0, test_params),
                        tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    other.uid = TEST_OTHER_UID;
    harness_sql(harness, "START TRANSACTION");
    assert_string_equal(harness_value(harness,
                                      "SELECT study_name FROM studies WHERE study_id=%lld FOR UPDATE",
                                      (long long)study_id),
                        "s");
    submit(harness, &ask);
    submit(harness, &tell);
    assert_int_equal(harness_do(harness, &other), STORE_DONE);

    /* Many more of the other study, queued while the first ones go back and forth. */
    static struct store_record reports[300];
    struct store_record *pointers[300];
    struct report_point point = {1, 0.5};
    for (int i = 0; i < 300; i++) {
        reports[i] = record_of(STORE_REPORT, other_id, 200 + i);
        reports[i].uid = TEST_OTHER_UID;
        reports[i].report.trial_id = other.trial.trial_id;
        reports[i].report.n_points = 1;
        reports[i].report.points = &point;
        pointers[i] = &reports[i];
    }
    harness_do_all(harness, pointers, 300);
    assert_false(is_done);
    unlock(harness, &ask, STORE_DONE);
    assert_int_equal(harness->n_stalls, 0);
}

/* The database is asked again and again meanwhile, but nothing is committed for it. */
static void test_held_commits_nothing(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    int batch = atoi(harness_value(harness, "SELECT batch FROM studyd_owner"));
    harness_sql(harness, "START TRANSACTION");
    harness_rows(harness, 1, "SELECT study_id FROM studies WHERE study_id=%lld FOR UPDATE",
                 (long long)study_id);
    submit(harness, &ask);
    for (int i = 0; i < 3; i++)
        other_goes_on(harness, other_id, i);
    unlock(harness, &ask, STORE_DONE);
    assert_int_equal(atoi(harness_value(harness, "SELECT batch FROM studyd_owner")), batch + 4);
}

/* The attribute that marks a study as ours is locked (somebody deletes the study, say): it waits, and is not
 * taken for one that is gone. When it is, it is. */
static void test_locked_uid(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    static const char *const deletes[] = {"study_system_attributes", "study_directions"};
    harness_sql(harness, "START TRANSACTION");
    for (size_t i = 0; i < 2; i++)
        harness_sql(harness, "DELETE FROM %s WHERE study_id=%lld", deletes[i], (long long)study_id);
    submit(harness, &ask);
    other_goes_on(harness, other_id, 0);
    unlock(harness, &ask, STORE_DONE);

    harness_sql(harness, "START TRANSACTION");
    for (size_t i = 0; i < 2; i++)
        harness_sql(harness, "DELETE FROM %s WHERE study_id=%lld", deletes[i], (long long)study_id);
    ask = record_create_trial(study_id, 1, test_params);
    submit(harness, &ask);
    other_goes_on(harness, other_id, 1);
    harness_sql(harness, "COMMIT");
    harness_run_until(harness, is_done);
    assert_int_equal(ask.result, STORE_CONFLICT);
}

/* So does a study's other rows that a change of it needs; what cannot be seen beforehand is waited for, and
 * others have their turn between. */
static void test_locked_own_row(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    struct store_record change = record_of(STORE_CHANGE_STUDY, study_id, 5);
    change.study.state = "paused";
    harness_sql(harness, "START TRANSACTION");
    harness_rows(harness, 1, "SELECT state FROM studyd_studies WHERE uid=x'%s' FOR UPDATE", TEST_UID);
    submit(harness, &change);
    for (int i = 0; i < 20; i++)
        other_goes_on(harness, other_id, i);
    unlock(harness, &change, STORE_DONE);
    assert_int_equal(harness->n_stalls, 0);
    assert_string_equal(harness_value(harness, "SELECT state FROM studyd_studies WHERE uid=x'%s'", TEST_UID),
                        "paused");
}

/* Somebody is about to make a study of the same name: that waits, others go on; and it is known who was
 * first. */
static void test_locked_name(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t other_id = harness_create_other_study(harness);
    struct store_record create = record_create_study("s");
    for (int i = 0; i < 2; i++) {
        harness_sql(harness, "START TRANSACTION");
        harness_sql(harness, "INSERT INTO studies (study_name) VALUES ('s')");
        submit(harness, &create);
        other_goes_on(harness, other_id, i);
        if (i == 1)
            harness_sql(harness, "COMMIT");
        unlock(harness, &create, i == 1 ? STORE_EXISTS : STORE_DONE);
        harness_sql(harness, "UPDATE studies SET study_name='old' WHERE study_name='s' AND study_id=%lld",
                    (long long)create.study_id);
    }
}

/* Somebody holds a trial's row (lock wait, 1205): that study waits, another one goes on; nothing is lost. */
static void test_locked_trial(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half),
                        other = record_create_trial(other_id, 0, test_params);
    other.uid = TEST_OTHER_UID;
    harness_sql(harness, "START TRANSACTION");
    assert_string_equal(harness_value(harness, "SELECT number FROM trials WHERE trial_id=%lld FOR UPDATE",
                                      (long long)trial_id),
                        "0");
    submit(harness, &tell);
    assert_int_equal(harness_do(harness, &other), STORE_DONE);
    assert_false(is_done);
    unlock(harness, &tell, STORE_DONE);
    assert_string_equal(
        harness_value(harness, "SELECT state FROM trials WHERE trial_id=%lld", (long long)trial_id),
        "COMPLETE");
}

/* ---- all of it ---- */

/* Somebody writes to the SQLite file for long: changes wait until it is free. */
static void test_busy_file(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    harness_sql(harness, "BEGIN IMMEDIATE");
    submit(harness, &ask);
    harness_sql(harness, "INSERT INTO studies (study_name) VALUES ('beside')");
    harness_sql(harness, "COMMIT");
    harness_run_until(harness, is_done);
    assert_int_equal(ask.result, STORE_DONE);
}

static void note_read(struct store_read *read)
{
    assert_int_equal(read->error, 0);
    assert_int_equal(read->n_trials, 1);
    assert_true(read->trials[0].trial_id > 0);
    *(bool *)read->user = true;
}

static void read_one(struct harness *harness, int64_t study_id, int64_t trial_id)
{
    bool is_read = false;
    struct store_read read = {
        .study_id = study_id, .n_trials = 1, .trial_ids = &trial_id, .done = note_read, .user = &is_read};
    assert_int_equal(store_read_trials(harness->store, &read), 0);
    harness_run_until(harness, is_read);
}

/* Nothing can be committed for some seconds: the store says why, takes no changes, but can be read; what it
 * has is stored when the lock is gone. */
static void test_stall(void **state)
{
    struct harness *harness = harness_begin(state);
    bool is_sqlite = harness->kind == HARNESS_SQLITE;
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    struct store_record ask = record_create_trial(study_id, 1, test_params),
                        late = record_create_trial(study_id, 2, test_params);
    harness_sql(harness, is_sqlite ? "BEGIN IMMEDIATE" : "START TRANSACTION");
    harness_rows(harness, 1, "SELECT batch FROM studyd_owner%s", is_sqlite ? "" : " FOR UPDATE");
    uint64_t begin_ns = uv_hrtime();
    submit(harness, &ask);
    harness_run_until(harness, harness->is_stalled);
    assert_true(uv_hrtime() - begin_ns > 4 * UINT64_C(1000000000));
    assert_non_null(strstr(harness->why, is_sqlite ? "database is locked" : "UPDATE studyd_owner"));
    assert_non_null(strstr(harness->why, is_sqlite ? "fuser " : "INNODB_TRX"));
    assert_int_equal(store_submit(harness->store, &late), -1);
    read_one(harness, study_id, trial_id);
    unlock(harness, &ask, STORE_DONE);
    harness_run_until(harness, !harness->is_stalled);
    assert_int_equal(harness->n_stalls, 1);
    assert_int_equal(harness->n_away, 0);
    assert_int_equal(harness_do(harness, &late), STORE_DONE);
}

/* A lock does not hold up the end: what could not be stored comes back. */
static void test_close_while_locked(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    harness_sql(harness, harness->kind == HARNESS_SQLITE ? "BEGIN IMMEDIATE" : "START TRANSACTION");
    harness_rows(harness, 1, "SELECT study_id FROM studies%s",
                 harness->kind == HARNESS_SQLITE ? "" : " FOR UPDATE");
    submit(harness, &ask);
    harness_close_within(harness, 100);
    assert_true(is_done);
    assert_int_equal(ask.result, STORE_AWAY);
    harness_sql(harness, "ROLLBACK");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "0");
}

/* Rows of a deleted study that somebody has locked are removed later; if it is no longer that study, never.
 */
static void test_locked_garbage(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    harness_create_trial(harness, study_id, 0);
    struct store_record delete = record_of(STORE_DELETE_STUDY, study_id, 50);
    harness_sql(harness, "START TRANSACTION");
    harness_rows(harness, 1, "SELECT param_id FROM trial_params WHERE param_id=1 FOR UPDATE");
    submit(harness, &delete);
    harness_run_until(harness, is_done);
    assert_int_equal(delete.result, STORE_DONE);
    is_done = false;
    other_goes_on(harness, other_id, 0);
    harness_sql(harness, "UPDATE studies SET study_name='mine' WHERE study_id=%lld", (long long)study_id);
    harness_sql(harness, "COMMIT");
    while (strcmp(harness_value(harness, "SELECT COUNT(*) FROM studyd_studies"), "1") != 0)
        uv_run(&harness->loop, UV_RUN_NOWAIT);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "2");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studies WHERE study_name='mine'"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MYSQL(test_locked_study),      ON_MYSQL(test_held_commits_nothing),
        ON_MYSQL(test_locked_trial),      ON_MYSQL(test_locked_uid),
        ON_MYSQL(test_locked_own_row),    ON_MYSQL(test_locked_name),
        ON_SQLITE(test_busy_file),        ON_BOTH(test_stall),
        ON_BOTH(test_close_while_locked), ON_MYSQL(test_locked_garbage),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
