/* SPDX-License-Identifier: MIT */
/* Runs a store on a fresh database for a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "tests/unit/store_harness.h"

/* ---- what is loaded ---- */

static json_t *doubles_to_json(const double *values, size_t n)
{
    if (!values)
        return json_null();
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_from_double(values[i]));
    return array;
}

static json_t *hex_to_json(bool is_set, const unsigned char *bytes, size_t size)
{
    char text[2 * STORE_REQUEST_SIZE + 1] = "";
    for (size_t i = 0; is_set && i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return is_set ? json_string(text) : json_null();
}

static json_t *points_to_json(const struct store_trial *trial)
{
    json_t *points = json_array();
    for (size_t i = 0; i < trial->n_points; i++)
        json_array_append_new(
            points, json_pack("[i,o]", (int)trial->points[i].step, json_from_double(trial->points[i].value)));
    return points;
}

static json_t *trial_to_json(const struct store_trial *trial)
{
    return json_pack(
        "{s:I,s:s,s:b,s:I,s:I,s:o,s:o,s:i,s:o,s:o,s:O?,s:I,s:I,s:s,s:s?,s:o,s:I,s:I,s:I,s:o,s:o,s:I}", //
        "number", (json_int_t)trial->number, "state", trial_state_names[trial->state],                 //
        "is_ours", trial->is_ours, "start_us", (json_int_t)trial->start_us,                            //
        "complete_us", (json_int_t)trial->complete_us,                                                 //
        "params", doubles_to_json(trial->params, trial->n_params),                                     //
        "values", doubles_to_json(trial->values, trial->n_values),                                     //
        "last_step", (int)trial->last_step, "last_value", json_from_double(trial->last_value),         //
        "violation", json_from_double(trial->violation), "fixed_params", trial->fixed_params,          //
        "attempt", (json_int_t)trial->attempt, "retries", (json_int_t)trial->retries,                  //
        "lease", trial->lease, "worker", trial->worker,                                                //
        "request", hex_to_json(trial->request.is_set, trial->request.bytes, STORE_REQUEST_SIZE),       //
        "sampled_seq", (json_int_t)trial->sampled_seq, "asked_seq", (json_int_t)trial->asked_seq,      //
        "finished_seq", (json_int_t)trial->finished_seq,                                               //
        "outcome", hex_to_json(trial->has_outcome, trial->outcome, STORE_OUTCOME_SIZE),                //
        "points", points_to_json(trial), "trial_id", (json_int_t)trial->trial_id);
}

static void *study_begin(void *user, const struct store_study *study)
{
    struct harness *harness = user;
    json_t *directions = json_array();
    for (size_t i = 0; i < study->n_directions; i++)
        json_array_append_new(directions, json_string(direction_names[study->directions[i]]));
    json_t *json =
        json_pack("{s:I,s:s,s:o,s:s?,s:O?,s:s,s:s?,s:I,s:O,s:[]}", "study_id", (json_int_t)study->study_id,
                  "uid", study->uid, "directions", directions, "spec", study->spec_json, "space",
                  study->space, "state", study->state, "reason", study->reason, "seq", (json_int_t)study->seq,
                  "user_attrs", study->user_attrs, "trials");
    json_object_set_new(json, "first_ask_us", json_integer(study->first_ask_us));
    json_object_set_new(harness->loaded, study->name, json);
    return json;
}

static void take_trial(void *user, void *study, const struct store_trial *trial)
{
    (void)user;
    json_array_append_new(json_object_get(study, "trials"), trial_to_json(trial));
}

static void study_end(void *user, void *study)
{
    (void)user;
    (void)study;
}

json_t *harness_trial(struct harness *harness, const char *study, size_t index)
{
    return json_array_get(json_object_get(json_object_get(harness->loaded, study), "trials"), index);
}

/* ---- events ---- */

static void standby(void *user, const char *owner)
{
    struct harness *harness = user;
    harness->n_standby++;
    snprintf(harness->owner, sizeof harness->owner, "%s", owner);
}

static void loaded(void *user)
{
    ((struct harness *)user)->is_loaded = true;
}

static void condition(void *user, enum store_condition condition, const char *why)
{
    struct harness *harness = user;
    harness->is_away = condition == STORE_UNREACHABLE;
    harness->n_away += condition == STORE_UNREACHABLE;
    harness->is_stalled = condition == STORE_STALLED;
    harness->n_stalls += condition == STORE_STALLED;
    if (condition != STORE_WORKS)
        snprintf(harness->why, sizeof harness->why, "%s", why);
}

static void failed(void *user, int exit_code, const char *why)
{
    struct harness *harness = user;
    harness->exit_code = exit_code;
    snprintf(harness->why, sizeof harness->why, "%s", why);
}

static void closed(void *user)
{
    ((struct harness *)user)->is_closed = true;
}

void harness_open(struct harness *harness)
{
    struct problem problem = {0};
    struct store_sink sink = {harness, study_begin, take_trial, study_end};
    struct store_observer observer = {harness, standby, loaded, condition, failed};
    json_decref(harness->loaded);
    harness->loaded = json_object();
    harness->is_loaded = harness->is_closed = false;
    harness->n_standby = 0;
    harness->store = store_new(&harness->loop, harness->url, NULL, &sink, &observer, &problem);
    if (!harness->store)
        fail_msg("store_new: %s", problem.detail);
    harness_run_until(harness, harness->is_loaded || harness->n_standby || harness->exit_code);
}

void harness_close_within(struct harness *harness, int grace_ms)
{
    store_close(harness->store, grace_ms, closed, harness);
    harness_run_until(harness, harness->is_closed);
    harness->store = NULL;
}

void harness_close(struct harness *harness)
{
    harness_close_within(harness, 5000);
}

void harness_reopen(struct harness *harness)
{
    harness_close(harness);
    harness_open(harness);
    assert_true(harness->is_loaded);
}

/* ---- from outside ---- */

static struct sql *open_outside(const char *url)
{
    struct sql_address address;
    struct problem problem = {0};
    assert_int_equal(sql_address_read(&address, url, NULL, &problem), 0);
    struct sql *sql = sql_open(&address, address.path ? SQL_WRITER : SQL_LOADER); /* no short time limits */
    if (sql->status != SQL_OK)
        fail_msg("%s: %s", url, sql->error);
    sql_address_deinit(&address);
    return sql;
}

static struct sql *outside(struct harness *harness)
{
    if (!harness->outside)
        harness->outside = open_outside(harness->url);
    return harness->outside;
}

static void check(struct sql *sql, const char *text)
{
    if (sql->status != SQL_OK)
        fail_msg("%s: %s", text, sql->error);
}

void harness_sql(struct harness *harness, const char *format, ...)
{
    char text[4000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sql_run(outside(harness), "%s", text);
    check(harness->outside, text);
}

static const char *read_rows(struct harness *harness, int n_columns, const char *text)
{
    static struct buffer answers[4];
    static size_t turn;
    struct buffer *answer = &answers[turn++ % 4];
    buffer_clear(answer);
    sql_query(outside(harness), "%s", text);
    while (sql_next(harness->outside)) {
        if (answer->size)
            buffer_append_char(answer, ' ');
        for (int i = 0; i < n_columns; i++) {
            const char *cell = sql_text(harness->outside, i);
            buffer_printf(answer, "%s%s", i ? "|" : "", cell ? cell : "NULL");
        }
    }
    check(harness->outside, text);
    return buffer_text(answer);
}

const char *harness_value(struct harness *harness, const char *format, ...)
{
    char text[4000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return read_rows(harness, 1, text);
}

const char *harness_rows(struct harness *harness, int n_columns, const char *format, ...)
{
    char text[4000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return read_rows(harness, n_columns, text);
}

/* ---- setup and teardown ---- */

/* mysql://.../name?... with another database. */
static void name_database(char *out, size_t size, const char *url, const char *name)
{
    const char *slash = strchr(strstr(url, "://") + 3, '/');
    const char *query = strchr(slash, '?');
    snprintf(out, size, "%.*s/%s%s", (int)(slash - url), url, name, query ? query : "");
}

static void on_server(const char *format, const char *name)
{
    struct sql *sql = open_outside(getenv("STUDYD_TEST_MYSQL"));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
    sql_run(sql, format, name);
#pragma GCC diagnostic pop
    check(sql, format);
    sql_close(sql);
}

enum harness_kind harness_kinds[] = {HARNESS_SQLITE, HARNESS_MYSQL};

void harness_choose_tests(void)
{
    if (getenv("STUDYD_TEST_MYSQL"))
        return;
    puts("# SKIP tests on MySQL: STUDYD_TEST_MYSQL names no server");
    cmocka_set_test_filter("*on SQLite");
}

int harness_setup(void **state)
{
    enum harness_kind kind = *(enum harness_kind *)*state;
    const char *server = getenv("STUDYD_TEST_MYSQL");
    struct harness *harness = memory_new(sizeof *harness);
    harness->kind = kind;
    *state = harness;
    alarm(60); /* a test that waits in vain ends here */
    assert_int_equal(uv_loop_init(&harness->loop), 0);
    if (kind == HARNESS_MYSQL) {
        char name[40];
        snprintf(name, sizeof name, "studyd_test_%d", (int)getpid());
        on_server("DROP DATABASE IF EXISTS %s", name);
        on_server("CREATE DATABASE %s", name);
        name_database(harness->url, sizeof harness->url, server, name);
    } else {
        snprintf(harness->directory, sizeof harness->directory, "/tmp/studyd-test-XXXXXX");
        assert_non_null(mkdtemp(harness->directory));
        snprintf(harness->url, sizeof harness->url, "sqlite:///%s/test.db", harness->directory);
    }
    return 0;
}

static void remove_files(const struct harness *harness)
{
    static const char *const names[] = {"test.db", "test.db-wal", "test.db-shm", "test.db.lock"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", harness->directory, names[i]);
        unlink(path);
    }
    rmdir(harness->directory);
}

int harness_teardown(void **state)
{
    struct harness *harness = *state;
    if (harness->store)
        harness_close(harness);
    sql_close(harness->outside);
    if (harness->kind == HARNESS_MYSQL) {
        char name[40];
        snprintf(name, sizeof name, "studyd_test_%d", (int)getpid());
        on_server("DROP DATABASE IF EXISTS %s", name);
    }
    if (harness->directory[0])
        remove_files(harness);
    json_decref(harness->loaded);
    int result = uv_loop_close(&harness->loop);
    free(harness);
    alarm(0);
    return result;
}

/* ---- records ---- */

struct done {
    bool is_done;
};

static void record_done(struct store_record *record)
{
    ((struct done *)record->user)->is_done = true;
    /* What the store lends is gone when this returns: a test that wants it has a `done` of its own. */
}

void harness_do_all(struct harness *harness, struct store_record *const *records, size_t n)
{
    struct done *done = memory_array(n, sizeof *done);
    for (size_t i = 0; i < n; i++) {
        if (!records[i]->done)
            records[i]->done = record_done;
        records[i]->user = &done[i];
        assert_int_equal(store_submit(harness->store, records[i]), 0);
        assert_false(done[i].is_done);
    }
    for (size_t i = 0; i < n; i++)
        harness_run_until(harness, done[i].is_done);
    free(done);
}

enum store_result harness_do(struct harness *harness, struct store_record *record)
{
    harness_do_all(harness, &record, 1);
    return record->result;
}

const struct space *harness_space(void)
{
    static struct space *space;
    struct problem problem = {0};
    if (!space) {
        json_t *spec = json_loads(TEST_SPEC, 0, NULL);
        space = space_read(json_object_get(spec, "space"), "space", &problem);
        json_decref(spec);
    }
    return space;
}

struct store_record record_of(enum store_change change, int64_t study_id, int64_t seq)
{
    return (struct store_record){.change = change, .study_id = study_id, .uid = TEST_UID, .seq = seq};
}

struct store_record record_create_study(const char *name)
{
    static const enum direction directions[] = {DIRECTION_MINIMIZE};
    struct store_record record = record_of(STORE_CREATE_STUDY, 0, 1);
    record.study.name = name;
    record.study.n_directions = 1;
    record.study.directions = directions;
    record.study.spec_json = TEST_SPEC;
    record.study.state = "running";
    return record;
}

struct store_record record_create_trial(int64_t study_id, int64_t number, const double *params)
{
    struct store_record record = record_of(STORE_CREATE_TRIAL, study_id, 10 + number);
    record.trial.number = number;
    record.trial.state = params ? TRIAL_RUNNING : TRIAL_WAITING;
    record.trial.space = harness_space();
    record.trial.params = params;
    record.trial.start_us = params ? 1763900000000000 : 0;
    record.trial.attempt = params ? 1 : 0;
    record.trial.lease = params ? TEST_LEASE : "";
    record.trial.worker = params ? "node1/gpu0" : NULL;
    record.trial.sampled_seq = record.trial.asked_seq = params ? record.seq : 0;
    return record;
}

struct store_record record_finish(int64_t study_id, int64_t trial_id, enum trial_state state,
                                  const double *value)
{
    struct store_record record = record_of(STORE_FINISH_TRIAL, study_id, 100 + trial_id);
    record.trial.trial_id = trial_id;
    record.trial.from = TRIAL_RUNNING;
    record.trial.state = state;
    record.trial.complete_us = 1763900060000000;
    record.trial.attempt = 1;
    record.trial.lease = "";
    record.trial.worker = "node1/gpu0";
    record.trial.n_values = value ? 1 : 0;
    record.trial.values = value;
    record.trial.finished_seq = record.seq;
    return record;
}

/* ---- beginnings that many tests have ---- */

const double test_params[3] = {0.1, 3, 2};

struct harness *harness_begin(void **state)
{
    struct harness *harness = *state;
    harness_open(harness);
    assert_true(harness->is_loaded);
    return harness;
}

static int64_t create_study(struct harness *harness, const char *name, const char *uid)
{
    struct store_record record = record_create_study(name);
    record.uid = uid;
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_true(record.study_id > 0);
    return record.study_id;
}

int64_t harness_create_study(struct harness *harness)
{
    return create_study(harness, "s", TEST_UID);
}

int64_t harness_create_other_study(struct harness *harness)
{
    return create_study(harness, "t", TEST_OTHER_UID);
}

int64_t harness_create_trial(struct harness *harness, int64_t study_id, int64_t number)
{
    struct store_record record = record_create_trial(study_id, number, test_params);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_true(record.trial.trial_id > 0);
    return record.trial.trial_id;
}
