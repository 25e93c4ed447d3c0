/* SPDX-License-Identifier: MIT */
/* Unit tests of what goes wrong around the store: strangers, conflicts, lost connections, other
 * owners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/cut_proxy.h"
#include "tests/unit/store_harness.h"

static const double half = 0.5;

/* As Optuna does it: a trial of nobody's, with a parameter of its own and one of the study's. */
static int64_t add_foreign(struct harness *harness, int64_t study_id, int64_t number, const char *state)
{
    harness_sql(harness,
                "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (%lld, %lld, '%s', "
                "'2026-11-23 10:11:12')",
                (long long)number, (long long)study_id, state);
    int64_t trial_id = atoll(harness_value(harness, "SELECT MAX(trial_id) FROM trials"));
    harness_sql(
        harness,
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES "
        "(%lld, 'other', 1, '{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, "
        "\"low\": 1, "
        "\"high\": 10}}'), (%lld, 'n', 7, '{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, "
        "\"step\": 1, \"low\": 1, \"high\": 10}}')",
        (long long)trial_id, (long long)trial_id);
    return trial_id;
}

/* ---- strangers ---- */

struct seen {
    size_t n_foreign;
    int64_t number, trial_id;
    enum trial_state state;
    bool is_ours;
    double params[3];
};

static void see_foreign(struct store_record *record)
{
    struct seen *seen = record->user;
    seen->n_foreign = record->n_foreign;
    if (record->n_foreign == 0)
        return;
    const struct store_trial *trial = &record->foreign[0];
    seen->number = trial->number;
    seen->trial_id = trial->trial_id;
    seen->state = trial->state;
    seen->is_ours = trial->is_ours;
    if (trial->params)
        memcpy(seen->params, trial->params, sizeof seen->params);
}

static bool is_done;
static struct seen seen;

static void done_and_see(struct store_record *record)
{
    record->user = &seen;
    see_foreign(record);
    is_done = true;
}

/* Submits one record and keeps what came with it. */
static enum store_result see(struct harness *harness, struct store_record *record)
{
    seen = (struct seen){0};
    is_done = false;
    record->done = done_and_see;
    assert_int_equal(store_submit(harness->store, record), 0);
    harness_run_until(harness, is_done);
    return record->result;
}

/* Somebody else's trial takes the number: the ask is not applied, gets the trial, and works with the next
 * number. */
static void test_strangers(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    harness_create_trial(harness, study_id, 0);
    int64_t foreign_id = add_foreign(harness, study_id, 1, "RUNNING");

    struct store_record record = record_create_trial(study_id, 1, test_params);
    assert_int_equal(see(harness, &record), STORE_STRANGERS);
    assert_int_equal(seen.n_foreign, 1);
    assert_int_equal(seen.number, 1);
    assert_int_equal(seen.trial_id, foreign_id);
    assert_int_equal(seen.state, TRIAL_RUNNING);
    assert_false(seen.is_ours);
    assert_true(isnan(seen.params[0]) && seen.params[1] == 7);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "2");

    record = record_create_trial(study_id, 2, test_params);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT number FROM trials ORDER BY trial_id"), "0 1 2");
}

static size_t n_done, n_handed;

static void count_foreign(struct store_record *record)
{
    n_handed += record->n_foreign;
    n_done++;
}

/* Two asks behind two strangers: both are turned away, the strangers are handed over once; a tell among them
 * is applied. */
static void test_strangers_in_batch(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    add_foreign(harness, study_id, 1, "RUNNING");
    add_foreign(harness, study_id, 2, "RUNNING");
    struct store_record first = record_create_trial(study_id, 1, test_params),
                        second = record_create_trial(study_id, 2, test_params),
                        tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    struct store_record *records[] = {&first, &tell, &second};
    n_done = n_handed = 0;
    for (size_t i = 0; i < 3; i++) {
        records[i]->done = count_foreign;
        assert_int_equal(store_submit(harness->store, records[i]), 0);
    }
    harness_run_until(harness, n_done == 3);
    assert_int_equal(first.result, STORE_STRANGERS);
    assert_int_equal(second.result, STORE_STRANGERS);
    assert_int_equal(n_handed, 2);
    assert_int_equal(tell.result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials ORDER BY number"),
                        "COMPLETE RUNNING RUNNING");
}

