/* SPDX-License-Identifier: MIT */
/* Unit tests of the store's texts: URLs, times, literals, Python's JSON, Optuna's distributions and
 * constraints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "daemon/store/optuna_json.h"
#include "daemon/store/sql.h"
#include "daemon/store/sql_time.h"
#include "daemon/store/values.h"

/* ---- URLs ---- */

/* Optuna's URLs, percent-encoded parts and all; the name for people has no password. */
static void test_address_mysql(void **state)
{
    (void)state;
    struct sql_address address;
    struct problem problem = {0};
    assert_int_equal(sql_address_read(&address,
                                      "mysql+pymysql://us%65r:p%40ss@db.example:3307/optuna?charset=utf8mb4",
                                      NULL, &problem),
                     0);
    assert_ptr_equal(address.driver, &sql_mysql);
    assert_string_equal(address.user, "user");
    assert_string_equal(address.password, "p@ss");
    assert_string_equal(address.host, "db.example");
    assert_int_equal(address.port, 3307);
    assert_string_equal(address.database, "optuna");
    assert_null(address.socket);
    assert_string_equal(address.name, "mysql://user@db.example:3307/optuna");
    sql_address_deinit(&address);

    assert_int_equal(
        sql_address_read(&address, "mysql://root@/o?unix_socket=/run/my%20sql.sock", "given", &problem), 0);
    assert_string_equal(address.password, "given");
    assert_string_equal(address.socket, "/run/my sql.sock");
    assert_null(address.host);
    assert_int_equal(address.port, 0);
    assert_string_equal(address.name, "mysql://root@localhost/o?unix_socket=/run/my sql.sock");
    sql_address_deinit(&address);

    assert_int_equal(sql_address_read(&address, "mysql://a@[::1]:3306/o", NULL, &problem), 0);
    assert_string_equal(address.host, "::1");
    assert_int_equal(address.port, 3306);
    assert_string_equal(address.name, "mysql://a@[::1]/o");
    sql_address_deinit(&address);
}

/* Three slashes are relative, four absolute, as in SQLAlchemy. */
static void test_address_sqlite(void **state)
{
    (void)state;
    struct sql_address address;
    struct problem problem = {0};
    assert_int_equal(sql_address_read(&address, "sqlite:////var/lib/a.db", NULL, &problem), 0);
    assert_ptr_equal(address.driver, &sql_sqlite);
    assert_string_equal(address.path, "/var/lib/a.db");
    assert_string_equal(address.name, "sqlite:////var/lib/a.db");
    sql_address_deinit(&address);
    assert_int_equal(sql_address_read(&address, "sqlite:///a.db", NULL, &problem), 0);
    assert_string_equal(address.path, "a.db");
    sql_address_deinit(&address);
}

/* What is no store's URL is refused with a sentence. */
static void test_address_invalid(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "optuna",
        "postgresql://u@h/d",
        "mysql://",
        "mysql://u@h",
        "mysql://u@h/",
        "mysql://u@h:0/d",
        "mysql://u@h:99999/d",
        "mysql://u@h:x/d",
        "mysql://u%zz@h/d",
        "mysql://u%00@h/d",
        "mysql://u@h?unix_socket=/run/mysqld/mysqld.sock",
        "mysql://u@h/d?sslmode=on",
        "mysql://u@[::1/d",
        "sqlite://",
        "sqlite:///",
        "sqlite://relative.db",
        "sqlite:///:memory:",
        "sqlit:///x",
        "mysqlx://u@h/d",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct sql_address address;
        struct problem problem = {0};
        assert_int_equal(sql_address_read(&address, urls[i], NULL, &problem), -1);
        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_true(strlen(problem.detail) > 20);
        sql_address_deinit(&address);
    }
}

/* Without a database the refusal says where its name belongs, also where a socket's path has the only slash.
 */
static void test_address_no_database(void **state)
{
    (void)state;
    static const char *const urls[] = {"mysql://u@h", "mysql://u@h/", "mysql://u@h/?charset=utf8mb4",
                                       "mysql://root@localhost?unix_socket=/run/db/sock"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct sql_address address;
        struct problem problem = {0};
        assert_int_equal(sql_address_read(&address, urls[i], NULL, &problem), -1);
        assert_non_null(strstr(problem.detail, "names no database; write mysql://user@host/DATABASE"));
        assert_non_null(strstr(problem.detail, "/DATABASE?unix_socket="));
        sql_address_deinit(&address);
    }
}

/* ---- times ---- */

/* Times of both databases, and back; what is no time is 0. */
static void test_time(void **state)
{
    (void)state;
    char text[SQL_TIME_SIZE];
    assert_int_equal(sql_time_read("1970-01-01 00:00:00"), 0);
    assert_int_equal(sql_time_read("2026-11-23 10:11:12"), 1795428672000000);
    assert_int_equal(sql_time_read("2026-11-23 10:11:12.000345"), 1795428672000345);
    assert_int_equal(sql_time_read("2026-11-23T10:11:12.5"), 1795428672500000);
    assert_int_equal(sql_time_read("2024-02-29 23:59:59"), 1709251199000000);
    assert_int_equal(sql_time_read("2000-03-01 00:00:00"), 951868800000000);
    assert_int_equal(sql_time_read("0000-00-00 00:00:00"), 0);
    assert_int_equal(sql_time_read("2026-11-23"), 0);
    assert_int_equal(sql_time_read(""), 0);
    sql_time_format(text, 1795428672999999, false);
    assert_string_equal(text, "2026-11-23 10:11:12");
    sql_time_format(text, 1795428672000345, true);
    assert_string_equal(text, "2026-11-23 10:11:12.000345");
}

