/* SPDX-License-Identifier: MIT */
/* Unit tests of the TPE sampler: what a suggestion may depend on, and whether it searches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/sampler_kind.h"
#include "daemon/sampler/tpe.h"
#include "tests/unit/sampler_harness.h"

#define MAX_PARAMS 16
#define SQUARE                                                                                            \
    "{\"x\": {\"type\": \"float\", \"low\": -5, \"high\": 5}, \"y\": {\"type\": \"float\", \"low\": -5, " \
    "\"high\": 5}}"

static void suggest(void *tpe, const struct harness_study *study, double *params)
{
    struct sampler_view view = harness_study_view(study);

    sampler_tpe.suggest(tpe, &view, study->next_number, params);
}

static void suggest_afresh(const struct harness_study *study, const struct mixture_functions *functions,
                           double *params)
{
    void *tpe = sampler_tpe.state_new(study->spec);

    tpe_use_functions(tpe, functions);
    suggest(tpe, study, params);
    sampler_tpe.state_free(tpe);
}

/* A sampler that grew with its study through hundreds of random changes suggests bit for bit what a fresh one
 * does, and what the build for other CPUs does; each value lies in its distribution. `skip` leaves out views,
 * as a pool under load does. */
static void compare_grown_with_fresh(const char *sampler, uint64_t seed, uint32_t n_steps, uint32_t skip)
{
    struct spec *spec = harness_spec(harness_all_kinds, sampler);
    void *grown = sampler_tpe.state_new(spec);
    struct harness_study study;
    double params[MAX_PARAMS], fresh[MAX_PARAMS];

    harness_study_init(&study, spec);
    for (uint32_t step = 0; step < n_steps; step++) {
        suggest_afresh(&study, &mixture_baseline, params);
        for (size_t i = 0; i < spec->space->n_params; i++)
            assert_true(distribution_contains(&spec->space->params[i].distribution, params[i]));
        if (step % skip == 0) {
            suggest(grown, &study, fresh);
            assert_memory_equal(fresh, params, spec->space->n_params * sizeof params[0]);
        }
        suggest_afresh(&study, mixture_functions_choose(), fresh);
        assert_memory_equal(fresh, params, spec->space->n_params * sizeof params[0]);
        harness_study_step(&study, seed, step, params);
    }
    assert_true(history_size(study.history) > n_steps / 3);
    harness_study_deinit(&study);
    sampler_tpe.state_free(grown);
    spec_free(spec);
}

static void test_grown_is_fresh(void **)
{
    compare_grown_with_fresh("{\"type\": \"tpe\", \"seed\": 3}", 11, 500, 1);
    compare_grown_with_fresh("{\"type\": \"tpe\", \"seed\": 4}", 12, 300, 7);
}

static void test_grown_is_fresh_alone(void **)
{
    compare_grown_with_fresh("{\"type\": \"tpe\", \"seed\": 5, \"multivariate\": false}", 13, 200, 1);
}

static void test_grown_is_fresh_without_liar(void **)
{
    compare_grown_with_fresh(
        "{\"type\": \"tpe\", \"seed\": 6, \"constant_liar\": false, \"n_startup_trials\": 0,"
        " \"n_ei_candidates\": 30, \"prior_weight\": 0.5}",
        14, 200, 3);
}

/* FNV-1a over the bits of 300 suggestions in a study that takes every turn. */
static uint64_t digest_suggestions(const char *sampler)
{
    struct spec *spec = harness_spec(harness_all_kinds, sampler);
    struct sampler *grown = sampler_new(spec);
    struct harness_study study;
    double params[MAX_PARAMS];
    uint64_t digest = 0xcbf29ce484222325;

    harness_study_init(&study, spec);
    for (uint32_t step = 0; step < 300; step++) {
        struct sampler_view view = harness_study_view(&study);

        sampler_suggest(grown, &view, study.next_number, params);
        for (size_t i = 0; i < spec->space->n_params * sizeof params[0]; i++)
            digest = (digest ^ ((const unsigned char *)params)[i]) * 0x100000001b3;
        harness_study_step(&study, 15, step, params);
    }
    harness_study_deinit(&study);
    sampler_free(grown);
    spec_free(spec);
    return digest;
}

/* Version 1 of the samplers suggests these bits, whatever the compiler, its options and the CPU. Who changes
 * one raises the sampler's version. */
static void test_pinned_bits(void **)
{
    assert_int_equal(digest_suggestions("{\"type\": \"random\", \"seed\": 7}"), 0xe5b92bf167c42e3a);
    assert_int_equal(digest_suggestions("{\"type\": \"tpe\", \"seed\": 7}"), 0xd0c419eb27aa86ce);
    assert_int_equal(digest_suggestions("{\"type\": \"tpe\", \"seed\": 7, \"multivariate\": false}"),
                     0xe42d01f18a796818);
}

