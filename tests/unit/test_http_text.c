/* SPDX-License-Identifier: MIT */
/* Unit tests of what the HTTP room writes: problems, trials as JSON and as CSV, times and rates for people.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http/problem_json.h"
#include "daemon/http/status_page.h"
#include "daemon/http/trial_csv.h"
#include "daemon/http/trial_json.h"
#include "proto/json_read.h"

#define TIME_US 1764028800123456 /* 2025-11-25T00:00:00.123456Z */

static struct spec *make_spec(const char *directions)
{
    BUFFER_AUTO struct buffer text = {};
    struct problem problem = {};

    buffer_printf(&text,
                  "{\"name\": \"s\", \"directions\": %s, \"space\": {\"x\": {\"type\": \"float\", \"low\": "
                  "0, \"high\": "
                  "1}, \"a,b\": {\"type\": \"categorical\", \"choices\": [\"q\\\"\", null]}}}",
                  directions);

    json_t *json = json_parse(buffer_text(&text), text.size, &problem);
    struct spec *spec = spec_read(json, 1, &problem);

    assert_non_null(spec);
    json_decref(json);
    return spec;
}

/* A problem is an RFC 9457 document, with `field` only where there is one, whatever the texts hold. */
static void test_problem(void **)
{
    BUFFER_AUTO struct buffer out = {};
    struct problem problem = {}, other = {};

    problem_set(&problem, PROBLEM_INVALID, "space.\"x\"", "low\n%s", "is above high");
    problem_put_json(&problem, &out);
    assert_string_equal(
        buffer_text(&out),
        "{\"type\":\"urn:studyd:invalid\",\"title\":\"The request is not valid\",\"status\":400,"
        "\"detail\":\"low\\nis above high\",\"field\":\"space.\\\"x\\\"\"}\n");
    buffer_clear(&out);
    problem_set(&other, PROBLEM_STANDBY, "", "host 1 owns it");
    problem_put_json(&other, &out);
    assert_null(strstr(buffer_text(&out), "field"));
    assert_non_null(strstr(buffer_text(&out), "\"status\":503"));
}

/* A whole trial, with numbers that JSON has no word for. */
static void test_trial_json(void **)
{
    struct spec *spec = make_spec("[\"minimize\"]");
    const double params[] = {0.25, 0}, values[] = {-INFINITY}, constraints[] = {0.5, NAN};
    struct report_point points[] = {{0, 1}, {20, NAN}};
    const struct trial_view view = {.number = 7,
                                    .state = TRIAL_COMPLETE,
                                    .is_ours = true,
                                    .params = params,
                                    .n_values = 1,
                                    .values = values,
                                    .attempt = 2,
                                    .worker = "node\"1",
                                    .start_us = TIME_US,
                                    .complete_us = TIME_US + 1000000,
                                    .seq = 12};
    const struct store_cold_trial cold = {
        .n_points = 2, .points = points, .n_constraints = 2, .constraints = (double *)constraints};
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    trial_put_json(spec, &view, &cold, &writer);
    assert_string_equal(
        buffer_text(&out),
        "{\"number\":7,\"state\":\"complete\",\"params\":{\"x\":0.25,\"a,b\":\"q\\\"\"},\"value\":\"-"
        "Infinity\","
        "\"values\":[\"-Infinity\"],\"intermediate_values\":{\"0\":1.0,\"20\":\"NaN\"},\"user_attrs\":{},"
        "\"constraints\":[0.5,\"NaN\"],\"attempt\":2,\"worker\":\"node\\\"1\",\"reason\":null,"
        "\"datetime_start\":\"2025-11-25T00:00:00.123456Z\",\"datetime_complete\":\"2025-11-25T00:00:01."
        "123456Z\","
        "\"seq\":12}");
    spec_free(spec);
}

