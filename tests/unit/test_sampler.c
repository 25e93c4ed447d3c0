/* SPDX-License-Identifier: MIT */
/* Unit tests of choosing a sampler, of its options, and of the random sampler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/sampler_harness.h"

#define UNIT "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}"

/* Completes a sampler; returns the problem, whose type is NONE where it went well. */
static struct problem complete(const char *space, const char *sampler, size_t n_directions)
{
    json_auto_t *json = json_pack("{s:s, s:o, s:o}", "name", "test", "space", json_loads(space, 0, NULL),
                                  "sampler", json_loads(sampler, 0, NULL));
    struct problem problem = {};
    struct spec *spec = spec_read(json, 1, &problem);

    assert_non_null(spec);
    spec->n_directions = n_directions;

    int rc = sampler_complete_spec(spec, &problem);

    assert_int_equal(rc, problem.type == PROBLEM_NONE ? 0 : -1);
    spec_free(spec);
    return problem;
}

/* Options that are left out get Optuna's defaults, and completing a complete spec changes nothing. */
static void test_defaults(void **)
{
    struct spec *spec = harness_spec(UNIT, "{\"type\": \"tpe\", \"seed\": 42}");
    struct problem problem = {};
    json_auto_t *expected = json_pack("{s:s, s:i, s:i, s:i, s:i, s:f, s:b, s:b}", "type", "tpe", "seed", 42,
                                      "version", 1, "n_startup_trials", 10, "n_ei_candidates", 24,
                                      "prior_weight", 1.0, "multivariate", 1, "constant_liar", 1);

    assert_true(json_equal(spec->sampler, expected));
    assert_int_equal(sampler_complete_spec(spec, &problem), 0);
    assert_true(json_equal(spec->sampler, expected));
    spec_free(spec);
}