/* LOOK brings new foreign trials, and those asked for as they are now. */
static void test_look(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t foreign_id = add_foreign(harness, study_id, 0, "RUNNING");
    struct store_record look = record_of(STORE_LOOK, study_id, 0);
    assert_int_equal(see(harness, &look), STORE_DONE);
    assert_int_equal(seen.n_foreign, 1);
    assert_int_equal(see(harness, &look), STORE_DONE);
    assert_int_equal(seen.n_foreign, 0);

    harness_sql(harness, "UPDATE trials SET state='COMPLETE' WHERE trial_id=%lld", (long long)foreign_id);
    add_foreign(harness, study_id, 1, "RUNNING");
    look.look.n_trials = 1;
    look.look.trial_ids = &foreign_id;
    assert_int_equal(see(harness, &look), STORE_DONE);
    assert_int_equal(seen.n_foreign, 2);
    assert_int_equal(seen.trial_id, foreign_id);
    assert_int_equal(seen.state, TRIAL_COMPLETE);

    struct store_record record = record_create_trial(study_id, 2, test_params);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
}

/* What somebody has added and not committed is not there: neither for a look, nor for an ask's number, which
 * waits for it. */
static void test_uncommitted(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    harness_sql(harness, "SET GLOBAL TRANSACTION ISOLATION LEVEL READ UNCOMMITTED");
    harness_reopen(harness);
    harness_sql(harness, "START TRANSACTION");
    harness_sql(harness, "INSERT INTO trials (number, study_id, state) VALUES (0, %lld, 'RUNNING')",
                (long long)study_id);
    struct store_record look = record_of(STORE_LOOK, study_id, 0);
    assert_int_equal(see(harness, &look), STORE_DONE);
    assert_int_equal(seen.n_foreign, 0);
    harness_sql(harness, "ROLLBACK");
    harness_sql(harness, "SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    harness_create_trial(harness, study_id, 0);
}

/* ---- conflicts and refusals ---- */

/* A trial that somebody else finished meanwhile: not applied, and the row as it is now comes along; others in
 * the batch go through. */
static void test_conflict(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = harness_create_trial(harness, study_id, i);
    harness_sql(harness, "UPDATE trials SET state='FAIL' WHERE trial_id=%lld", (long long)ids[1]);
    struct store_record tells[3];
    for (int i = 0; i < 3; i++)
        tells[i] = record_finish(study_id, ids[i], TRIAL_COMPLETE, &half);
    harness_do_all(harness, (struct store_record *[]){&tells[0], &tells[1], &tells[2]}, 3);
    assert_int_equal(tells[0].result, STORE_DONE);
    assert_int_equal(tells[1].result, STORE_CONFLICT);
    assert_int_equal(tells[2].result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials ORDER BY number"),
                        "COMPLETE FAIL COMPLETE");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_values"), "2");

    struct store_record again = record_finish(study_id, ids[1], TRIAL_COMPLETE, &half);
    assert_int_equal(see(harness, &again), STORE_CONFLICT);
    assert_int_equal(seen.n_foreign, 1);
    assert_int_equal(seen.state, TRIAL_FAIL);
}

/* What vanished from outside is a conflict without a row, of a trial as of a whole study. */
static void test_vanished(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    harness_sql(harness, "DELETE FROM trial_params WHERE trial_id=%lld", (long long)trial_id);
    harness_sql(harness, "DELETE FROM trials WHERE trial_id=%lld", (long long)trial_id);
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
    assert_int_equal(see(harness, &tell), STORE_CONFLICT);
    assert_int_equal(seen.n_foreign, 0);

    static const char *const tables[] = {"study_directions", "study_system_attributes", "studies"};
    for (size_t i = 0; i < 3; i++)
        harness_sql(harness, "DELETE FROM %s WHERE study_id=%lld", tables[i], (long long)study_id);
    struct store_record ask = record_create_trial(study_id, 1, test_params);
    assert_int_equal(harness_do(harness, &ask), STORE_CONFLICT);
}

/* SQLite gives a deleted study's id away again: the new study under the old id is not written to. */
static void test_reused_id(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    harness_sql(harness, "UPDATE study_system_attributes SET value_json='\"" TEST_OTHER_UID
                         "\"' WHERE `key`='studyd:uid'");
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    assert_int_equal(harness_do(harness, &ask), STORE_CONFLICT);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "0");
    harness_reopen(harness);
    json_t *study = json_object_get(harness->loaded, "s");
    assert_string_equal(json_string_value(json_object_get(study, "uid")), ""); /* no row of ours names it */
    assert_int_equal(json_integer_value(json_object_get(study, "seq")), 0);
}

