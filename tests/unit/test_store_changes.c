/* SPDX-License-Identifier: MIT */
/* Unit tests of changes: each kind's rows as Optuna expects them, and that what is loaded is what was
 * written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tests/unit/store_harness.h"

static const double half = 0.5;

static int64_t get_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void assert_json(json_t *value, const char *expected)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
}

/* A fresh database gets the version rows that Optuna looks for. */
static void test_schema(void **state)
{
    struct harness *harness = harness_begin(state);
    assert_string_equal(harness_value(harness, "SELECT version_num FROM alembic_version"), "v3.2.0.a");
    assert_string_equal(harness_value(harness, "SELECT schema_version FROM version_info"), "12");
}

/* A study: its row, directions in objective order, spec and uid as system attributes, user attributes in
 * Python's JSON. */
static void test_create_study(void **state)
{
    struct harness *harness = harness_begin(state);
    static const enum direction directions[] = {DIRECTION_MINIMIZE, DIRECTION_MAXIMIZE};
    struct store_record record = record_create_study("it's \\ \xe6\x97\xa5");
    record.study.n_directions = 2;
    record.study.directions = directions;
    record.study.user_attrs = json_pack("{s:s,s:[f,n]}", "who", "\xe6\x97\xa5\"", "list", 1.0);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    json_decref(record.study.user_attrs);

    assert_string_equal(
        harness_rows(harness, 2,
                     "SELECT objective, direction FROM study_directions ORDER BY study_direction_id"),
        "0|MINIMIZE 1|MAXIMIZE");
    assert_string_equal(
        harness_value(harness, "SELECT value_json FROM study_system_attributes WHERE `key`='studyd:spec'"),
        TEST_SPEC);
    assert_string_equal(
        harness_value(harness, "SELECT value_json FROM study_system_attributes WHERE `key`='studyd:uid'"),
        "\"" TEST_UID "\"");
    assert_string_equal(
        harness_value(harness, "SELECT value_json FROM study_user_attributes WHERE `key`='who'"),
        "\"\\u65e5\\\"\"");
    assert_string_equal(
        harness_value(harness, "SELECT value_json FROM study_user_attributes WHERE `key`='list'"),
        "[1.0, null]");

    harness_reopen(harness);
    json_t *study = json_object_get(harness->loaded, "it's \\ \xe6\x97\xa5");
    assert_json(json_object_get(study, "directions"), "[\"minimize\",\"maximize\"]");
    assert_string_equal(get_text(study, "spec"), TEST_SPEC);
    assert_string_equal(get_text(study, "uid"), TEST_UID);
    assert_string_equal(get_text(study, "state"), "running");
    assert_int_equal(get_int(study, "seq"), 1);
    assert_json(json_object_get(study, "user_attrs"), "{\"who\":\"\xe6\x97\xa5\\\"\",\"list\":[1.0,null]}");
}

/* A name that somebody else took meanwhile is no error of the database. */
static void test_study_exists(void **state)
{
    struct harness *harness = harness_begin(state);
    harness_sql(harness, "INSERT INTO studies (study_name) VALUES ('s')");
    struct store_record record = record_create_study("s");
    assert_int_equal(harness_do(harness, &record), STORE_EXISTS);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studies"), "1");
}

/* State, reason, attributes and seq of a study change; what is not named stays. */
static void test_change_study(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record record = record_of(STORE_CHANGE_STUDY, study_id, 7);
    record.study.state = "paused";
    record.study.reason = "by hand";
    record.study.user_attrs = json_pack("{s:i}", "a", 1);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    json_decref(record.study.user_attrs);
    record.seq = 8;
    record.study.state = "stopped";
    record.study.reason = NULL;
    record.study.user_attrs = json_pack("{s:i,s:i}", "a", 2, "b", 3);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    json_decref(record.study.user_attrs);

    harness_reopen(harness);
    json_t *study = json_object_get(harness->loaded, "s");
    assert_string_equal(get_text(study, "state"), "stopped");
    assert_null(get_text(study, "reason"));
    assert_string_equal(get_text(study, "spec"), TEST_SPEC);
    assert_int_equal(get_int(study, "seq"), 8);
    assert_json(json_object_get(study, "user_attrs"), "{\"a\":2,\"b\":3}");
}