/* What is wrong is named, and what would be right. */
static void test_errors(void **)
{
    static const struct {
        const char *sampler, *field, *said;
    } cases[] = {
        {"{\"type\": \"tpee\"}", "sampler.type", "did you mean \"tpe\"?); this version has: tpe, random"},
        {"{\"type\": \"gq\"}", "sampler.type", "there is no sampler \"gq\"; this version has: tpe, random"},
        {"{\"type\": \"cmaes\"}", "sampler.type", "not supported by this version, which has: tpe, random"},
        {"{\"type\": \"tpe\", \"group\": true}", "sampler.group", "not supported by this version"},
        {"{\"type\": \"tpe\", \"consider_magic_clip\": true}", "sampler.consider_magic_clip",
         "not supported"},
        {"{\"type\": \"tpe\", \"n_startup_trial\": 5}", "sampler.n_startup_trial", "n_startup_trials"},
        {"{\"type\": \"tpe\", \"n_ei_candidates\": 0}", "sampler.n_ei_candidates", "1"},
        {"{\"type\": \"tpe\", \"prior_weight\": 0}", "sampler.prior_weight", "0"},
        {"{\"type\": \"tpe\", \"version\": 2}", "sampler.version", "version 1 of the sampler tpe"},
        {"{\"type\": \"random\", \"multivariate\": true}", "sampler.multivariate", "multivariate"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problem problem = complete(UNIT, cases[i].sampler, 1);

        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_string_equal(problem.field, cases[i].field);
        assert_non_null(strstr(problem.detail, cases[i].said));
    }
}

/* Two objectives are the random sampler's only, and so is a range that no double is as wide as. */
static void test_what_tpe_cannot(void **)
{
    static const char wide[] = "{\"x\": {\"type\": \"float\", \"low\": -1e308, \"high\": 1e308}}";

    assert_non_null(strstr(complete(UNIT, "{\"type\": \"tpe\"}", 2).detail, "\"random\""));
    assert_int_equal(complete(UNIT, "{\"type\": \"random\"}", 2).type, PROBLEM_NONE);
    assert_non_null(strstr(complete(wide, "{\"type\": \"tpe\"}", 1).detail, "\"x\""));
    assert_int_equal(complete(wide, "{\"type\": \"random\"}", 1).type, PROBLEM_NONE);
}

/* Where a value lies between the ends of its distribution's scale, as a share. */
static double share(const struct distribution *distribution, double value)
{
    double low = distribution->low, high = distribution->high;

    if (distribution->is_log && distribution->step == 0)
        return log(value / low) / log(high / low);
    if (distribution->is_log)
        return log(value / (low - 0.5)) / log((high + 0.5) / (low - 0.5));
    return (value - low + distribution->step / 2) / (high - low + distribution->step);
}

/* Random values lie inside, and their ranks are even: each decile of the scale holds a tenth of 5,000 values,
 * but for the width of a step. */
static void test_random_is_uniform(void **)
{
    struct spec *spec = harness_spec(harness_all_kinds, "{\"type\": \"random\", \"seed\": 4}");
    struct sampler *sampler = sampler_new(spec);
    struct sampler_view view = {};
    const size_t n = 5000, n_params = spec->space->n_params;
    double params[16], mean[16] = {}, square[16] = {};

    for (size_t i = 0; i < n; i++) {
        sampler_suggest(sampler, &view, (int64_t)i, params);
        for (size_t p = 0; p < n_params; p++) {
            const struct distribution *distribution = &spec->space->params[p].distribution;

            assert_true(distribution_contains(distribution, params[p]));
            mean[p] += share(distribution, params[p]) / (double)n;
            square[p] += share(distribution, params[p]) * share(distribution, params[p]) / (double)n;
        }
    }
    for (size_t p = 0; p < n_params; p++) {
        const struct distribution *distribution = &spec->space->params[p].distribution;
        double n_values = distribution->step > 0 && !distribution->is_log
                              ? (distribution->high - distribution->low) / distribution->step + 1
                              : HUGE_VAL;

        if (distribution_is_single(distribution))
            continue;
        assert_true(fabs(mean[p] - 0.5) < 0.02); /* five standard deviations of a uniform mean */
        assert_true(fabs(square[p] - mean[p] * mean[p] - (1 - 1 / (n_values * n_values)) / 12) < 0.006);
    }
    sampler_free(sampler);
    sampler_free(NULL);
    spec_free(spec);
}

/* Each value of a short int, step or choice comes up as often as the others (chi-square, 99.99 % point). */
static void test_random_values(void **)
{
    struct spec *spec =
        harness_spec("{\"int\": {\"type\": \"int\", \"low\": -2, \"high\": 2},"
                     " \"step\": {\"type\": \"float\", \"low\": 0, \"high\": 1, \"step\": 0.25},"
                     " \"choice\": {\"type\": \"categorical\", \"choices\": [1, 2, 3, 4, 5]}}",
                     "{\"type\": \"random\", \"seed\": 5}");
    struct sampler *sampler = sampler_new(spec);
    struct sampler_view view = {};
    double params[3];
    int counts[3][5] = {};

    for (int i = 0; i < 5000; i++) {
        sampler_suggest(sampler, &view, i, params);
        counts[0][(int)params[0] + 2]++;
        counts[1][(int)(4 * params[1])]++;
        counts[2][(int)params[2]]++;
    }
    for (int p = 0; p < 3; p++) {
        double chi_square = 0;

        for (int i = 0; i < 5; i++)
            chi_square += (counts[p][i] - 1000.0) * (counts[p][i] - 1000.0) / 1000;
        assert_true(chi_square < 23.5);
    }
    sampler_free(sampler);
    spec_free(spec);
}

/* A parameter's value is its own affair: neither another parameter nor the order of the space changes it; the
 * seed and the trial's number do. */
static void test_random_is_by_name(void **)
{
    static const struct {
        const char *space;
        int seed;
        int64_t number;
    } cases[] = {
        {"{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}", 1, 7},
        {"{\"y\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, \"x\": {\"type\": \"float\", \"low\": 0, "
         "\"high\": 1}}",
         1, 7},
        {"{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}", 2, 7},
        {"{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}", 1, 8},
    };
    double values[4];

    for (size_t i = 0; i < 4; i++) {
        char text[64];
        struct sampler_view view = {};
        double params[2];

        snprintf(text, sizeof text, "{\"type\": \"random\", \"seed\": %d}", cases[i].seed);

        struct spec *spec = harness_spec(cases[i].space, text);
        struct sampler *sampler = sampler_new(spec);

        sampler_suggest(sampler, &view, cases[i].number, params);
        values[i] = params[space_find(spec->space, "x")];
        sampler_free(sampler);
        spec_free(spec);
    }
    assert_true(values[0] == values[1]);
    assert_true(values[0] != values[2] && values[0] != values[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_what_tpe_cannot), cmocka_unit_test(test_random_is_uniform),
        cmocka_unit_test(test_random_values),   cmocka_unit_test(test_random_is_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
