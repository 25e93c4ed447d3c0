/* SPDX-License-Identifier: MIT */
/* Unit tests of one parameter's distribution: Optuna's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "proto/distribution.h"

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(json);
    return json;
}

static struct distribution read_distribution(const char *text)
{
    json_auto_t *json = parse(text);
    struct problem problem = {};
    struct distribution distribution;

    if (distribution_read(&distribution, json, "x", &problem))
        fail_msg("%s: %s", text, problem.detail);
    return distribution;
}

#define DISTRIBUTION_AUTO __attribute__((cleanup(distribution_deinit)))

/* high goes down to the last step that fits, reckoned in decimals: what Optuna 5 makes of the same numbers.
 * Stored and read again it stays there. */
static void test_lower_high(void **)
{
    static const struct {
        const char *text;
        double high;
    } cases[] = {
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1, \"step\": 0.3}", 0.9},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 0.3, \"step\": 0.1}",
         0.3}, /* 3 * 0.1 > 0.3 in doubles */
        {"{\"type\": \"float\", \"low\": -1.5, \"high\": 1, \"step\": 2}", 0.5},
        {"{\"type\": \"float\", \"low\": 0.05, \"high\": 1, \"step\": 0.1}", 0.95},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 1.05, \"step\": 0.1}", 1},
        {"{\"type\": \"float\", \"low\": 0.1, \"high\": 1, \"step\": 0.3333333333333333}",
         0.7666666666666666},
        {"{\"type\": \"float\", \"low\": 1e-8, \"high\": 1, \"step\": 0.25}", 0.75000001},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1e10, \"step\": 1e-5}", 1e10},
        {"{\"type\": \"float\", \"low\": 1e-9, \"high\": 1.5e9, \"step\": 1e9}", 1e9},
        {"{\"type\": \"int\", \"low\": 1, \"high\": 10, \"step\": 4}", 9},
        {"{\"type\": \"int\", \"low\": -7, \"high\": 7, \"step\": 5}", 3},
        {"{\"type\": \"int\", \"low\": -9007199254740992, \"high\": 9007199254740992, \"step\": 1}", 0x1p53},
        {"{\"type\": \"int\", \"low\": 1.0, \"high\": 100, \"log\": true}", 100},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        DISTRIBUTION_AUTO struct distribution distribution = read_distribution(cases[i].text);

        if (distribution.high != cases[i].high)
            fail_msg("%s: high is %.17g", cases[i].text, distribution.high);

        json_auto_t *stored = distribution_to_json(&distribution);
        struct problem problem = {};
        DISTRIBUTION_AUTO struct distribution again;

        assert_int_equal(distribution_read(&again, stored, "x", &problem), 0);
        if (again.high != cases[i].high)
            fail_msg("%s: read again, high is %.17g", cases[i].text, again.high);
    }
}