/* As optuna.delete_study() and create_study() do it: another study under the old id, its trial under the old
 * trial's. */
static void replace_study(struct harness *harness)
{
    static const char *const tables[] = {"trial_params", "trials", "study_directions",
                                         "study_system_attributes", "studies"};
    for (size_t i = 0; i < 5; i++)
        harness_sql(harness, "DELETE FROM %s", tables[i]);
    harness_sql(harness, "INSERT INTO studies (study_name) VALUES ('theirs')");
    harness_sql(harness, "INSERT INTO trials (number, study_id, state) VALUES (0, 1, 'RUNNING')");
    assert_string_equal(harness_rows(harness, 2, "SELECT study_id, trial_id FROM trials"), "1|1");
}

/* SQLite gives ids away again: nothing that is meant for the study that was deleted touches the new one. */
static void test_reused_ids(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    int64_t trial_id = harness_create_trial(harness, study_id, 0);
    replace_study(harness);
    static const struct report_point point = {1, 0.5};
    struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half),
                        report = record_of(STORE_REPORT, study_id, 60),
                        release = record_of(STORE_RELEASE_TRIAL, study_id, 61),
                        change = record_of(STORE_CHANGE_STUDY, study_id, 62),
                        ask = record_create_trial(study_id, 1, test_params),
                        look = record_of(STORE_LOOK, study_id, 63),
                        delete = record_of(STORE_DELETE_STUDY, study_id, 64);
    report.report.trial_id = release.trial.trial_id = trial_id;
    report.report.n_points = 1;
    report.report.points = &point;
    release.trial.from = TRIAL_RUNNING;
    release.trial.state = TRIAL_WAITING;
    release.trial.lease = "";
    change.study.state = "paused";
    change.study.spec_json = TEST_SPEC;
    change.study.user_attrs = json_pack("{s:i}", "a", 1);
    struct store_record *records[] = {&tell, &report, &release, &change, &ask, &look, &delete};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        assert_int_equal(harness_do(harness, records[i]), STORE_CONFLICT);
        assert_string_equal(records[i]->detail, "the study is gone");
    }
    harness_do_all(harness, records, sizeof records / sizeof *records);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        assert_int_equal(records[i]->result, STORE_CONFLICT);
    json_decref(change.study.user_attrs);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials"), "RUNNING");
    assert_string_equal(harness_value(harness, "SELECT study_name FROM studies"), "theirs");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_intermediate_values"), "0");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM study_user_attributes"), "0");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM study_system_attributes"), "0");
}

/* A change that the database refuses: it alone is refused, with the database's words; what stood behind it in
 * its study is dropped, what stood before it and other studies' records go through. */