/* An asked trial: RUNNING, its parameters with Optuna's distributions, and our own row. */
static void test_create_running(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record record = record_create_trial(study_id, 0, test_params);
    record.trial.request.is_set = true;
    memset(record.trial.request.bytes, 0xab, STORE_REQUEST_SIZE);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);

    assert_string_equal(harness_rows(harness, 2, "SELECT number, state FROM trials"), "0|RUNNING");
    assert_string_equal(
        harness_value(harness, "SELECT distribution_json FROM trial_params WHERE param_name='x'"),
        "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 1e-08, \"high\": 1.0, "
        "\"log\": true}}");
    assert_string_equal(
        harness_value(harness, "SELECT distribution_json FROM trial_params WHERE param_name='n'"),
        "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": 1, "
        "\"high\": 10}}");
    assert_string_equal(
        harness_value(harness, "SELECT distribution_json FROM trial_params WHERE param_name='c'"),
        "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\", \"b\", null]}}");
    assert_string_equal(
        harness_value(harness, "SELECT COUNT(*) FROM trial_params WHERE param_value IN (0.1, 3, 2)"), "3");

    harness_reopen(harness);
    json_t *trial = harness_trial(harness, "s", 0);
    assert_int_equal(get_int(trial, "trial_id"), record.trial.trial_id);
    assert_true(json_is_true(json_object_get(trial, "is_ours")));
    assert_string_equal(get_text(trial, "state"), "running");
    assert_json(json_object_get(trial, "params"), "[0.10000000000000001,3.0,2.0]");
    assert_int_equal(get_int(trial, "start_us"), 1763900000000000);
    assert_int_equal(get_int(trial, "attempt"), 1);
    assert_string_equal(get_text(trial, "lease"), TEST_LEASE);
    assert_string_equal(get_text(trial, "worker"), "node1/gpu0");
    assert_int_equal(get_int(trial, "sampled_seq"), 10);
    assert_int_equal(get_int(trial, "asked_seq"), 10);
    assert_int_equal(get_int(trial, "finished_seq"), 0);
    assert_int_equal(strlen(get_text(trial, "request")), 2 * STORE_REQUEST_SIZE);
    assert_int_equal(get_int(json_object_get(harness->loaded, "s"), "seq"), 10);
}

/* An inactive parameter has no row, in Optuna's table and in ours; a -0.0 becomes 0.0 in both. */
static void test_absent_parameter(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    const double some[] = {-0.0, NAN, 1};
    struct store_record record = record_create_trial(study_id, 0, some);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT param_name FROM trial_params ORDER BY param_id"),
                        "x c");
    harness_reopen(harness);
    assert_json(json_object_get(harness_trial(harness, "s", 0), "params"), "[0.0,\"NaN\",1.0]");
}

/* An enqueued trial waits with its fixed parameters, and gets its parameters when it is started. */
static void test_enqueue_and_start(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record record = record_create_trial(study_id, 0, NULL);
    record.trial.fixed_params = json_pack("{s:f,s:s}", "x", 0.25, "c", "b");
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    json_decref(record.trial.fixed_params);
    assert_string_equal(harness_rows(harness, 2, "SELECT state, datetime_start FROM trials"), "WAITING|NULL");
    assert_string_equal(harness_rows(harness, 2, "SELECT `key`, value_json FROM trial_system_attributes"),
                        "fixed_params|{\"x\": 0.25, \"c\": \"b\"}");
    harness_reopen(harness);
    json_t *trial = harness_trial(harness, "s", 0);
    assert_json(json_object_get(trial, "fixed_params"), "{\"x\":0.25,\"c\":\"b\"}");
    assert_true(json_is_null(json_object_get(trial, "params")));
    assert_string_equal(get_text(trial, "lease"), "");

    struct store_record start = record_create_trial(study_id, 0, test_params);
    start.change = STORE_START_TRIAL;
    start.trial.trial_id = record.trial.trial_id;
    start.trial.from = TRIAL_WAITING;
    start.trial.first_ask_us = 1764260000123456;
    assert_int_equal(harness_do(harness, &start), STORE_DONE);
    assert_string_equal(
        harness_value(harness,
                      "SELECT value_json FROM study_system_attributes WHERE `key`='studyd:first_ask'"),
        "1764260000123456");
    harness_reopen(harness);
    assert_int_equal(get_int(json_object_get(harness->loaded, "s"), "first_ask_us"), 1764260000123456);
    trial = harness_trial(harness, "s", 0);
    assert_string_equal(get_text(trial, "state"), "running");
    assert_json(json_object_get(trial, "params"), "[0.10000000000000001,3.0,2.0]");
    assert_true(json_is_null(json_object_get(trial, "fixed_params")));
    assert_int_equal(get_int(trial, "start_us"), 1763900000000000);
}

