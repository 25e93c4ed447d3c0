/* SPDX-License-Identifier: MIT */
/* Unit tests of what others left: Optuna's studies are loaded, other versions and other programs' databases
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/store_harness.h"

#define FLOAT_X                                                                                       \
    "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.0, \"high\": %s, " \
    "\"log\": false}}"

static struct harness *begin(void **state)
{
    struct harness *harness = *state;
    return harness;
}

/* Makes the tables, as a first start does. */
static struct harness *begin_with_tables(void **state)
{
    struct harness *harness = begin(state);
    harness_open(harness);
    harness_close(harness);
    return harness;
}

static void assert_json(json_t *value, const char *expected)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
}

/* A study of Optuna's: no spec, no uid; its space is each parameter's newest distribution in order of
 * appearance. */
static void test_optuna_study(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "INSERT INTO studies (study_id, study_name) VALUES (7, 'theirs')");
    harness_sql(harness,
                "INSERT INTO study_directions (study_id, objective, direction) VALUES (7, 0, 'MAXIMIZE')");
    harness_sql(
        harness,
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) VALUES "
        "(70, 0, 7, 'COMPLETE', '2026-11-23 10:11:12', '2026-11-23 10:11:13'), (71, 1, 7, 'RUNNING', "
        "'2026-11-23 10:11:12', NULL), (72, 2, 7, 'WAITING', NULL, NULL), (73, 3, 7, 'FAIL', NULL, NULL)");
    harness_sql(harness,
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES "
                "(70, 'x', 0.25, '" FLOAT_X
                "'), (70, 'old', 1.0, '{\"name\": \"NoSuchDistribution\", \"attributes\": {}}'), "
                "(71, 'c', 1, '{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\", "
                "NaN]}}'), "
                "(71, 'x', 1.5, '" FLOAT_X "')",
                "1.0", "2.0");
    harness_sql(
        harness,
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (70, 0, 0.5, 'FINITE')");
    harness_sql(harness, "INSERT INTO trial_system_attributes (trial_id, `key`, value_json) VALUES "
                         "(70, 'constraints', '[1.0, -1.0]'), (70, 'constraints:late', '0.5'), (72, "
                         "'fixed_params', '{\"x\": 0.75}')");
    harness_open(harness);
    json_t *study = json_object_get(harness->loaded, "theirs");
    assert_json(json_object_get(study, "uid"), "\"\"");
    assert_json(json_object_get(study, "directions"), "[\"maximize\"]");
    assert_json(json_object_get(study, "spec"), "null");
    assert_json(json_object_get(study, "space"),
                "{\"x\":{\"type\":\"float\",\"low\":0.0,\"high\":2.0},"
                "\"c\":{\"type\":\"categorical\",\"choices\":[\"a\",\"NaN\"]}}");
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "params"), "[0.25,\"NaN\"]");
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "values"), "[0.5]");
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "violation"), "1.5");
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "start_us"), "1795428672000000");
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "is_ours"), "false");
    assert_json(json_object_get(harness_trial(harness, "theirs", 1), "params"), "[1.5,1.0]");
    assert_json(json_object_get(harness_trial(harness, "theirs", 1), "state"), "\"running\"");
    assert_json(json_object_get(harness_trial(harness, "theirs", 2), "params"), "null");
    assert_json(json_object_get(harness_trial(harness, "theirs", 2), "fixed_params"), "{\"x\":0.75}");
    assert_json(json_object_get(harness_trial(harness, "theirs", 3), "params"), "[\"NaN\",\"NaN\"]");
}

/* More trials than are read at a time, and ids as far apart as other studies' trials between them make them.
 */
static void test_many_far_apart(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "INSERT INTO studies (study_id, study_name) VALUES (7, 'theirs'), (8, 'between')");
    harness_sql(harness, "INSERT INTO study_directions (study_id, objective, direction) VALUES "
                         "(7, 0, 'MAXIMIZE'), (8, 0, 'MAXIMIZE')");
    harness_sql(harness, "INSERT INTO trials (trial_id, number, study_id, state) VALUES (1, 0, 7, 'FAIL')");
    for (int n = 1; n < 16384; n *= 2)
        harness_sql(harness,
                    "INSERT INTO trials (trial_id, number, study_id, state) SELECT trial_id + %d, number + "
                    "%d, 7, 'FAIL' FROM trials",
                    n, n);
    harness_sql(harness, "INSERT INTO trials (trial_id, number, study_id, state) VALUES "
                         "(20000, 0, 8, 'FAIL'), (300000, 16384, 7, 'FAIL'), (300001, 1, 8, 'FAIL'), "
                         "(2147483647, 16385, 7, 'FAIL')");
    harness_open(harness);
    json_t *theirs = json_object_get(json_object_get(harness->loaded, "theirs"), "trials");
    assert_int_equal(json_array_size(theirs), 16386);
    for (size_t i = 0; i < 16386; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(theirs, i), "number")), i);
    assert_int_equal(json_array_size(json_object_get(json_object_get(harness->loaded, "between"), "trials")),
                     2);
}