static void test_refused(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    int64_t ids[3];
    for (int i = 0; i < 3; i++)
        ids[i] = harness_create_trial(harness, study_id, i);
    struct store_record other = record_create_trial(other_id, 0, test_params);
    other.uid = TEST_OTHER_UID;
    struct store_record before = record_finish(study_id, ids[0], TRIAL_COMPLETE, &half),
                        bad = record_finish(study_id, ids[1], TRIAL_COMPLETE, &half),
                        behind = record_finish(study_id, ids[2], TRIAL_COMPLETE, &half);
    /* Its value is there already: the unique key refuses a second one. */
    harness_sql(
        harness,
        "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (%lld, 0, 1, 'FINITE')",
        (long long)ids[1]);
    harness_do_all(harness, (struct store_record *[]){&before, &bad, &behind, &other}, 4);
    assert_int_equal(before.result, STORE_DONE);
    assert_int_equal(bad.result, STORE_REFUSED);
    assert_true(strlen(bad.detail) > 10);
    assert_int_equal(behind.result, STORE_AWAY);
    assert_int_equal(other.result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials WHERE study_id=%lld ORDER BY number",
                                      (long long)study_id),
                        "COMPLETE RUNNING RUNNING");

    assert_int_equal(harness_do(harness, &behind), STORE_DONE);
}

/* ---- other owners ---- */

/* Another owner raised the epoch: the old one's change is rolled back and it says that it is over. */
static void test_deposed(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    harness_sql(harness, "UPDATE studyd_owner SET epoch = epoch + 1");
    struct store_record ask = record_create_trial(study_id, 0, test_params);
    assert_int_equal(harness_do(harness, &ask), STORE_AWAY);
    harness_run_until(harness, harness->exit_code);
    assert_int_equal(harness->exit_code, 1);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "0");
    assert_int_equal(store_submit(harness->store, &ask), -1);
}

/* A second store stands by, says who owns the database, and loads everything when the first one goes. */
static void test_standby(void **state)
{
    struct harness *harness = harness_begin(state);
    struct harness second = {.kind = harness->kind};
    char expected[32];
    snprintf(second.url, sizeof second.url, "%s", harness->url);
    assert_int_equal(uv_loop_init(&second.loop), 0);
    harness_open(&second);
    assert_int_equal(second.n_standby, 1);
    snprintf(expected, sizeof expected, " pid %d", (int)getpid());
    assert_non_null(strstr(second.owner, expected));
    assert_false(second.is_loaded);

    harness_create_study(harness);
    harness_close(harness);
    harness_run_until(&second, second.is_loaded);
    assert_non_null(json_object_get(second.loaded, "s"));
    harness_close(&second);
    json_decref(second.loaded);
    assert_int_equal(uv_loop_close(&second.loop), 0);
}

/* ---- lost connections ---- */

/* The server ends the writer's session between batches: it is back before anybody notices, and what is asked
 * is done once. */
static void test_killed_session(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    const char *id = harness_value(harness, "SELECT IS_USED_LOCK(CONCAT('studyd:', DATABASE()))");
    harness_sql(harness, "KILL %s", id);
    for (int i = 0; i < 3; i++)
        harness_create_trial(harness, study_id, i);
    assert_string_equal(harness_value(harness, "SELECT number FROM trials ORDER BY trial_id"), "0 1 2");
    assert_int_equal(harness->n_away, 0);
}

/* Submits a trial while the database takes none, and lets it take trials again once the store has noticed. */
static void assert_waits_for(struct harness *harness, void (*let)(struct harness *harness))
{
    struct store_record ask = record_create_trial(1, 0, test_params);
    ask.done = done_and_see;
    is_done = false;
    assert_int_equal(store_submit(harness->store, &ask), 0);
    harness_run_until(harness, harness->is_away);
    assert_int_equal(store_submit(harness->store, &ask), -1);
    assert_false(is_done);
    let(harness);
    harness_run_until(harness, is_done);
    assert_int_equal(ask.result, STORE_DONE);
    harness_run_until(harness, !harness->is_away);
    assert_int_equal(harness->n_away, 1);
}

static void let_files_grow(struct harness *harness)
{
    (void)harness;
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
}

/* The file cannot grow (as on a full disk): the store is away until it can. */
static void test_full_disk(void **state)
{
    struct harness *harness = harness_begin(state);
    assert_int_equal(harness_create_study(harness), 1);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, RLIM_INFINITY});
    assert_waits_for(harness, let_files_grow);
}