/* A completed trial: value, time, constraints as a list, attributes, the outcome's hash. */
static void test_finish_complete(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    static const double constraints[] = {-1.5, 0.25, 2};
    struct store_record record = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    record.trial.constraints = constraints;
    record.trial.n_constraints = 3;
    record.trial.user_attrs = json_pack("{s:i}", "rounds", 311);
    record.trial.has_outcome = true;
    memset(record.trial.outcome, 0xcd, STORE_OUTCOME_SIZE);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    json_decref(record.trial.user_attrs);

    assert_string_equal(harness_value(harness, "SELECT state FROM trials"), "COMPLETE");
    assert_string_equal(harness_rows(harness, 3, "SELECT objective, value, value_type FROM trial_values"),
                        "0|0.5|FINITE");
    assert_string_equal(harness_rows(harness, 2, "SELECT `key`, value_json FROM trial_system_attributes"),
                        "constraints|[-1.5, 0.25, 2.0]");
    assert_string_equal(harness_rows(harness, 2, "SELECT `key`, value_json FROM trial_user_attributes"),
                        "rounds|311");
    harness_reopen(harness);
    json_t *trial = harness_trial(harness, "s", 0);
    assert_string_equal(get_text(trial, "state"), "complete");
    assert_json(json_object_get(trial, "values"), "[0.5]");
    assert_json(json_object_get(trial, "violation"), "2.25");
    assert_int_equal(get_int(trial, "complete_us"), 1763900060000000);
    assert_int_equal(get_int(trial, "finished_seq"), 100 + trial_id);
    assert_int_equal(get_int(trial, "asked_seq"), 10);
    assert_json(json_object_get(trial, "params"), "[0.10000000000000001,3.0,2.0]");
    assert_string_equal(get_text(trial, "outcome"), "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd");
}

/* Infinite values are NULL with their type. */
static void test_infinite_values(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    static const double infinite[] = {INFINITY, -INFINITY};
    for (int i = 0; i < 2; i++) {
        struct store_record record =
            record_finish(study_id, harness_create_trial(harness, study_id, i), TRIAL_COMPLETE, &infinite[i]);
        assert_int_equal(harness_do(harness, &record), STORE_DONE);
    }
    assert_string_equal(
        harness_rows(harness, 2, "SELECT value, value_type FROM trial_values ORDER BY trial_id"),
        "NULL|INF_POS NULL|INF_NEG");
    harness_reopen(harness);
    assert_json(json_object_get(harness_trial(harness, "s", 0), "values"), "[\"Infinity\"]");
    assert_json(json_object_get(harness_trial(harness, "s", 1), "values"), "[\"-Infinity\"]");
}

/* Doubles come back bit by bit. */
static void test_exact_doubles(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    static const double odd[] = {0.1 + 0.2,
                                 1.7976931348623157e308,
                                 5e-324,
                                 2.2250738585072014e-308,
                                 123456789.12345679,
                                 -1e22,
                                 9007199254740993.0,
                                 6.02214076e23,
                                 1.0 / 3,
                                 -7.3177701707893310e+15};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct store_record record = record_finish(
            study_id, harness_create_trial(harness, study_id, (int64_t)i), TRIAL_COMPLETE, &odd[i]);
        assert_int_equal(harness_do(harness, &record), STORE_DONE);
    }
    harness_reopen(harness);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        double value =
            json_real_value(json_array_get(json_object_get(harness_trial(harness, "s", i), "values"), 0));
        assert_memory_equal(&value, &odd[i], sizeof value);
    }
}

/* Reports are rows by step; NaN and infinities by their type; a running trial's are loaded, a pruned one's
 * last. */
static void test_reports(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    static const struct report_point points[] = {{10, 0.75}, {20, NAN}, {30, INFINITY}};
    struct store_record record = record_of(STORE_REPORT, study_id, 50);
    record.report.trial_id = trial_id;
    record.report.n_points = 3;
    record.report.points = points;
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_string_equal(harness_rows(harness, 3,
                                     "SELECT step, intermediate_value, intermediate_value_type "
                                     "FROM trial_intermediate_values ORDER BY step"),
                        "10|0.75|FINITE 20|NULL|NAN 30|NULL|INF_POS");
    harness_reopen(harness);
    json_t *trial = harness_trial(harness, "s", 0);
    assert_json(json_object_get(trial, "points"), "[[10,0.75],[20,\"NaN\"],[30,\"Infinity\"]]");
    assert_int_equal(get_int(trial, "last_step"), 30);

    struct store_record prune = record_finish(study_id, trial_id, TRIAL_PRUNED, &half);
    assert_int_equal(harness_do(harness, &prune), STORE_DONE);
    harness_reopen(harness);
    trial = harness_trial(harness, "s", 0);
    assert_string_equal(get_text(trial, "state"), "pruned");
    assert_int_equal(get_int(trial, "last_step"), 30);
    assert_json(json_object_get(trial, "last_value"), "\"Infinity\"");
    assert_json(json_object_get(trial, "points"), "[]");
    assert_json(json_object_get(trial, "values"), "[0.5]");
}