/* What Optuna refuses, or would silently misread, is refused with words that say what to change. */
static void test_refuses(void **)
{
    static const struct {
        const char *text, *field, *words;
    } cases[] = {
        {"[]", "x", "must be an object"},
        {"{}", "x.type", "one of \"float\", \"int\", \"categorical\""},
        {"{\"type\": \"uniform\"}", "x.type", "and is \"uniform\""},
        {"{\"type\": \"FloatDistribution\"}", "x.type", "did you mean \"float\"?"},
        {"{\"tpye\": \"float\", \"low\": 0, \"high\": 1}", "x.tpye",
         "did you mean type? The known keys are type, low, high, log, step, choices"},
        {"{\"type\": \"float\", \"min\": 0, \"max\": 1}", "x.min", "did you mean low?"},
        {"{\"type\": \"int\", \"low\": 0, \"max\": 1}", "x.max", "did you mean high?"},
        {"{\"type\": \"categorical\", \"values\": [1]}", "x.values", "did you mean choices?"},
        {"{\"name\": \"FloatDistribution\", \"attributes\": {\"low\": 0, \"high\": 1}}", "x.name",
         "long form; the short one is wanted, such as {\"type\": \"float\", \"low\": 0, \"high\": 1}"},
        {"{\"name\": \"IntDistribution\", \"attributes\": {}}", "x.name",
         "{\"type\": \"int\", \"low\": 0, \"high\": 10}"},
        {"{\"name\": \"CategoricalDistribution\", \"attributes\": {}}", "x.name",
         "{\"type\": \"categorical\", \"choices\": [\"a\", \"b\"]}"},
        {"{\"name\": \"UniformDistribution\", \"attributes\": {}}", "x.name", "{\"type\": \"float\""},
        {"{\"type\": \"float\", \"low\": 1}", "x.high", "is missing"},
        {"{\"type\": \"float\", \"low\": 5, \"high\": 3}", "x.low", "low 5 is above high 3"},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 3, \"log\": true}", "x.low",
         "log needs low > 0, and low is 0"},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 3, \"log\": true, \"step\": 1}", "x.step",
         "a float with log cannot have a step"},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 3, \"step\": 0}", "x.step", "must be above 0"},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1e10, \"step\": 1e-10}", "x.step", "too fine"},
        {"{\"type\": \"float\", \"low\": 1e-300, \"high\": 1, \"step\": 0.1}", "x.step", "too fine"},
        {"{\"type\": \"float\", \"low\": \"NaN\", \"high\": 1}", "x.low", "must be a finite number"},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1, \"choices\": [1]}", "x.choices",
         "the known keys are type, low, high, log, step"},
        {"{\"type\": \"float\", \"low\": 0, \"hihg\": 1, \"high\": 1}", "x.hihg", "did you mean high?"},
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1, \"when\": {\"c\": [1]}}", "x.when",
         "conditional parameters are not supported by this version"},
        {"{\"type\": \"int\", \"low\": 5, \"high\": 3}", "x.low", "low 5 is above high 3"},
        {"{\"type\": \"int\", \"low\": 0.5, \"high\": 3}", "x.low", "whole number"},
        {"{\"type\": \"int\", \"low\": 0, \"high\": 9007199254740993}", "x.high", "to 9007199254740992"},
        {"{\"type\": \"int\", \"low\": 0, \"high\": 3, \"log\": true}", "x.low",
         "log needs low >= 1, and low is 0"},
        {"{\"type\": \"int\", \"low\": 1, \"high\": 3, \"log\": true, \"step\": 2}", "x.step",
         "can only have step 1"},
        {"{\"type\": \"int\", \"low\": 1, \"high\": 3, \"step\": 0}", "x.step", "from 1 to"},
        {"{\"type\": \"categorical\"}", "x.choices", "array of 1 to 10000"},
        {"{\"type\": \"categorical\", \"choices\": []}", "x.choices", "array of 1 to 10000"},
        {"{\"type\": \"categorical\", \"choices\": \"ab\"}", "x.choices", "array of 1 to 10000"},
        {"{\"type\": \"categorical\", \"choices\": [1, [2]]}", "x.choices", "choice 2 must be null"},
        {"{\"type\": \"categorical\", \"choices\": [\"a\", true, 1]}", "x.choices",
         "choices 2 and 3 are the same"},
        {"{\"type\": \"categorical\", \"choices\": [1, 1.0]}", "x.choices", "choices 1 and 2 are the same"},
        {"{\"type\": \"categorical\", \"choices\": [0.5, 0.5]}", "x.choices", "are the same"},
        {"{\"type\": \"categorical\", \"choices\": [null, null]}", "x.choices", "are the same"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_auto_t *json = parse(cases[i].text);
        DISTRIBUTION_AUTO struct distribution distribution;
        struct problem problem = {};

        assert_int_equal(distribution_read(&distribution, json, "x", &problem), -1);
        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_string_equal(problem.field, cases[i].field);
        if (!strstr(problem.detail, cases[i].words))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, problem.detail, cases[i].words);
    }
}

/* Choices that only look alike are different: "1" and 1, "null" and null, "true" and true. */
static void test_choices_apart(void **)
{
    DISTRIBUTION_AUTO struct distribution distribution = read_distribution(
        "{\"type\": \"categorical\", \"choices\": [1, \"1\", null, \"null\", false, \"true\", 0.5]}");

    assert_int_equal(distribution.n_choices, 7);
}

/* Inside means between the bounds and on the grid: floats to 1e-8 of a step and what rounding adds, ints
 * exactly. */