static void let_server_write(struct harness *harness)
{
    harness_sql(harness, "SET GLOBAL read_only = 0");
}

/* The server takes no writes (a replica, say): the store is away until it does. An account with rights on its
 * database alone is all that studyd needs. */
static void test_read_only_server(void **state)
{
    struct harness *harness = *state;
    char url[512], *at = strchr(harness->url, '@');
    char name[32];
    snprintf(name, sizeof name, "studyd_test_%d", (int)getpid());
    snprintf(url, sizeof url, "mysql://%s:secret%s", name, at);
    harness_sql(harness, "CREATE USER %s@localhost IDENTIFIED BY 'secret'", name);
    harness_sql(harness,
                "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, REFERENCES, INDEX ON %s.* TO %s@localhost",
                name, name);
    strcpy(harness->url, url);
    harness_open(harness);
    assert_int_equal(harness_create_study(harness), 1);
    harness_sql(harness, "SET GLOBAL read_only = 1");
    assert_waits_for(harness, let_server_write);
    harness_sql(harness, "DROP USER %s@localhost", name);
}

/* While the connection was gone another studyd owned the database: this one must not go on. */
static void test_deposed_while_away(void **state)
{
    struct harness *harness = harness_begin(state);
    const char *id = harness_value(harness, "SELECT IS_USED_LOCK(CONCAT('studyd:', DATABASE()))");
    harness_sql(harness, "UPDATE studyd_owner SET epoch = epoch + 1, batch = 0");
    harness_sql(harness, "KILL %s", id);
    harness_run_until(harness, harness->exit_code);
    assert_int_equal(harness->exit_code, 1);
    assert_non_null(strstr(harness->why, "another studyd"));
}

/* The connection is cut at a COMMIT, before the server sees it or before its answer, or the answer is an
 * error though it happened: each time it is applied once. */
static void test_cut_at_commit(void **state)
{
    struct harness *harness = *state;
    struct cut_proxy *proxy = cut_proxy_new(harness->url, sizeof harness->url);
    harness_open(harness);
    int64_t study_id = harness_create_study(harness);
    static const enum cut cuts[] = {CUT_BEFORE, CUT_AFTER, CUT_LIE};
    for (int i = 0; i < 3; i++) {
        cut_proxy_arm(proxy, cuts[i], 1317, "COMMIT");
        int64_t trial_id = harness_create_trial(harness, study_id, i);
        assert_true(cut_proxy_has_cut(proxy));
        cut_proxy_arm(proxy, cuts[i], 1317, "COMMIT");
        struct store_record tell = record_finish(study_id, trial_id, TRIAL_COMPLETE, &half);
        assert_int_equal(harness_do(harness, &tell), STORE_DONE);
        assert_true(cut_proxy_has_cut(proxy));
    }
    assert_string_equal(harness_rows(harness, 2, "SELECT number, state FROM trials ORDER BY trial_id"),
                        "0|COMPLETE 1|COMPLETE 2|COMPLETE");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_values"), "3");
    assert_string_equal(harness_value(harness, "SELECT batch FROM studyd_owner"), "7");
    harness_reopen(harness);
    harness_close(harness);
    cut_proxy_free(proxy);
}

/* A transaction that is to be undone, and the server does not: the next one's beginning would commit it. So
 * the connection goes, and nothing of it is there. */
static void test_refused_rollback(void **state)
{
    struct harness *harness = *state;
    struct cut_proxy *proxy = cut_proxy_new(harness->url, sizeof harness->url);
    harness_open(harness);
    int64_t study_id = harness_create_study(harness);
    struct store_record tells[3];
    for (int i = 0; i < 3; i++)
        tells[i] = record_finish(study_id, harness_create_trial(harness, study_id, i), TRIAL_COMPLETE, &half);
    harness_sql(harness, "UPDATE trials SET state='FAIL' WHERE number=1");
    cut_proxy_arm(proxy, CUT_REFUSE, 1317, "ROLLBACK");
    harness_do_all(harness, (struct store_record *[]){&tells[0], &tells[1], &tells[2]}, 3);
    assert_true(cut_proxy_has_cut(proxy));
    assert_int_equal(tells[0].result, STORE_DONE);
    assert_int_equal(tells[1].result, STORE_CONFLICT);
    assert_int_equal(tells[2].result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT state FROM trials ORDER BY number"),
                        "COMPLETE FAIL COMPLETE");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_values"), "2");
    harness_close(harness);
    cut_proxy_free(proxy);
}