/* The first report of a new attempt removes that step and later ones, also in one batch with what it
 * replaces. */
static void test_report_of_new_attempt(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    static const struct report_point old[] = {{1, 0.1}, {2, 0.2}, {3, 0.3}}, new[] = {{2, 0.9}};
    struct store_record first = record_of(STORE_REPORT, study_id, 50),
                        second = record_of(STORE_REPORT, study_id, 51);
    first.report.trial_id = second.report.trial_id = trial_id;
    first.report.n_points = 3;
    first.report.points = old;
    second.report.n_points = 1;
    second.report.points = new;
    second.report.removes_later = true;
    harness_do_all(harness, (struct store_record *[]){&first, &second}, 2);
    assert_int_equal(second.result, STORE_DONE);
    assert_string_equal(
        harness_rows(harness, 2,
                     "SELECT step, intermediate_value FROM trial_intermediate_values ORDER BY step"),
        "1|0.1 2|0.9");
}

/* A trial that is handed back waits again; a failed one says why. */
static void test_release_and_fail(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    struct store_record record = record_of(STORE_RELEASE_TRIAL, study_id, 60);
    record.trial.trial_id = trial_id;
    record.trial.from = TRIAL_RUNNING;
    record.trial.state = TRIAL_WAITING;
    record.trial.attempt = 1;
    record.trial.retries = 1;
    record.trial.lease = "";
    record.trial.failure = "oom";
    record.trial.reason = "killed by the kernel";
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_string_equal(harness_rows(harness, 2, "SELECT state, datetime_start FROM trials"), "WAITING|NULL");
    harness_reopen(harness);
    json_t *trial = harness_trial(harness, "s", 0);
    assert_string_equal(get_text(trial, "state"), "waiting");
    assert_string_equal(get_text(trial, "lease"), "");
    assert_int_equal(get_int(trial, "retries"), 1);
    assert_json(json_object_get(trial, "params"), "[0.10000000000000001,3.0,2.0]");

    struct store_record start = record_create_trial(study_id, 0, NULL);
    start.change = STORE_START_TRIAL;
    start.trial.trial_id = trial_id;
    start.trial.from = TRIAL_WAITING;
    start.trial.state = TRIAL_RUNNING;
    start.trial.start_us = 1763900001000000;
    assert_int_equal(harness_do(harness, &start), STORE_DONE);
    struct store_record fail = record_finish(study_id, trial_id, TRIAL_FAIL, NULL);
    fail.trial.failure = "objective";
    fail.trial.reason = "it's broken";
    assert_int_equal(harness_do(harness, &fail), STORE_DONE);
    assert_string_equal(harness_rows(harness, 2, "SELECT `key`, value_json FROM trial_system_attributes"),
                        "studyd:failure|{\"class\": \"objective\", \"reason\": \"it's broken\"}");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_values"), "0");
}