static void assert_odd(struct store_read *read)
{
    assert_int_equal(read->error, 0);
    assert_json(read->trials[0].params, "{\"below\":null,\"beyond\":null,\"half\":\"b\",\"nan\":null,"
                                        "\"wide\":1e20,\"int\":-7,\"inf\":\"Infinity\",\"none\":null}");
    assert_int_equal(read->trials[0].n_points, 2);
    assert_int_equal(read->trials[0].points[0].step, 5);
    assert_int_equal(read->trials[0].points[1].step, INT32_MAX);
    *(bool *)read->user = true;
}

#define CHOICES "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\", \"b\"]}}"
#define AN_INT                                                                                   \
    "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": 1, " \
    "\"high\": 9}}"

/* Whatever others have written can be read: indices of no choice, numbers that are no integers, steps beyond
 * 32 bits. */
static void test_odd_values(void **state)
{
    struct harness *harness = begin_with_tables(state);
    int64_t trial_id = 70;
    bool is_done = false;
    harness_sql(harness, "INSERT INTO studies (study_id, study_name) VALUES (7, 'theirs')");
    harness_sql(harness,
                "INSERT INTO study_directions (study_id, objective, direction) VALUES (7, 0, 'MAXIMIZE')");
    harness_sql(harness,
                "INSERT INTO trials (trial_id, number, study_id, state) VALUES (70, 0, 7, 'PRUNED')");
    harness_sql(harness,
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES "
                "(70, 'below', -1, '" CHOICES "'), (70, 'beyond', 2, '" CHOICES "'), "
                "(70, 'half', 1.5, '" CHOICES "'), (70, 'nan', NULL, '" CHOICES "'), "
                "(70, 'wide', 1e20, '" AN_INT "'), (70, 'int', -7, '" AN_INT "'), "
                "(70, 'inf', %s, '" FLOAT_X "'), (70, 'none', 1, 'none')",
                harness->kind == HARNESS_SQLITE ? "9e999" : "1e308", "1.0");
    harness_sql(harness,
                "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, "
                "intermediate_value_type) VALUES (70, 5, 0.5, 'FINITE'), (70, %s, 1, 'FINITE')",
                harness->kind == HARNESS_SQLITE ? "1099511627776" : "2147483647");
    harness_open(harness);
    assert_json(json_object_get(harness_trial(harness, "theirs", 0), "last_step"), "2147483647");
    struct store_read read = {
        .study_id = 7, .n_trials = 1, .trial_ids = &trial_id, .done = assert_odd, .user = &is_done};
    assert_int_equal(store_read_trials(harness->store, &read), 0);
    harness_run_until(harness, is_done);
}

/* A study of Optuna's goes on under us: it gets a uid, its trials' parameters are not packed while there is
 * no spec, and a waiting one of its trials can be handed out. */