/* Creates a trial and tells it; the next statement that begins so goes wrong. */
static void assert_done_once(struct harness *harness, struct cut_proxy *proxy, enum cut cut, unsigned error,
                             const char *statement)
{
    int number = atoi(harness_value(harness, "SELECT COUNT(*) FROM trials"));
    struct store_record ask = record_create_trial(1, number, test_params);
    ask.seq = 100 + 2 * number;
    cut_proxy_arm(proxy, cut, error, statement);
    assert_int_equal(harness_do(harness, &ask), STORE_DONE);
    struct store_record tell = record_finish(1, ask.trial.trial_id, TRIAL_COMPLETE, &half);
    tell.seq = ask.seq + 1;
    assert_int_equal(harness_do(harness, &tell), STORE_DONE);
    if (!cut_proxy_has_cut(proxy))
        fail_msg("no statement begins with %s", statement);
    char expected[64];
    snprintf(expected, sizeof expected, "%d|COMPLETE|1", number);
    assert_string_equal(harness_rows(harness, 3,
                                     "SELECT t.number, t.state, COUNT(v.trial_value_id) FROM trials t JOIN "
                                     "trial_values v ON v.trial_id = t.trial_id WHERE t.trial_id = %lld",
                                     (long long)ask.trial.trial_id),
                        expected);
    assert_int_equal(atoi(harness_value(harness, "SELECT COUNT(*) FROM trials")), number + 1);
}

/* Whatever the server answers to whichever statement of a transaction, and wherever the connection is lost:
 * what can be repeated is repeated, and is there once. */
static void test_errors_everywhere(void **state)
{
    struct harness *harness = *state;
    struct cut_proxy *proxy = cut_proxy_new(harness->url, sizeof harness->url);
    harness_open(harness);
    assert_int_equal(harness_create_study(harness), 1);
    static const char *const statements[] = {"START TRANSACTION",
                                             "UPDATE studyd_owner",
                                             "INSERT INTO trials ",
                                             "INSERT INTO trial_params",
                                             "UPDATE trials",
                                             "INSERT INTO trial_values",
                                             "COMMIT"};
    static const unsigned errors[] = {1213, 1205, 1020, 1317, 1053, 1114, 1927};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        for (size_t j = 0; j < sizeof errors / sizeof *errors; j++)
            assert_done_once(harness, proxy, CUT_REFUSE, errors[j], statements[i]);
        assert_done_once(harness, proxy, CUT_BEFORE, 0, statements[i]);
        assert_done_once(harness, proxy, CUT_AFTER, 0, statements[i]);
    }
    assert_done_once(harness, proxy, CUT_LIE, 1213, "COMMIT");
    harness_reopen(harness);
    harness_close(harness);
    cut_proxy_free(proxy);
}

/* The server cannot be reached: the store says so, takes nothing, keeps what was queued, and does it when the
 * server is back. */
static void test_away_and_back(void **state)
{
    struct harness *harness = *state;
    struct cut_proxy *proxy = cut_proxy_new(harness->url, sizeof harness->url);
    harness_open(harness);
    int64_t study_id = harness_create_study(harness);
    cut_proxy_close(proxy);
    struct store_record ask = record_create_trial(study_id, 0, test_params),
                        other = record_create_trial(study_id, 1, test_params);
    ask.done = done_and_see;
    is_done = false;
    assert_int_equal(store_submit(harness->store, &ask), 0);
    harness_run_until(harness, harness->is_away);
    assert_int_equal(store_submit(harness->store, &other), -1);
    assert_false(is_done);
    cut_proxy_open(proxy);
    harness_run_until(harness, is_done);
    assert_int_equal(ask.result, STORE_DONE);
    harness_run_until(harness, !harness->is_away);
    assert_int_equal(harness_do(harness, &other), STORE_DONE);
    harness_close(harness);
    cut_proxy_free(proxy);
}