/* Many records at once, of two studies, share transactions; ids and numbers are each study's own. */
static void test_many_at_once(void **state)
{
    enum { N = 200 };
    struct harness *harness = harness_begin(state);
    int64_t first = harness_create_study(harness);
    struct store_record other = record_create_study("t");
    other.uid = "ffffffffffffffffffffffffffffffff";
    assert_int_equal(harness_do(harness, &other), STORE_DONE);
    static struct store_record records[N];
    struct store_record *pointers[N];
    for (int i = 0; i < N; i++) {
        records[i] = record_create_trial(i % 2 ? other.study_id : first, i / 2, test_params);
        records[i].uid = i % 2 ? other.uid : TEST_UID;
        pointers[i] = &records[i];
    }
    harness_do_all(harness, pointers, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(records[i].result, STORE_DONE);
        records[i] = record_finish(records[i].study_id, records[i].trial.trial_id, TRIAL_COMPLETE, &half);
        records[i].uid = i % 2 ? other.uid : TEST_UID;
    }
    harness_do_all(harness, pointers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(records[i].result, STORE_DONE);
    assert_true(atoi(harness_value(harness, "SELECT batch FROM studyd_owner")) < N);
    harness_reopen(harness);
    for (int i = 0; i < N; i++) {
        json_t *trial = harness_trial(harness, i % 2 ? "t" : "s", (size_t)i / 2);
        assert_int_equal(get_int(trial, "number"), i / 2);
        assert_int_equal(get_int(trial, "trial_id"), records[i].trial.trial_id);
        assert_string_equal(get_text(trial, "state"), "complete");
    }
}

/* After many at once, who comes alone is not waited with: the rest of the others never comes. */
static void test_one_after_many(void **state)
{
    enum { N = 40 };
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    static struct store_record records[N];
    struct store_record *pointers[N];
    for (int i = 0; i < N; i++) {
        records[i] = record_create_trial(study_id, i, test_params);
        pointers[i] = &records[i];
    }
    harness_do_all(harness, pointers, N);
    uint64_t begun_ns = uv_hrtime();
    for (int i = N; i < N + 10; i++)
        harness_create_trial(harness, study_id, i);
    assert_true(uv_hrtime() - begun_ns < 5000000000u);
}

/* More than fit into one batch, in one go: all are stored, in their order. */
static void test_more_than_a_batch(void **state)
{
    enum { N = 5000 };
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    static struct store_record records[N];
    static struct report_point points[N];
    static struct store_record *pointers[N];
    for (int i = 0; i < N; i++) {
        points[i] = (struct report_point){i % 50, i};
        records[i] = record_of(STORE_REPORT, study_id, 100 + i);
        records[i].report.trial_id = trial_id;
        records[i].report.n_points = 1;
        records[i].report.points = &points[i];
        pointers[i] = &records[i];
    }
    harness_do_all(harness, pointers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(records[i].result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_intermediate_values WHERE "
                                               "intermediate_value = step + 4950"),
                        "50");
    assert_string_equal(harness_value(harness, "SELECT seq FROM studyd_studies"), "5099");
}

/* The server may give ids in steps, as a member of a cluster does: each row gets what belongs to it. */
static void test_id_steps(void **state)
{
    enum { N = 5 };
    struct harness *harness = *state;
    harness_sql(harness, "SET GLOBAL auto_increment_increment = 3");
    harness_begin(state);
    harness_sql(harness, "SET GLOBAL auto_increment_increment = 1");
    int64_t study_id = harness_create_study(harness);
    struct store_record records[N];
    struct store_record *pointers[N];
    for (int i = 0; i < N; i++) {
        records[i] = record_create_trial(study_id, i, test_params);
        pointers[i] = &records[i];
    }
    harness_do_all(harness, pointers, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(atoi(harness_value(harness, "SELECT number FROM trials WHERE trial_id=%lld",
                                            (long long)records[i].trial.trial_id)),
                         i);
    assert_string_equal(harness_value(harness, "SELECT COUNT(DISTINCT trial_id) FROM trial_params"), "5");
    assert_int_equal(records[1].trial.trial_id, records[0].trial.trial_id + 3);
}

/* A choice's name of 50 kB: each trial's row repeats it. */
static struct space *wide_space(void)
{
    struct problem problem = {0};
    char name[50000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    json_t *json = json_pack("{s:{s:s,s:[s,s]}}", "c", "type", "categorical", "choices", "a", name);
    struct space *space = space_read(json, "space", &problem);
    json_decref(json);
    return space;
}

/* The server takes packets of this size from now on. */
static void set_packet(struct harness *harness, int size)
{
    if (harness->kind == HARNESS_MYSQL)
        harness_sql(harness, "SET GLOBAL max_allowed_packet = %d", size);
}

/* A batch is as large as its rows happen to be, a statement is not. */
static void test_large_batch(void **state)
{
    enum { N = 60 };
    struct harness *harness = *state;
    struct space *space = wide_space();
    const double first = 0;
    static struct store_record records[N];
    struct store_record *pointers[N];
    set_packet(harness, 1 << 20);
    harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    for (int i = 0; i < N; i++) {
        records[i] = record_create_trial(study_id, i, &first);
        records[i].trial.space = space;
        pointers[i] = &records[i];
    }
    harness_do_all(harness, pointers, N);
    set_packet(harness, 16 << 20);
    for (int i = 0; i < N; i++)
        assert_int_equal(records[i].result, STORE_DONE);
    assert_int_equal(harness->n_away, 0);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_params"), "60");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studyd_trials"), "60");
    space_free(space);
}

/* What is too large by itself is refused, with what helps, and does not end the connection for others. */
static void test_too_large(void **state)
{
    struct harness *harness = *state;
    char text[65501];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    set_packet(harness, 1 << 16);
    harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record large = record_create_trial(study_id, 0, NULL), other = record_create_study("t");
    large.trial.user_attrs = json_pack("{s:s}", "a", text);
    other.uid = "ffffffffffffffffffffffffffffffff";
    harness_do_all(harness, (struct store_record *[]){&large, &other}, 2);
    set_packet(harness, 16 << 20);
    json_decref(large.trial.user_attrs);
    assert_int_equal(large.result, STORE_REFUSED);
    assert_non_null(strstr(large.detail, "max_allowed_packet"));
    assert_int_equal(other.result, STORE_DONE);
    assert_int_equal(harness->n_away, 0);
}

/* An attribute of more than a TEXT's 65,535 bytes is refused (1406); the trial is as it was. */
static void test_too_long(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    char *text = memset(malloc(70001), 'x', 70000);
    text[70000] = '\0';
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    tell.trial.user_attrs = json_pack("{s:s}", "a", text);
    assert_int_equal(harness_do(harness, &tell), STORE_REFUSED);
    assert_non_null(strstr(tell.detail, "error 1406"));
    assert_string_equal(harness_value(harness, "SELECT state FROM trials"), "RUNNING");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_values"), "0");
    json_decref(tell.trial.user_attrs);
    free(text);
}

static void assert_cold(struct store_read *read)
{
    const struct store_cold_trial *ours = &read->trials[1], *gone = &read->trials[0];
    assert_int_equal(read->error, 0);
    assert_int_equal(gone->trial_id, 0);
    assert_null(gone->user_attrs);
    assert_json(ours->user_attrs, "{\"a\":[1,\"NaN\"]}");
    assert_null(ours->params);
    assert_int_equal(ours->n_points, 1);
    assert_int_equal(ours->points[0].step, 3);
    assert_int_equal(ours->n_constraints, 1);
    assert_true(ours->constraints[0] == -1);
    assert_string_equal(ours->failure, "objective");
    assert_null(ours->reason);
    *(bool *)read->user = true;
}

/* What is not kept in memory can be read: attributes, reports, constraints, failures; a trial that is gone is
 * all zero. */
static void test_cold_read(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    static const struct report_point point = {3, 0.5};
    static const double constraint = -1;
    struct store_record report = record_of(STORE_REPORT, study_id, 50);
    report.report.trial_id = trial_id;
    report.report.n_points = 1;
    report.report.points = &point;
    assert_int_equal(harness_do(harness, &report), STORE_DONE);
    struct store_record record = record_finish(study_id, trial_id, TRIAL_FAIL, NULL);
    record.trial.failure = "objective";
    record.trial.constraints = &constraint;
    record.trial.n_constraints = 1;
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    harness_sql(
        harness,
        "INSERT INTO trial_user_attributes (trial_id, `key`, value_json) VALUES (%lld, 'a', '[1, NaN]')",
        (long long)trial_id);

    bool is_done = false;
    int64_t ids[] = {trial_id + 1000, trial_id};
    struct store_read read = {
        .study_id = study_id, .n_trials = 2, .trial_ids = ids, .done = assert_cold, .user = &is_done};
    assert_int_equal(store_read_trials(harness->store, &read), 0);
    harness_run_until(harness, is_done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_schema),
        ON_BOTH(test_create_study),
        ON_BOTH(test_study_exists),
        ON_BOTH(test_change_study),
        ON_BOTH(test_create_running),
        ON_BOTH(test_absent_parameter),
        ON_BOTH(test_enqueue_and_start),
        ON_BOTH(test_finish_complete),
        ON_BOTH(test_infinite_values),
        ON_BOTH(test_exact_doubles),
        ON_BOTH(test_reports),
        ON_BOTH(test_report_of_new_attempt),
        ON_BOTH(test_release_and_fail),
        ON_BOTH(test_many_at_once),
        ON_BOTH(test_one_after_many),
        ON_BOTH(test_more_than_a_batch),
        ON_MYSQL(test_id_steps),
        ON_BOTH(test_large_batch),
        ON_MYSQL(test_too_large),
        ON_MYSQL(test_too_long),
        ON_BOTH(test_cold_read),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