static void test_contains(void **)
{
    DISTRIBUTION_AUTO struct distribution plain =
        read_distribution("{\"type\": \"float\", \"low\": 0, \"high\": 1}");
    DISTRIBUTION_AUTO struct distribution stepped =
        read_distribution("{\"type\": \"float\", \"low\": 0, \"high\": 1, \"step\": 0.1}");
    DISTRIBUTION_AUTO struct distribution fine =
        read_distribution("{\"type\": \"float\", \"low\": 0, \"high\": 2, \"step\": 1e-9}");
    DISTRIBUTION_AUTO struct distribution whole =
        read_distribution("{\"type\": \"int\", \"low\": -3, \"high\": 9, \"step\": 3}");
    DISTRIBUTION_AUTO struct distribution choice =
        read_distribution("{\"type\": \"categorical\", \"choices\": [\"a\", \"b\"]}");

    assert_true(distribution_contains(&plain, 0));
    assert_true(distribution_contains(&plain, 1));
    assert_false(distribution_contains(&plain, nextafter(1, 2)));
    assert_false(distribution_contains(&plain, NAN));
    assert_true(distribution_contains(&stepped, 3 * 0.1));
    assert_true(distribution_contains(&stepped, 0.3 + 9e-10));
    assert_false(distribution_contains(&stepped, 0.3 + 2e-9));
    assert_true(distribution_contains(&fine, 523041935 * 1e-9)); /* 6e-8 of a step off, as doubles are */
    assert_false(distribution_contains(&fine, 1.2345 + 1e-10));
    assert_true(distribution_contains(&whole, -3));
    assert_true(distribution_contains(&whole, 6));
    assert_false(distribution_contains(&whole, 5));
    assert_false(distribution_contains(&whole, 6.5));
    assert_false(distribution_contains(&whole, 12));
    assert_true(distribution_contains(&choice, 1));
    assert_false(distribution_contains(&choice, 0.5));
    assert_false(distribution_contains(&choice, 2));
    assert_false(distribution_contains(&choice, -1));
}

/* One possible value: equal bounds, a step wider than the range, one choice. */
static void test_single(void **)
{
    static const struct {
        const char *text;
        bool is_single;
    } cases[] = {
        {"{\"type\": \"float\", \"low\": 1, \"high\": 1}", true},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 2}", false},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 1.5, \"step\": 1}", true},
        {"{\"type\": \"int\", \"low\": 1, \"high\": 3, \"step\": 5}", true},
        {"{\"type\": \"int\", \"low\": 1, \"high\": 2}", false},
        {"{\"type\": \"categorical\", \"choices\": [null]}", true},
        {"{\"type\": \"categorical\", \"choices\": [null, 0]}", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        DISTRIBUTION_AUTO struct distribution distribution = read_distribution(cases[i].text);

        assert_int_equal(distribution_is_single(&distribution), cases[i].is_single);
    }
}

/* Bounds and step may change within a study; kind, log and choices may not. */
static void test_compatible(void **)
{
    static const struct {
        const char *a, *b;
        bool is_compatible;
    } cases[] = {
        {"{\"type\": \"float\", \"low\": 0, \"high\": 1}",
         "{\"type\": \"float\", \"low\": 2, \"high\": 9, \"step\": 1}", true},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 2}",
         "{\"type\": \"float\", \"low\": 1, \"high\": 2, \"log\": true}", false},
        {"{\"type\": \"float\", \"low\": 1, \"high\": 2}", "{\"type\": \"int\", \"low\": 1, \"high\": 2}",
         false},
        {"{\"type\": \"categorical\", \"choices\": [1, \"b\"]}",
         "{\"type\": \"categorical\", \"choices\": [1.0, \"b\"]}", true},
        {"{\"type\": \"categorical\", \"choices\": [1, \"b\"]}",
         "{\"type\": \"categorical\", \"choices\": [\"b\", 1]}", false},
        {"{\"type\": \"categorical\", \"choices\": [1]}", "{\"type\": \"categorical\", \"choices\": [1, 2]}",
         false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        DISTRIBUTION_AUTO struct distribution a = read_distribution(cases[i].a);
        DISTRIBUTION_AUTO struct distribution b = read_distribution(cases[i].b);

        assert_int_equal(distribution_is_compatible(&a, &b), cases[i].is_compatible);
        assert_int_equal(distribution_is_compatible(&b, &a), cases[i].is_compatible);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lower_high),    cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_choices_apart), cmocka_unit_test(test_contains),
        cmocka_unit_test(test_single),        cmocka_unit_test(test_compatible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