static void test_optuna_study_goes_on(void **state)
{
    struct harness *harness = begin_with_tables(state);
    static const double params[] = {0.1, 3, 2};
    harness_sql(harness, "INSERT INTO studies (study_id, study_name) VALUES (7, 'theirs')");
    harness_sql(harness,
                "INSERT INTO study_directions (study_id, objective, direction) VALUES (7, 0, 'MINIMIZE')");
    harness_sql(harness,
                "INSERT INTO trials (trial_id, number, study_id, state) VALUES (70, 0, 7, 'WAITING')");
    harness_open(harness);
    struct store_record start = record_create_trial(7, 0, params);
    start.change = STORE_START_TRIAL;
    start.trial.trial_id = 70;
    start.trial.from = TRIAL_WAITING;
    assert_int_equal(harness_do(harness, &start), STORE_DONE);
    struct store_record ask = record_create_trial(7, 1, params);
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studyd_trials WHERE params IS NULL"),
                        "2");
    harness_reopen(harness);
    json_t *study = json_object_get(harness->loaded, "theirs");
    assert_json(json_object_get(study, "uid"), "\"" TEST_UID "\"");
    assert_json(json_object_get(study, "seq"), "11");
    for (size_t i = 0; i < 2; i++) {
        assert_json(json_object_get(harness_trial(harness, "theirs", i), "is_ours"), "true");
        assert_json(json_object_get(harness_trial(harness, "theirs", i), "params"),
                    "[0.10000000000000001,3.0,2.0]");
        assert_json(json_object_get(harness_trial(harness, "theirs", i), "lease"), "\"" TEST_LEASE "\"");
    }

    /* A spec is attached: from now on they are packed. */
    struct store_record attach = record_of(STORE_CHANGE_STUDY, 7, 20);
    attach.study.state = "running";
    attach.study.spec_json = TEST_SPEC;
    assert_int_equal(harness_do(harness, &attach), STORE_DONE);
    ask = record_create_trial(7, 2, params);
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studyd_trials WHERE params IS NULL"),
                        "2");
    harness_reopen(harness);
    for (size_t i = 0; i < 3; i++)
        assert_json(json_object_get(harness_trial(harness, "theirs", i), "params"),
                    "[0.10000000000000001,3.0,2.0]");
}

static void assert_refused(struct harness *harness, const char *words)
{
    harness_open(harness);
    assert_false(harness->is_loaded);
    assert_int_equal(harness->exit_code, 3);
    if (!strstr(harness->why, words))
        fail_msg("'%s' does not say '%s'", harness->why, words);
}

/* Another version of Optuna's schema is refused, naming what was found, what is needed and what to do. */
static void test_other_version(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "UPDATE alembic_version SET version_num='v2.6.0.a'");
    assert_refused(harness, "schema v2.6.0.a, studyd needs v3.2.0.a (Optuna 3.2 to 5.0): upgrade it with "
                            "`optuna storage upgrade --storage URL`");
}

/* A newer one cannot be upgraded to ours: the advice is another. */
static void test_newer_version(void **state)
{
    static const char *const newer[] = {"v3.2.0.b", "v6.0.0.a", "v10.0.0.a"};
    struct harness *harness = begin_with_tables(state);
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
        harness_sql(harness, "UPDATE alembic_version SET version_num='%s'", newer[i]);
        assert_refused(harness, "made by a newer Optuna; use a newer studyd, or a database of its own");
        assert_null(strstr(harness->why, "upgrade"));
        harness_close(harness);
        harness->exit_code = 0;
    }
    harness_sql(harness, "DELETE FROM alembic_version");
    harness_sql(harness, "UPDATE version_info SET schema_version=13");
    assert_refused(harness, "made by a newer Optuna");
}

/* So is another schema version without a revision. */
static void test_other_schema_version(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "UPDATE version_info SET schema_version=11");
    assert_refused(harness, "schema version 11, studyd needs 12");
}

/* A database of another program's is left alone. */
static void test_other_program(void **state)
{
    struct harness *harness = begin(state);
    harness_sql(harness, "CREATE TABLE alembic_version (version_num VARCHAR(32))");
    harness_sql(harness, "INSERT INTO alembic_version VALUES ('bd07f7e963c5')");
    assert_refused(harness, "belongs to another program");
}

/* A first start that died half way is completed by the next one. */
static void test_half_made(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "DELETE FROM alembic_version");
    harness_sql(harness, "DELETE FROM version_info");
    harness_sql(harness, "DROP TABLE trial_heartbeats");
    harness_open(harness);
    assert_true(harness->is_loaded);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_heartbeats"), "0");
    assert_string_equal(harness_value(harness, "SELECT schema_version FROM version_info"), "12");
    assert_string_equal(harness_value(harness, "SELECT version_num FROM alembic_version"), "v3.2.0.a");
}

/* A login or a file that will never do ends the store at once. */
static void test_no_access(void **state)
{
    struct harness *harness = begin(state);
    if (harness->kind == HARNESS_SQLITE)
        strcpy(harness->url, "sqlite:////no/such/directory/studyd.db");
    else
        memcpy(strstr(harness->url, "studyd_test_"), "studyd_none_", strlen("studyd_none_"));
    assert_refused(harness, harness->kind == HARNESS_SQLITE
                                ? "the directory /no/such/directory does not exist"
                                : "must first CREATE DATABASE `studyd_none_");
    if (harness->kind == HARNESS_MYSQL) /* teardown drops the database itself */
        memcpy(strstr(harness->url, "studyd_none_"), "studyd_test_", strlen("studyd_test_"));
}

