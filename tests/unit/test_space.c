/* SPDX-License-Identifier: MIT */
/* Unit tests of the search space: its parameters by name, their values in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/space.h"

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(json);
    return json;
}

static const char space_text[] =
    "{\"lr\": {\"type\": \"float\", \"low\": 1e-3, \"high\": 0.1, \"log\": true},"
    " \"depth\": {\"type\": \"int\", \"low\": 1, \"high\": 10},"
    " \"q\": {\"type\": \"float\", \"low\": 0, \"high\": 1, \"step\": 0.3},"
    " \"booster\": {\"type\": \"categorical\", \"choices\": [\"gbtree\", null, true, 2]}}";

static struct space *read_space(const char *text)
{
    json_auto_t *json = parse(text);
    struct problem problem = {};
    struct space *space = space_read(json, "space", &problem);

    if (!space)
        fail_msg("%s: %s", text, problem.detail);
    return space;
}

static void assert_json(json_t *json, const char *text)
{
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    json_put_value(&writer, json);
    assert_string_equal(buffer_text(&out), text);
}

/* A space keeps its order, is found by name, and is written with its defaults so that it reads back the same.
 */
static void test_space(void **)
{
    static const char filled[] =
        "{\"lr\":{\"type\":\"float\",\"low\":0.001,\"high\":0.1,\"log\":true},"
        "\"depth\":{\"type\":\"int\",\"low\":1,\"high\":10,\"step\":1,\"log\":false},"
        "\"q\":{\"type\":\"float\",\"low\":0.0,\"high\":0.9,\"step\":0.3,\"log\":false},"
        "\"booster\":{\"type\":\"categorical\",\"choices\":[\"gbtree\",null,true,2]}}";
    struct space *space = read_space(space_text), *again = read_space(filled);
    json_auto_t *json = space_to_json(space), *json_again = space_to_json(again);

    assert_int_equal(space->n_params, 4);
    assert_int_equal(space_find(space, "depth"), 1);
    assert_int_equal(space_find(space, "booster"), 3);
    assert_int_equal(space_find(space, "Depth"), -1);
    assert_json(json, filled);
    assert_json(json_again, filled);
    space_free(space);
    space_free(again);
    space_free(NULL);
}

/* FNV-1a's published values: a parameter's random numbers hang on them. */
static void test_hash(void **)
{
    assert_true(space_hash_name("") == 0xcbf29ce484222325);
    assert_true(space_hash_name("a") == 0xaf63dc4c8601ec8c);
    assert_true(space_hash_name("foobar") == 0x85944171f73967e8);
}

/* An empty space, no object, and names that cannot be are refused; the field leads to the parameter. */
static void test_space_refuses(void **)
{
    char long_name[400], text[600];
    const char *const cases[][2] = {
        {"{}", "1 to 1000 parameters"},
        {"[]", "must be an object"},
        {"{\"\": {\"type\": \"int\", \"low\": 1, \"high\": 2}}", "1 to 255 bytes"},
        {text, "this has 256"},
        {"{\"a\\nb\": {\"type\": \"int\", \"low\": 1, \"high\": 2}}", "\\x0a"},
        {"{\"x\": {\"type\": \"int\", \"low\": 3, \"high\": 2}}", "space.x.low"},
    };

    memset(long_name, 'n', 256);
    long_name[256] = '\0';
    snprintf(text, sizeof text, "{\"%s\": {\"type\": \"int\", \"low\": 1, \"high\": 2}}", long_name);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *json = parse(cases[i][0]);
        struct problem problem = {};

        assert_null(space_read(json, "space", &problem));
        if (!strstr(problem.detail, cases[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], problem.detail, cases[i][1]);
    }
}

/* Values go in by name and come out in the space's order; a parameter that is not there is NaN and left out.
 */
static void test_values(void **)
{
    struct space *space = read_space(space_text);
    json_auto_t *json = parse("{\"booster\": 2.0, \"depth\": 7.0, \"lr\": 0.05}");
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;
    struct problem problem = {};
    double values[4];

    assert_int_equal(space_values_from_json(space, json, "params", values, &problem), 0);
    assert_true(values[0] == 0.05 && values[1] == 7 && isnan(values[2]) && values[3] == 3);
    json_writer_init(&writer, &out);
    space_put_values(space, values, &writer);
    assert_string_equal(buffer_text(&out), "{\"lr\":0.05,\"depth\":7,\"booster\":2}");

    json_auto_t *one = parse("{\"booster\": 1}"); /* true, as in Python */

    assert_int_equal(space_values_from_json(space, one, "params", values, &problem), 0);
    assert_true(values[3] == 2);
    space_free(space);
}

/* Values of the wrong kind, outside the range or under an unknown name are refused at their place. */
static void test_values_refused(void **)
{
    static const char *const cases[][3] = {
        {"[]", "params", "must be an object"},
        {"{\"depth\": 11}", "params.depth", "\"high\":10"},
        {"{\"depth\": 2.5}", "params.depth", "no value of this parameter"},
        {"{\"depth\": \"2\"}", "params.depth", "no value of this parameter"},
        {"{\"depth\": null}", "params.depth", "no value of this parameter"},
        {"{\"lr\": 0}", "params.lr", "\"low\":0.001"},
        {"{\"q\": 0.4}", "params.q", "\"step\":0.3"},
        {"{\"booster\": \"dart\"}", "params.booster", "\"gbtree\""},
        {"{\"booster\": [1]}", "params.booster", "\"gbtree\""},
        {"{\"depht\": 2}", "params.depht", "did you mean depth?"},
    };
    struct space *space = read_space(space_text);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *json = parse(cases[i][0]);
        struct problem problem = {};
        double values[4];

        assert_int_equal(space_values_from_json(space, json, "params", values, &problem), -1);
        assert_string_equal(problem.field, cases[i][1]);
        if (!strstr(problem.detail, cases[i][2]))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], problem.detail, cases[i][2]);
    }
    space_free(space);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_space),          cmocka_unit_test(test_hash),
        cmocka_unit_test(test_space_refuses),  cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