/* Until ten trials are complete or pruned, suggestions are the random sampler's; failed ones do not count. */
static void test_startup(void **)
{
    struct spec *spec = harness_spec(SQUARE, "{\"type\": \"tpe\", \"seed\": 1}");
    void *tpe = sampler_tpe.state_new(spec);
    struct harness_study study;
    double params[2];

    harness_study_init(&study, spec);
    for (int i = 0; i < 25; i++) {
        bool is_startup = i < 18; /* the last of the first ten is number 17 */

        suggest(tpe, &study, params);
        for (size_t p = 0; p < 2; p++) {
            double random = random_suggest_param(&spec->space->params[p], 1, study.next_number);

            assert_int_equal(params[p] == random, is_startup);
        }
        harness_study_open(&study, params);
        harness_study_finish(&study, 0,
                             i < 8   ? TRIAL_FAIL
                             : i % 2 ? TRIAL_PRUNED
                                     : TRIAL_COMPLETE,
                             params[0]);
    }
    harness_study_deinit(&study);
    sampler_tpe.state_free(tpe);
    spec_free(spec);
}

static double sphere(const double *params)
{
    return (params[0] - 2) * (params[0] - 2) + (params[1] + 1) * (params[1] + 1);
}

/* The best of 60 trials on a sphere. */
static double search(const char *type, int seed, bool is_negated)
{
    char sampler[64];
    struct sampler_view view;
    struct harness_study study;
    double params[2], best = HUGE_VAL;

    snprintf(sampler, sizeof sampler, "{\"type\": \"%s\", \"seed\": %d}", type, seed);

    struct spec *spec = harness_spec(SQUARE, sampler);

    spec->directions[0] = is_negated ? DIRECTION_MAXIMIZE : DIRECTION_MINIMIZE;
    struct sampler *searcher = sampler_new(spec);

    harness_study_init(&study, spec);
    for (int i = 0; i < 60; i++) {
        view = harness_study_view(&study);
        sampler_suggest(searcher, &view, study.next_number, params);
        harness_study_open(&study, params);
        harness_study_finish(&study, 0, TRIAL_COMPLETE, is_negated ? -sphere(params) : sphere(params));
        best = fmin(best, sphere(params));
    }
    assert_true(sampler_size_bytes(searcher) > 0);
    sampler_free(searcher);
    harness_study_deinit(&study);
    spec_free(spec);
    return best;
}

/* On a sphere the best of 60 trials is under random search's in nine studies of ten, whichever way the
 * direction goes. */
static void test_converges(void **)
{
    int n_better = 0;

    for (int seed = 0; seed < 20; seed++) {
        double random = search("random", seed, false);

        n_better += search("tpe", seed, false) < random;
        assert_true(search("tpe", seed, true) == search("tpe", seed, false));
    }
    print_message("# better than random in %d of 20\n", n_better);
    assert_true(n_better >= 18);
}

/* Open trials count as bad ones: with many of them at the best place, suggestions keep away from it. */
static void test_constant_liar(void **)
{
    double distance[2] = {};

    for (int has_liar = 0; has_liar < 2; has_liar++) {
        struct spec *spec =
            harness_spec(SQUARE, has_liar ? "{\"type\": \"tpe\", \"seed\": 1}"
                                          : "{\"type\": \"tpe\", \"seed\": 1, \"constant_liar\": false}");
        void *tpe = sampler_tpe.state_new(spec);
        struct harness_study study;
        double params[2];

        harness_study_init(&study, spec);
        for (int i = 0; i < 40; i++) {
            params[0] = -5 + i % 11, params[1] = -5 + i * 7 % 11;
            harness_study_open(&study, params);
            harness_study_finish(&study, 0, TRIAL_COMPLETE, sphere(params));
        }
        for (int i = 0; i < 10; i++)
            harness_study_open(&study, (double[]){2, -1});
        for (; study.next_number < 150; study.next_number++) {
            suggest(tpe, &study, params);
            distance[has_liar] += sqrt(sphere(params)) / 100;
        }
        harness_study_deinit(&study);
        sampler_tpe.state_free(tpe);
        spec_free(spec);
    }
    print_message("# mean distance %.2f without the liar, %.2f with it\n", distance[0], distance[1]);
    assert_true(distance[1] > 1.3 * distance[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grown_is_fresh),
        cmocka_unit_test(test_grown_is_fresh_alone),
        cmocka_unit_test(test_grown_is_fresh_without_liar),
        cmocka_unit_test(test_pinned_bits),
        cmocka_unit_test(test_startup),
        cmocka_unit_test(test_converges),
        cmocka_unit_test(test_constant_liar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