/* A directory that cannot be written is named. (Root can write each, and so is somebody else here.) */
static void test_locked_directory(void **state)
{
    struct harness *harness = begin(state);
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(harness->directory, 0555), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    harness_open(harness);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(harness->directory, 0700), 0);
    assert_int_equal(harness->exit_code, 3);
    assert_non_null(strstr(harness->why, harness->directory));
    assert_non_null(strstr(harness->why, "cannot be written by this user"));
}

/* The same for a file that is another user's, as one that root has restored. */
static void test_locked_file(void **state)
{
    struct harness *harness = begin_with_tables(state);
    bool is_root = geteuid() == 0;
    const char *path = harness->url + strlen("sqlite:///");
    char lock[200];
    snprintf(lock, sizeof lock, "%s.lock", path);
    assert_int_equal(unlink(lock), 0);
    assert_int_equal(chmod(path, 0444), 0);
    if (is_root) {
        assert_int_equal(chown(harness->directory, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    harness_open(harness);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(harness->exit_code, 3);
    assert_non_null(strstr(harness->why, path));
    assert_non_null(strstr(harness->why, "cannot be written by this user; chown"));
}

/* A wrong password ends the store at once, and the words say where the right one belongs. */
static void test_wrong_password(void **state)
{
    struct harness *harness = begin(state);
    char url[sizeof harness->url];
    snprintf(url, sizeof url, "mysql://studyd_nobody:wrong%s", strchr(harness->url, '@'));
    strcpy(harness->url, url);
    assert_refused(harness, "the password is that of --password-file, else that of the URL, "
                            "mysql://user:PASSWORD@host/studyd_test_");
    assert_non_null(strstr(harness->why, "--password-file"));
    assert_null(strstr(harness->why, "wrong"));
}

/* Who may only read gets no service, however long the store waits: it ends, and says which right is missing.
 */
static void test_read_only_user(void **state)
{
    struct harness *harness = begin_with_tables(state);
    char url[sizeof harness->url], name[32];
    snprintf(name, sizeof name, "studyd_test_%d", (int)getpid());
    snprintf(url, sizeof url, "mysql://%s:secret%s", name, strchr(harness->url, '@'));
    harness_sql(harness, "CREATE USER %s@localhost IDENTIFIED BY 'secret'", name);
    harness_sql(harness, "GRANT SELECT ON %s.* TO %s@localhost", name, name);
    strcpy(harness->url, url);
    assert_refused(harness, "; an administrator must GRANT SELECT, INSERT, UPDATE, DELETE ON `studyd_test_");
    assert_int_equal(harness->n_away, 0);
    harness_sql(harness, "DROP USER %s@localhost", name);
}

/* So it is with every refusal of the ownership. */
static void test_refused_ownership(void **state)
{
    struct harness *harness = begin_with_tables(state);
    harness_sql(harness, "CREATE TRIGGER no BEFORE UPDATE ON studyd_owner "
                         "BEGIN SELECT RAISE(ABORT, 'not for you'); END");
    assert_refused(harness, "not for you");
    assert_int_equal(harness->n_away, 0);
}

/* A file that is no database is not touched. */
static void test_no_database(void **state)
{
    struct harness *harness = begin(state);
    FILE *file = fopen(harness->url + strlen("sqlite:///"), "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("This is my thesis. ", file);
    fclose(file);
    assert_refused(harness, "not a database");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SQLITE(test_odd_values),         ON_BOTH(test_optuna_study),    ON_BOTH(test_many_far_apart),
        ON_BOTH(test_optuna_study_goes_on), ON_BOTH(test_other_version),   ON_BOTH(test_other_schema_version),
        ON_BOTH(test_other_program),        ON_BOTH(test_half_made),       ON_BOTH(test_no_access),
        ON_SQLITE(test_no_database),        ON_BOTH(test_newer_version),   ON_SQLITE(test_locked_directory),
        ON_SQLITE(test_locked_file),        ON_MYSQL(test_wrong_password), ON_MYSQL(test_read_only_user),
        ON_SQLITE(test_refused_ownership),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
