/* SPDX-License-Identifier: MIT */
/* Unit tests of statements that are put off: nothing behind one that failed happens, least of all a COMMIT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/unit/store_harness.h"

struct late {
    struct harness *harness;
    struct sql_address address;
    struct sql *sql; /* as the writer has it */
};

static void begin(struct late *late, void **state)
{
    struct problem problem;
    late->harness = harness_begin(state);
    harness_close(late->harness);
    assert_int_equal(sql_address_read(&late->address, late->harness->url, NULL, &problem), 0);
    late->sql = sql_open(&late->address, SQL_WRITER);
    assert_int_equal(late->sql->takes_several, late->harness->kind == HARNESS_MYSQL);
    sql_begin(late->sql);
}

static void end(struct late *late, const char *names)
{
    sql_rollback(late->sql);
    sql_close(late->sql);
    sql_address_deinit(&late->address);
    assert_string_equal(harness_rows(late->harness, 1, "SELECT study_name FROM studies ORDER BY study_id"),
                        names);
}

/* All in one: what comes back is the last one's. */
static void test_together(void **state)
{
    struct late late;
    begin(&late, state);
    sql_run_later(late.sql, 1, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_run_later(late.sql, SQL_ANY, "UPDATE studies SET study_name = 'it''s; a' WHERE study_name = 'a'");
    sql_run(late.sql, "INSERT INTO studies (study_name) VALUES ('b'), ('c')");
    assert_int_equal(late.sql->affected, 2);
    int64_t id = late.sql->insert_id;
    sql_run_later(late.sql, 1, "DELETE FROM studies WHERE study_name = 'c'");
    sql_query(late.sql, "SELECT study_id FROM studies WHERE study_name = 'b'");
    assert_true(sql_next(late.sql) && sql_int(late.sql, 0) == id);
    assert_false(sql_next(late.sql));
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('d')");
    sql_commit(late.sql);
    assert_int_equal(late.sql->status, SQL_OK);
    assert_int_equal(late.sql->n_done, 8);
    end(&late, "it's; a b d");
}

/* One that affects fewer rows than it must, wherever it stands. */
static void test_unmatched(void **state)
{
    struct late late;
    begin(&late, state);
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_run_later(late.sql, 1, "UPDATE studies SET study_name = 'b' WHERE study_name = 'c'");
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('d')");
    sql_query(late.sql, "SELECT study_id FROM studies");
    assert_false(sql_next(late.sql));
    assert_int_equal(late.sql->status, SQL_UNMATCHED);
    assert_int_equal(late.sql->n_done, 2);
    sql_commit(late.sql);
    assert_false(late.sql->may_be_committed);
    sql_rollback(late.sql);
    sql_forget(late.sql);

    sql_begin(late.sql);
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_run_later(late.sql, 1, "UPDATE studies SET study_name = 'b' WHERE study_name = 'c'");
    sql_commit(late.sql);
    assert_int_equal(late.sql->status, SQL_UNMATCHED);
    assert_false(late.sql->may_be_committed);
    end(&late, "");
}

/* One that the database refuses, right before the COMMIT and before another. */
static void test_refused(void **state)
{
    struct late late;
    begin(&late, state);
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_commit(late.sql);
    assert_int_equal(late.sql->status, SQL_REFUSED);
    assert_false(late.sql->may_be_committed);
    sql_rollback(late.sql);
    sql_forget(late.sql);

    sql_begin(late.sql);
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES (NULL)");
    sql_run(late.sql, "INSERT INTO studies (study_name) VALUES ('b')");
    assert_int_equal(late.sql->status, SQL_REFUSED);
    assert_int_equal(late.sql->n_done, 1);
    end(&late, "");
}

/* More than one packet holds. */
static void test_long(void **state)
{
    struct late late;
    begin(&late, state);
    late.sql->statement_bytes = 100;
    for (int i = 0; i < 10; i++) {
        sql_run_later(late.sql, 1, "INSERT INTO studies (study_name) VALUES ('%d')", i);
        assert_true(late.sql->late.text.size <= 100);
    }
    sql_commit(late.sql);
    assert_int_equal(late.sql->status, SQL_OK);
    end(&late, "0 1 2 3 4 5 6 7 8 9");
}

/* What is said of a lock that somebody holds names the statement, and nothing that it was to store. */
static void test_words(void **state)
{
    struct late late;
    begin(&late, state);
    harness_sql(late.harness, "START TRANSACTION");
    harness_sql(late.harness, "INSERT INTO studies (study_name) VALUES ('secret')");
    sql_run_later(late.sql, SQL_ANY, "INSERT INTO studies (study_name) VALUES ('a')");
    sql_run(late.sql, "INSERT INTO studies (study_name) VALUES ('secret')");
    assert_int_equal(late.sql->status, SQL_RETRY);
    assert_non_null(strstr(late.sql->error, " at INSERT INTO studies ...; another session holds a lock"));
    harness_sql(late.harness, "ROLLBACK");
    end(&late, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_together), ON_BOTH(test_unmatched), ON_BOTH(test_refused),
        ON_BOTH(test_long),     ON_MYSQL(test_words),
    };
    harness_choose_tests();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