/* ---- literals ---- */

/* Quotes are doubled and nothing else is special; a -0.0 never gets in. */
static void test_literals(void **state)
{
    (void)state;
    BUFFER_AUTO struct buffer out = {0};
    struct sql sql = {.driver = &sql_mysql};
    sql_put_text(&out, "it's a \\ 'x'");
    buffer_append_char(&out, ' ');
    sql_put_text(&out, NULL);
    buffer_append_char(&out, ' ');
    sql_put_bytes(&out, "\x00\xff", 2);
    buffer_append_char(&out, ' ');
    sql_put_double(&sql, &out, -0.0);
    buffer_append_char(&out, ' ');
    sql_put_double(&sql, &out, 0.1);
    buffer_append_char(&out, ' ');
    sql_put_double(&sql, &out, 1e-300);
    buffer_append_char(&out, ' ');
    sql_put_ids(&out, (int64_t[]){1, 22}, 2);
    assert_string_equal(buffer_text(&out), "'it''s a \\ ''x''' NULL x'00ff' 0.0e0 0.1e0 1e-300 (1,22)");
}

/* The two databases' upserts; '?' keeps the old value where the new one is NULL. */
static void test_upsert(void **state)
{
    (void)state;
    static const char *const columns[] = {"a", "?b", NULL};
    BUFFER_AUTO struct buffer mysql = {0};
    BUFFER_AUTO struct buffer sqlite = {0};
    sql_put_upsert(&(struct sql){.driver = &sql_mysql}, &mysql, "k", columns);
    sql_put_upsert(&(struct sql){.driver = &sql_sqlite}, &sqlite, "k", columns);
    assert_string_equal(buffer_text(&mysql),
                        " ON DUPLICATE KEY UPDATE a=VALUES(a), b=COALESCE(VALUES(b), b)");
    assert_string_equal(buffer_text(&sqlite),
                        " ON CONFLICT(k) DO UPDATE SET a=excluded.a, b=COALESCE(excluded.b, b)");
}

/* ---- Python's JSON ---- */

static void assert_python(const char *text, enum optuna_json_floats floats, const char *expected)
{
    BUFFER_AUTO struct buffer out = {0};
    json_t *value = optuna_json_parse(text);
    assert_non_null(value);
    optuna_json_put(&out, value, floats);
    assert_string_equal(buffer_text(&out), expected);
    json_decref(value);
}