/* A trial that nobody has run yet, of a study with two objectives: no `value`, nothing made up. */
static void test_waiting_trial(void **)
{
    struct spec *spec = make_spec("[\"minimize\", \"maximize\"]");
    const struct trial_view view = {.number = 0, .state = TRIAL_WAITING};
    const struct store_cold_trial cold = {};
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    trial_put_json(spec, &view, &cold, &writer);
    assert_string_equal(
        buffer_text(&out),
        "{\"number\":0,\"state\":\"waiting\",\"params\":{},\"values\":[],\"intermediate_values\":{},"
        "\"user_attrs\":{},\"constraints\":null,\"attempt\":0,\"worker\":null,\"reason\":null,"
        "\"datetime_start\":null,\"datetime_complete\":null,\"seq\":0}");
    spec_free(spec);
}

static void assert_reason(char *failure, char *reason, const char *expected)
{
    const struct store_cold_trial cold = {.failure = failure, .reason = reason};
    char *text = trial_reason(&cold);

    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
    free(text);
}

/* Class and reason, whichever there is. */
static void test_reason(void **)
{
    assert_reason(NULL, NULL, NULL);
    assert_reason("oom", NULL, "oom");
    assert_reason(NULL, "said no", "said no");
    assert_reason("oom", "CUDA out of memory", "oom: CUDA out of memory");
}

/* Quotes where RFC 4180 wants them, nothing for null and for what is absent, the trial's own parameters where
 * Optuna made it. */
static void test_csv(void **)
{
    struct spec *spec = make_spec("[\"minimize\"]");
    const double params[] = {0.25, 0}, values[] = {INFINITY};
    const struct trial_view ours = {.number = 1,
                                    .state = TRIAL_COMPLETE,
                                    .is_ours = true,
                                    .params = params,
                                    .n_values = 1,
                                    .values = values,
                                    .attempt = 1,
                                    .worker = "a,b",
                                    .start_us = TIME_US,
                                    .seq = 3};
    const struct trial_view theirs = {.number = 2, .state = TRIAL_FAIL};
    const struct store_cold_trial none = {.reason = "two\nlines"};
    const struct store_cold_trial foreign = {.params = json_pack("{s:n,s:i}", "a,b", "x", 2)};
    BUFFER_AUTO struct buffer out = {};

    trial_csv_put_head(spec, &out);
    trial_csv_put(spec, &ours, &none, &out);
    trial_csv_put(spec, &theirs, &foreign, &out);
    assert_string_equal(
        buffer_text(&out),
        "number,state,value,params_x,\"params_a,b\",user_attrs,attempt,worker,reason,datetime_start,"
        "datetime_complete,seq\r\n"
        "1,complete,Infinity,0.25,\"q\"\"\",,1,\"a,b\",\"two\nlines\",2025-11-25T00:00:00.123456Z,,3\r\n"
        "2,fail,,2,,,0,,,,,0\r\n");
    json_decref(foreign.params);
    spec_free(spec);
}

/* Ages in the largest unit of which there are two; nothing for a time that is not known; the future is now.
 */
static void test_age(void **)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{0, "0 s"},    {119, "119 s"},   {120, "2 min"},  {7199, "119 min"},
                 {7200, "2 h"}, {172799, "47 h"}, {172800, "2 d"}, {-5, "0 s"}};
    char text[STATUS_TIME_SIZE];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status_format_age(TIME_US, TIME_US + cases[i].seconds * 1000000, text);
        assert_string_equal(text, cases[i].text);
    }
    status_format_age(0, TIME_US, text);
    assert_string_equal(text, "");
}

/* Rates in the unit in which there is at least one; nothing where nothing is done, or nobody asked. */
static void test_rate(void **)
{
    static const struct {
        int64_t count, seconds;
        const char *text;
    } cases[] = {{100, 10, "10/s"}, {123456, 10, "12346/s"}, {10, 60, "10/min"}, {1, 60, "1/min"},
                 {1, 3599, "1/h"},  {1, 200000, "0.432/d"},  {0, 60, ""},        {5, 0, ""}};
    char text[STATUS_TIME_SIZE];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status_format_rate(cases[i].count, TIME_US, TIME_US + cases[i].seconds * 1000000, text);
        assert_string_equal(text, cases[i].text);
    }
    status_format_rate(5, 0, TIME_US, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problem),       cmocka_unit_test(test_trial_json),
        cmocka_unit_test(test_waiting_trial), cmocka_unit_test(test_reason),
        cmocka_unit_test(test_csv),           cmocka_unit_test(test_age),
        cmocka_unit_test(test_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