/* ---- deleting ---- */

/* A deleted study: its name is free at once, its rows go in slices, also after a restart; other studies stay.
 */
static void test_delete_study(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness), other_id = harness_create_other_study(harness);
    for (int i = 0; i < 3; i++)
        harness_create_trial(harness, study_id, i);
    struct store_record kept = record_create_trial(other_id, 0, test_params);
    kept.uid = TEST_OTHER_UID;
    assert_int_equal(harness_do(harness, &kept), STORE_DONE);
    struct store_record record = record_of(STORE_DELETE_STUDY, study_id, 99);
    assert_int_equal(harness_do(harness, &record), STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studies WHERE study_name='s'"), "0");
    struct store_record again = record_create_study("s");
    again.uid = "00000000000000000000000000000001";
    assert_int_equal(harness_do(harness, &again), STORE_DONE);
    struct store_record late = record_create_trial(study_id, 3, test_params);
    assert_int_equal(harness_do(harness, &late), STORE_CONFLICT);

    harness_reopen(harness);
    assert_int_equal(json_object_size(harness->loaded), 2);
    /* The writer removes it when it has nothing else to do. */
    while (strcmp(harness_value(harness, "SELECT COUNT(*) FROM studyd_studies"), "2") != 0)
        uv_run(&harness->loop, UV_RUN_NOWAIT);
    assert_string_equal(harness_value(harness, "SELECT study_name FROM studies ORDER BY study_id"), "t s");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "1");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trial_params"), "3");
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studyd_trials"), "1");
}

/* Our rows of a study that Optuna deleted go at the next start. */
static void test_orphans(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    harness_create_trial(harness, study_id, 0);
    harness_close(harness);
    static const char *const tables[] = {"trial_params", "trials", "study_directions",
                                         "study_system_attributes", "studies"};
    for (size_t i = 0; i < 5; i++)
        harness_sql(harness, "DELETE FROM %s", tables[i]);
    harness_open(harness);
    assert_int_equal(json_object_size(harness->loaded), 0);
    while (strcmp(harness_value(harness, "SELECT COUNT(*) FROM studyd_studies"), "0") != 0)
        uv_run(&harness->loop, UV_RUN_NOWAIT);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM studyd_trials"), "0");
}

/* Closing writes what is queued. */
static void test_close_writes(void **state)
{
    struct harness *harness = harness_begin(state);
    int64_t study_id = harness_create_study(harness);
    struct store_record record = record_create_trial(study_id, 0, test_params);
    record.done = done_and_see;
    is_done = false;
    assert_int_equal(store_submit(harness->store, &record), 0);
    harness_close(harness);
    assert_true(is_done);
    assert_int_equal(record.result, STORE_DONE);
    assert_string_equal(harness_value(harness, "SELECT COUNT(*) FROM trials"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_strangers),
        ON_BOTH(test_strangers_in_batch),
        ON_BOTH(test_look),
        ON_MYSQL(test_uncommitted),
        ON_BOTH(test_conflict),
        ON_BOTH(test_vanished),
        ON_BOTH(test_reused_id),
        ON_SQLITE(test_reused_ids),
        ON_BOTH(test_refused),
        ON_BOTH(test_deposed),
        ON_BOTH(test_standby),
        ON_MYSQL(test_killed_session),
        ON_MYSQL(test_cut_at_commit),
        ON_MYSQL(test_refused_rollback),
        ON_MYSQL(test_errors_everywhere),
        ON_MYSQL(test_away_and_back),
        ON_MYSQL(test_deposed_while_away),
        ON_SQLITE(test_full_disk),
        ON_MYSQL(test_read_only_server),
        ON_BOTH(test_delete_study),
        ON_BOTH(test_orphans),
        ON_BOTH(test_close_writes),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