/* json.dumps(json.loads(x)) is x: separators, escapes, bare NaN and infinities where they are floats. */
static void test_python_json(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{\"a\": [1, 2.5, 1e-08, 1e+16, true, false, null], \"b\": {}}",
        "[]",
        "\"\\u65e5\\u672c \\ud83d\\ude00 \\u00e9\"",
        "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0000\\u001f/\\u007f\"",
        "-12",
        "0.1",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_python(same[i], OPTUNA_JSON_STRINGS, same[i]);
    assert_python("[NaN, -Infinity, Infinity, \"NaN and \\\" Infinity\"]", OPTUNA_JSON_FLOATS,
                  "[NaN, -Infinity, Infinity, \"NaN and \\\" Infinity\"]");
    assert_python("[\"NaN\\u0000\"]", OPTUNA_JSON_FLOATS, "[\"NaN\\u0000\"]");
    assert_python("{\"NaN\": \"Infinity\"}", OPTUNA_JSON_STRINGS, "{\"NaN\": \"Infinity\"}");
    assert_python("123456789012345678901234567890", OPTUNA_JSON_STRINGS, "1.2345678901234568e+29");
    assert_null(optuna_json_parse("{\"a\": Nan}"));
    assert_null(optuna_json_parse(""));
    assert_null(optuna_json_parse("\"unfinished NaN"));
}

/* A spec keeps its text, but for characters that a table in another character set would refuse. */
static void test_ascii(void **state)
{
    (void)state;
    BUFFER_AUTO struct buffer out = {0};
    optuna_json_put_ascii(&out, "{\"\xc3\xa9\": [\"\xe6\x97\xa5\",\"\xf0\x9f\x98\x80\", \"\\n\"]}");
    assert_string_equal(buffer_text(&out), "{\"\\u00e9\": [\"\\u65e5\",\"\\ud83d\\ude00\", \"\\n\"]}");
}

static void assert_short(const char *text, const char *expected)
{
    json_t *value = optuna_json_read_distribution(text);
    char *found = value ? json_dumps(value, JSON_COMPACT) : strdup("none");
    assert_string_equal(found, expected);
    free(found);
    json_decref(value);
}

/* Each form that Optuna reads becomes the short one, those from before 3.0 too. */
static void test_read_distribution(void **state)
{
    (void)state;
    assert_short("{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, \"low\": 0.5, \"high\": "
                 "1.0, \"log\": true}}",
                 "{\"type\":\"float\",\"low\":0.5,\"high\":1.0,\"log\":true}");
    assert_short("{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": 0.25, \"low\": 0.0, \"high\": "
                 "1.0, \"log\": false}}",
                 "{\"type\":\"float\",\"low\":0.0,\"high\":1.0,\"step\":0.25}");
    assert_short("{\"name\": \"IntDistribution\", \"attributes\": {\"log\": true, \"step\": 1, \"low\": 1, "
                 "\"high\": 8}}",
                 "{\"type\":\"int\",\"low\":1,\"high\":8,\"log\":true}");
    assert_short("{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\", null, true, "
                 "1.5, NaN]}}",
                 "{\"type\":\"categorical\",\"choices\":[\"a\",null,true,1.5,\"NaN\"]}");
    assert_short("{\"name\": \"UniformDistribution\", \"attributes\": {\"low\": 0.0, \"high\": 1.0}}",
                 "{\"type\":\"float\",\"low\":0.0,\"high\":1.0}");
    assert_short("{\"name\": \"LogUniformDistribution\", \"attributes\": {\"low\": 0.5, \"high\": 1.0}}",
                 "{\"type\":\"float\",\"low\":0.5,\"high\":1.0,\"log\":true}");
    assert_short("{\"name\": \"DiscreteUniformDistribution\", \"attributes\": {\"low\": 0.0, \"high\": 1.0, "
                 "\"q\": 0.5}}",
                 "{\"type\":\"float\",\"low\":0.0,\"high\":1.0,\"step\":0.5}");
    assert_short(
        "{\"name\": \"IntUniformDistribution\", \"attributes\": {\"low\": 1, \"high\": 9, \"step\": 2}}",
        "{\"type\":\"int\",\"low\":1,\"high\":9,\"step\":2}");
    assert_short(
        "{\"name\": \"IntLogUniformDistribution\", \"attributes\": {\"low\": 1, \"high\": 9, \"step\": 1}}",
        "{\"type\":\"int\",\"low\":1,\"high\":9,\"log\":true}");
    assert_short("{\"type\": \"int\", \"low\": 1, \"high\": 9}", "{\"type\":\"int\",\"low\":1,\"high\":9}");
    assert_short("{\"name\": \"OtherDistribution\", \"attributes\": {}}", "none");
    assert_short("[]", "none");
}

static void assert_written(const char *short_form, const char *expected)
{
    struct distribution distribution;
    struct problem problem = {0};
    json_t *json = json_loads(short_form, 0, NULL);
    BUFFER_AUTO struct buffer out = {0};
    assert_int_equal(distribution_read(&distribution, json, "x", &problem), 0);
    optuna_json_put_distribution(&out, &distribution);
    assert_string_equal(buffer_text(&out), expected);
    distribution_deinit(&distribution);
    json_decref(json);
}

/* Key for key what Optuna 5 writes. */
static void test_write_distribution(void **state)
{
    (void)state;
    assert_written("{\"type\": \"float\", \"low\": 0, \"high\": 1, \"step\": 0.3}",
                   "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": 0.3, \"low\": 0.0, "
                   "\"high\": 0.9, \"log\": false}}");
    assert_written(
        "{\"type\": \"int\", \"low\": -5, \"high\": 1000000000000, \"step\": 1}",
        "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": false, \"step\": 1, \"low\": -5, "
        "\"high\": 1000000000000}}");
    assert_written(
        "{\"type\": \"categorical\", \"choices\": [\"\xe6\x97\xa5\", \"NaN\", 1, 1.5, false, null]}",
        "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"\\u65e5\", NaN, 1, 1.5, "
        "false, "
        "null]}}");
}

/* Optuna 5's named constraints replace entries of Optuna 4's list; NaN and null count nothing. */
static void test_constraints(void **state)
{
    (void)state;
    struct constraints constraints = {0};
    json_t *list = optuna_json_parse("[1.5, -2.0, NaN, null]"), *one = optuna_json_parse("4.0"),
           *null = json_null();
    constraints_take(&constraints, "constraints", null);
    assert_true(constraints_violation(&constraints) == 0);
    constraints_take(&constraints, "constraints", list);
    assert_true(constraints_violation(&constraints) == 1.5);
    constraints_take(&constraints, "constraints:0", one);
    constraints_take(&constraints, "constraints:time", one);
    assert_true(constraints_violation(&constraints) == 8);
    constraints_clear(&constraints);
    json_decref(list);
    json_decref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_mysql),
        cmocka_unit_test(test_address_sqlite),
        cmocka_unit_test(test_address_invalid),
        cmocka_unit_test(test_address_no_database),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_upsert),
        cmocka_unit_test(test_python_json),
        cmocka_unit_test(test_ascii),
        cmocka_unit_test(test_read_distribution),
        cmocka_unit_test(test_write_distribution),
        cmocka_unit_test(test_constraints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
