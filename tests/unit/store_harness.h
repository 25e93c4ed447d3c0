/* SPDX-License-Identifier: MIT */
/*
 * A store on a fresh database, for tests: SQLite in a temporary directory, or a database of its own on the
 * server that STUDYD_TEST_MYSQL names (mysql://root@localhost/mysql?unix_socket=...; databases studyd_test_*
 * are made and dropped there).
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "daemon/store/sql.h"
#include "daemon/store/store.h"

enum harness_kind { HARNESS_SQLITE, HARNESS_MYSQL };

struct harness {
    enum harness_kind kind;
    char directory[64]; /* SQLite */
    char url[512];
    uv_loop_t loop;
    struct store *store;
    json_t *loaded; /* what the sink saw: {"study name": {..., "trials": [...]}} */
    bool is_loaded, is_away, is_stalled, is_closed;
    int n_away, n_stalls; /* how often */
    int n_standby;
    char owner[300]; /* of whom standby spoke */
    int exit_code;   /* of failed() */
    char why[512];
    struct sql *outside; /* a connection that is not the store's: what others see and do */
};

/* cmocka's setup and teardown: *state is the kind (int) before, a struct harness after. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* Rows of cmocka's table: a test on both databases, or on the one where it can happen. */
extern enum harness_kind harness_kinds[];
#define HARNESS_TEST(test, kind, name)                                                 \
    {                                                                                  \
#test " on " name, test, harness_setup, harness_teardown, &harness_kinds[kind] \
    }
#define ON_SQLITE(test) HARNESS_TEST(test, HARNESS_SQLITE, "SQLite")
#define ON_MYSQL(test) HARNESS_TEST(test, HARNESS_MYSQL, "MySQL")
#define ON_BOTH(test) ON_SQLITE(test), ON_MYSQL(test)
/* Without a server only the rows on SQLite run, and a line says so. (This cmocka's skip() is a failure to
 * Meson.) */
void harness_choose_tests(void);

/* Opens the store and runs the loop until it has loaded, stands by, or failed. */
void harness_open(struct harness *harness);
void harness_close(struct harness *harness);
void harness_close_within(struct harness *harness, int grace_ms);
/* Closes and opens again: what is loaded is what the database holds. */
void harness_reopen(struct harness *harness);
/* Submits and waits for it. */
enum store_result harness_do(struct harness *harness, struct store_record *record);
/* Submits all at once, so that they share a batch, and waits for all. */
void harness_do_all(struct harness *harness, struct store_record *const *records, size_t n);
/* Runs the loop until the condition holds. */
#define harness_run_until(harness, condition) \
    while (!(condition))                      \
    uv_run(&(harness)->loop, UV_RUN_ONCE)
/* From outside: runs a statement; the first column of the first row as text ("NULL" for NULL, "" for no row),
 * valid until the fourth next call. */
void harness_sql(struct harness *harness, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *harness_value(struct harness *harness, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* All rows, columns separated by '|', rows by ' '. */
const char *harness_rows(struct harness *harness, int n_columns, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The loaded trial, borrowed. */
json_t *harness_trial(struct harness *harness, const char *study, size_t index);

/* Records with everything filled in that a test does not care for; `done` is the harness's. */
#define TEST_UID "00112233445566778899aabbccddeeff"
#define TEST_OTHER_UID "ffffffffffffffffffffffffffffffff"
#define TEST_LEASE "ffeeddccbbaa99887766554433221100"
#define TEST_SPEC                                                                  \
    "{\"name\": \"s\", \"directions\": [\"minimize\"], \"space\": {"               \
    "\"x\": {\"type\": \"float\", \"low\": 1e-08, \"high\": 1.0, \"log\": true}, " \
    "\"n\": {\"type\": \"int\", \"low\": 1, \"high\": 10}, "                       \
    "\"c\": {\"type\": \"categorical\", \"choices\": [\"a\", \"b\", null]}}}"
const struct space *harness_space(void); /* of TEST_SPEC */
struct store_record record_of(enum store_change change, int64_t study_id, int64_t seq);
struct store_record record_create_study(const char *name);
/* RUNNING with `params` of TEST_SPEC's space, or WAITING where they are NULL. */
struct store_record record_create_trial(int64_t study_id, int64_t number, const double *params);
extern const double test_params[3]; /* of TEST_SPEC's space */
struct store_record record_finish(int64_t study_id, int64_t trial_id, enum trial_state state,
                                  const double *value);

/* A test's beginning: opened, and loaded. */
struct harness *harness_begin(void **state);
/* Done, or the test fails: a study "s" of TEST_UID, "t" of TEST_OTHER_UID, a trial that runs with
 * test_params. Their ids. */
int64_t harness_create_study(struct harness *harness);
int64_t harness_create_other_study(struct harness *harness);
int64_t harness_create_trial(struct harness *harness, int64_t study_id, int64_t number);
