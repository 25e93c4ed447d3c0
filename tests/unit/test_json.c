/* SPDX-License-Identifier: MIT */
/* Unit tests of JSON: doubles as text, writing, strict reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/json_write.h"

/* ---- numbers ---- */

/* The very texts that Python's repr() gives. */
static void test_format_double(void **)
{
    static const struct {
        double number;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1.5, "-1.5"},
        {100, "100.0"},
        {0.1, "0.1"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00012, "0.00012"},
        {0.00001, "1e-05"},
        {1e-8, "1e-08"},
        {1.5e-7, "1.5e-07"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.0 / 3, "0.3333333333333333"},
        {2.0 / 3, "0.6666666666666666"},
        {123456.789, "123456.789"},
        {999999999.5, "999999999.5"},
        {1e9, "1000000000.0"},
        {123456789012345.6, "123456789012345.6"},
        {9007199254740993.0, "9007199254740992.0"},
        {1e15, "1000000000000000.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {0x1p59, "5.764607523034235e+17"},
        {1e16, "1e+16"},
        {1.2345e16, "1.2345e+16"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {1e100, "1e+100"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {2.225073858507201e-308, "2.225073858507201e-308"},
        {5e-324, "5e-324"},
        {1e-323, "1e-323"},
        {0x1p-44, "5.684341886080802e-14"}, /* only the upper neighbour of the nearest 16 digits reads back */
        {0x1p-24, "5.960464477539063e-08"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {5.551115123125783e-17, "5.551115123125783e-17"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[JSON_NUMBER_SIZE];
        int length = json_format_double(text, cases[i].number);

        assert_string_equal(text, cases[i].text);
        assert_int_equal(length, strlen(text));
    }
}

/* Any bits that are a finite number read back as the same bits, from at most 17 digits. */
static void test_format_double_round_trip(void **)
{
    uint64_t state = 1;

    for (int i = 0; i < 100000; i++) {
        char text[JSON_NUMBER_SIZE];
        double number, again;

        state = state * 6364136223846793005 + 1442695040888963407;
        memcpy(&number, &(uint64_t){state ^ state >> 29}, sizeof number);
        if (!isfinite(number))
            continue;
        json_format_double(text, number);
        again = strtod(text, NULL);
        assert_memory_equal(&again, &number, sizeof number);
    }
}

/* What JSON has no number for goes as three strings, and no other string is a number. */
static void test_special_numbers(void **)
{
    static const char *const texts[] = {"NaN", "Infinity", "-Infinity"};
    const double numbers[] = {NAN, INFINITY, -INFINITY};
    double number;

    for (size_t i = 0; i < 3; i++) {
        json_auto_t *json = json_from_double(numbers[i]);

        assert_string_equal(json_string_value(json), texts[i]);
        assert_int_equal(json_to_double(json, &number), 0);
        assert_true(number == numbers[i] || (isnan(number) && isnan(numbers[i])));
    }

    json_auto_t *text = json_string("nan"), *one = json_integer(1), *half = json_from_double(0.5);

    assert_int_equal(json_to_double(text, &number), -1);
    assert_int_equal(json_to_double(NULL, &number), -1);
    assert_int_equal(json_to_double(one, &number), 0);
    assert_true(number == 1);
    assert_int_equal(json_to_double(half, &number), 0);
    assert_true(number == 0.5);
}

/* ---- writing ---- */

/* Commas stand between members and items and nowhere else; each kind of value has its text. */
static void test_write(void **)
{
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;
    json_auto_t *tree = json_loads("{\"k\": [1, 2.5, null, {}, []], \"s\": \"x\"}", 0, NULL);

    json_writer_init(&writer, &out);
    json_begin_object(&writer);
    json_member_string(&writer, "s", "t");
    json_member_string(&writer, "absent", NULL);
    json_member_int(&writer, "i", INT64_MIN);
    json_member_double(&writer, "d", 1e-8);
    json_member_double(&writer, "nan", NAN);
    json_member_double(&writer, "inf", -INFINITY);
    json_member_bool(&writer, "b", true);
    json_put_key(&writer, "n");
    json_put_null(&writer);
    json_member_value(&writer, "tree", tree);
    json_put_key(&writer, "list");
    json_begin_array(&writer);
    json_begin_array(&writer);
    json_end_array(&writer);
    json_put_raw(&writer, "{\"raw\":1}", 9);
    json_put_bool(&writer, false);
    json_end_array(&writer);
    json_end_object(&writer);
    assert_string_equal(buffer_text(&out),
                        "{\"s\":\"t\",\"absent\":null,\"i\":-9223372036854775808,\"d\":1e-08,\"nan\":\"NaN\","
                        "\"inf\":\"-Infinity\",\"b\":true,\"n\":null,"
                        "\"tree\":{\"k\":[1,2.5,null,{},[]],\"s\":\"x\"},\"list\":[[],{\"raw\":1},false]}");
    assert_int_equal(writer.depth, 0);
}

/* Quotes, backslashes and control characters are escaped; UTF-8 passes. */
static void test_write_escapes(void **)
{
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    json_put_string(&writer, "\"\\/\b\f\n\r\t\x01\x1f é日");
    assert_string_equal(buffer_text(&out), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f é日\"");
}

/* Times are RFC 3339 in UTC with microseconds; none is null. */
static void test_write_time(void **)
{
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    json_begin_array(&writer);
    json_put_time(&writer, 1795477858123456);
    json_put_time(&writer, 1000001);
    json_put_time(&writer, 0);
    json_end_array(&writer);
    assert_string_equal(buffer_text(&out),
                        "[\"2026-11-23T23:50:58.123456Z\",\"1970-01-01T00:00:01.000001Z\",null]");
}

/* ---- parsing ---- */

static json_t *parse(const char *text, struct problem *problem)
{
    *problem = (struct problem){};
    return json_parse(text, strlen(text), problem);
}

/* What is no JSON is refused, with the place and words for people. */
static void test_parse_refuses(void **)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "no text"},
        {" \n", "no text"},
        {"{\"a\": 1,}", "line 1, column"},
        {"{\"a\": NaN}", "'NaN'; write it as the string \"NaN\""},
        {"[1, Infinity]", "write it as the string \"Infinity\""},
        {"-Infinity", "write it as the string \"-Infinity\""},
        {"{\n\"a\" 1}", "line 2"},
        {"{\"a\": 1} x", "end of file"},
        {"{\"a\": 1, \"a\": 2}", "duplicate"},
        {"{\"a\": NaN}", "line 1"},
        {"{\"a\": \"\\u0000\"}", "\\u0000"},
        {"{\"\\u0000\": 1}", "\\u0000"},
        {"{\"a\": 9223372036854775808}", "too large"},
        {"{\"a\": 1e999}", "too large"},
        {"\"\xff\"", "UTF-8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problem problem;

        assert_null(parse(cases[i].text, &problem));
        assert_int_equal(problem.type, PROBLEM_INVALID);
        if (!strstr(problem.detail, cases[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, problem.detail, cases[i].words);
    }
}

/* 32 levels pass, 33 do not; brackets in strings are text. */
static void test_parse_depth(void **)
{
    struct problem problem;
    char text[80] = {};

    memset(text, '[', 32);
    memset(text + 32, ']', 32);
    json_auto_t *deep = parse(text, &problem);
    assert_non_null(deep);

    memset(text, '[', 33);
    memset(text + 33, ']', 33);
    assert_null(parse(text, &problem));
    assert_non_null(strstr(problem.detail, "32"));

    json_auto_t *quoted = parse("[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\\"[\"]", &problem);
    assert_non_null(quoted);
    json_auto_t *wide =
        parse("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]"
              ",[],[],[],[],[]]",
              &problem);
    assert_non_null(wide);
}

/* The text need not end with a NUL, be there anything in it or not. */
static void test_parse_size(void **)
{
    struct problem problem = {};
    json_auto_t *json = json_parse("[1]garbage", 3, &problem);
    char *blank = malloc(2);

    assert_int_equal(json_array_size(json), 1);
    memset(blank, ' ', 2);
    assert_null(json_parse(blank, 2, &problem));
    assert_string_equal(problem.detail, "there is no text where JSON should be");
    free(blank);
}

/* ---- reading ---- */

/* Members are given as they are, absent and null ones as the fallback. */
static void test_read(void **)
{
    static const char *const choices[] = {"red", "green", NULL};
    struct problem problem;
    json_auto_t *json =
        parse("{\"s\": \"t\", \"i\": 7, \"w\": 8.0, \"d\": 0.5, \"b\": true, \"c\": \"green\", "
              "\"null\": null}",
              &problem);
    struct json_reader reader;

    json_reader_open(&reader, json, "", &problem);
    assert_string_equal(json_read_required_string(&reader, "s"), "t");
    assert_int_equal(json_read_int(&reader, "i", 0, 7, -1), 7);
    assert_int_equal(json_read_required_int(&reader, "w", 0, 10), 8);
    assert_true(json_read_number(&reader, "d", 0, 1, -1) == 0.5);
    assert_true(json_read_required_number(&reader, "i", 0, 10) == 7);
    assert_true(json_read_bool(&reader, "b", false));
    assert_int_equal(json_read_choice(&reader, "c", choices, -1), 1);
    assert_false(json_read_has(&reader, "null"));
    assert_int_equal(json_read_int(&reader, "null", 0, 1, 42), 42);
    assert_string_equal(json_read_string(&reader, "absent", "fallback"), "fallback");
    assert_int_equal(json_read_choice(&reader, "absent", choices, 0), 0);
    assert_int_equal(json_reader_close(&reader), 0);
    assert_int_equal(problem.type, PROBLEM_NONE);
}

/* Reads one key of `text` and demands this problem. */
#define assert_read_fails(text, read, field_, words)      \
    do {                                                  \
        struct problem problem;                           \
        json_auto_t *json = parse(text, &problem);        \
        struct json_reader reader;                        \
        json_reader_open(&reader, json, "at", &problem);  \
        (void)(read);                                     \
        assert_int_equal(json_reader_close(&reader), -1); \
        assert_int_equal(problem.type, PROBLEM_INVALID);  \
        assert_string_equal(problem.field, field_);       \
        assert_string_equal(problem.detail, words);       \
    } while (0)

/* Each error names the place, what is wanted and what is there. */
static void test_read_errors(void **)
{
    static const char *const choices[] = {"red", "green", NULL};

    assert_read_fails("[]", 0, "at", "at: must be an object, {...}, and is an array");
    assert_read_fails("{\"k\": 1}", json_read_string(&reader, "k", NULL), "at.k",
                      "at.k: must be a string, and is 1");
    assert_read_fails("{}", json_read_required_string(&reader, "k"), "at.k",
                      "at.k: is missing; a string is needed");
    assert_read_fails("{\"k\": 8}", json_read_int(&reader, "k", 0, 7, 0), "at.k",
                      "at.k: must be a whole number from 0 to 7, and is 8");
    assert_read_fails("{\"k\": 1.5}", json_read_int(&reader, "k", 0, 7, 0), "at.k",
                      "at.k: must be a whole number from 0 to 7, and is 1.5");
    assert_read_fails("{\"k\": 1e300}", json_read_int(&reader, "k", 0, INT64_MAX, 0), "at.k",
                      "at.k: must be a whole number from 0 to 9223372036854775807, and is 1e+300");
    assert_read_fails("{\"k\": -1}", json_read_number(&reader, "k", 0, 60, 0), "at.k",
                      "at.k: must be a number from 0 to 60, and is -1");
    assert_read_fails("{\"k\": \"1\"}", json_read_number(&reader, "k", 1, INFINITY, 0), "at.k",
                      "at.k: must be a number of at least 1, and is \"1\"");
    assert_read_fails("{\"k\": 1}", json_read_bool(&reader, "k", false), "at.k",
                      "at.k: must be true or false, and is 1");
    assert_read_fails("{\"k\": \"blue\"}", json_read_choice(&reader, "k", choices, 0), "at.k",
                      "at.k: must be one of \"red\", \"green\", and is \"blue\"");
    assert_read_fails("{}", json_read_choice(&reader, "k", choices, -1), "at.k",
                      "at.k: is missing; one of \"red\", \"green\" is needed");
    assert_read_fails("{\"k\": {\"a\": 1}}", json_read_int(&reader, "k", 0, 1, 0), "at.k",
                      "at.k: must be a whole number from 0 to 1, and is an object");
}

/* A key that nobody asked for is an error that names the nearest and all known keys. */
static void test_read_unknown_key(void **)
{
    assert_read_fails("{\"hihg\": 1}", (json_read_has(&reader, "low"), json_read_has(&reader, "high")),
                      "at.hihg", "at.hihg: unknown key; did you mean high? The known keys are low, high");
    assert_read_fails("{\"color\": 1}", (json_read_has(&reader, "low"), json_read_has(&reader, "high")),
                      "at.color", "at.color: unknown key; the known keys are low, high");
}

/* Who wrote a key wrongly lacks the right one, and is told which is wrong; other errors come first. */
static void test_read_unknown_before_missing(void **)
{
    static const char *const states[] = {"complete", NULL};

    assert_read_fails("{\"lwo\": 1}", json_read_required_number(&reader, "low", 0, 9), "at.lwo",
                      "at.lwo: unknown key; did you mean low? The known keys are low");
    assert_read_fails("{\"lwo\": 1}", json_read_fail(&reader, "low", "is missing"), "at.lwo",
                      "at.lwo: unknown key; the known keys are ");
    assert_read_fails("{\"low\": 10, \"lwo\": 1}", json_read_required_number(&reader, "low", 0, 9), "at.low",
                      "at.low: must be a number from 0 to 9, and is 10");
    assert_read_fails("{\"k\": \"COMPLETE\"}", json_read_choice(&reader, "k", states, 0), "at.k",
                      "at.k: must be one of \"complete\", and is \"COMPLETE\"; did you mean \"complete\"?");
}

/* The first error stays, later reads give their fallbacks, and answers may hold keys that nobody asked for.
 */
static void test_read_first_error_stays(void **)
{
    struct problem problem;
    json_auto_t *json = parse("{\"a\": 1, \"b\": 2, \"c\": 3}", &problem);
    struct json_reader reader;

    json_reader_open(&reader, json, "", &problem);
    assert_int_equal(json_read_int(&reader, "b", 0, 9, 0), 2);
    assert_int_equal(json_reader_close_growing(&reader), 0);
    assert_string_equal(json_read_required_string(&reader, "a"), "");
    assert_int_equal(json_read_int(&reader, "b", 0, 9, 5), 5);
    assert_int_equal(json_reader_close_growing(&reader), -1);
    assert_int_equal(json_reader_close(&reader), -1);
    assert_string_equal(problem.field, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_double),
        cmocka_unit_test(test_format_double_round_trip),
        cmocka_unit_test(test_special_numbers),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_escapes),
        cmocka_unit_test(test_write_time),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_depth),
        cmocka_unit_test(test_parse_size),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_read_unknown_key),
        cmocka_unit_test(test_read_unknown_before_missing),
        cmocka_unit_test(test_read_first_error_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
