/* SPDX-License-Identifier: MIT */
/* Unit tests of the Parzen estimator: it is a probability density, and its candidates follow it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "daemon/sampler/parzen_density.h"
#include "daemon/sampler/parzen_sample.h"
#include "daemon/sampler/philox.h"
#include "proto/memory.h"
#include "tests/unit/sampler_harness.h"

#define N_OBSERVATIONS 60

/* An estimator of one parameter with observations at random values, each of them twice. */
static struct parzen *make_parzen(const struct spec *spec, size_t param, size_t n_observations)
{
    struct parzen *parzen = parzen_new(spec->space, &param, 1, 1.0);
    const struct parzen_dimension *dimension = &parzen->dimensions[0];
    double params[16] = {};

    for (size_t i = 0; i < n_observations; i++) {
        struct draw_key key = {.seed = 9, .number = (int64_t)(i / 2), .purpose = DRAW_RANDOM};
        double u = draw_uniform(&key, 0);

        params[param] = dimension->low + u * u * (dimension->high - dimension->low);
        if (dimension->step > 0)
            params[param] -= fmod(params[param] - dimension->low, dimension->step);
        parzen_insert(parzen, (int64_t)i, params);
    }
    parzen_settle(parzen);
    return parzen;
}

static void log_density(const struct parzen *parzen, const double *values, size_t n, double *out)
{
    struct parzen_workspace workspace = {};

    parzen_log_density(parzen, mixture_functions_choose(), &workspace, values, n, out);
    assert_true(parzen_workspace_size_bytes(&workspace) > 0);
    parzen_workspace_deinit(&workspace);
}

/* The values of a discrete parameter. */
static size_t list_values(const struct distribution *distribution, double **values)
{
    size_t n = (size_t)rint((distribution->high - distribution->low) / distribution->step) + 1;

    *values = memory_array(n, sizeof(double));
    for (size_t i = 0; i < n; i++)
        (*values)[i] = distribution->low + (double)i * distribution->step;
    return n;
}

/* Discrete probabilities add up to 1, with and without tables of masses; 20,000 candidates come up as often
 * as they say (chi-square, values expected fewer than 5 times together, mean plus five standard deviations).
 */
static void check_discrete(const struct spec *spec, size_t param, size_t n_observations)
{
    const size_t n_candidates = 20000;
    struct parzen *parzen = make_parzen(spec, param, n_observations);
    double *values, total = 0, chi_square = 0, rest = 0, rest_count = 0;
    size_t n_values = list_values(&spec->space->params[param].distribution, &values), n_cells = 0;
    MEMORY_AUTO double *log_p = memory_array(n_values, sizeof log_p[0]);
    MEMORY_AUTO double *candidates = memory_array(n_candidates, sizeof candidates[0]);
    MEMORY_AUTO size_t *counts = memory_array(n_values, sizeof counts[0]);

    log_density(parzen, values, n_values, log_p);
    parzen_sample(parzen, spec->space, 17, 3, 0, n_candidates, candidates);
    for (size_t i = 0; i < n_candidates; i++)
        counts[(size_t)rint((candidates[i] - parzen->dimensions[0].low) / parzen->dimensions[0].step)]++;
    for (size_t i = 0; i < n_values; i++) {
        double expected = exp(log_p[i]) * (double)n_candidates;

        total += exp(log_p[i]);
        if (expected < 5) {
            rest += expected;
            rest_count += (double)counts[i];
            continue;
        }
        chi_square += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
        n_cells++;
    }
    assert_true(fabs(total - 1) < 1e-12);
    if (rest > 5)
        chi_square += (rest_count - rest) * (rest_count - rest) / rest;
    assert_true(chi_square < (double)n_cells + 5 * sqrt(2 * (double)n_cells));
    free(values);
    parzen_free(parzen);
}

static void test_discrete(void **)
{
    static const char *const names[] = {"step", "int", "int_step", "int_log", "choice"};
    struct spec *spec = harness_spec(harness_all_kinds, "{\"type\": \"tpe\", \"seed\": 1}");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t n = 0; n <= 3 * N_OBSERVATIONS; n += N_OBSERVATIONS)
            check_discrete(spec, (size_t)space_find(spec->space, names[i]), n);
    spec_free(spec);
}

/* A continuous density integrates to 1 on the kernels' scale, and so many candidates lie under each decile of
 * its own distribution as should (within five standard deviations). */
static void check_continuous(const struct spec *spec, size_t param)
{
    const size_t n_grid = 20000, n_candidates = 20000;
    struct parzen *parzen = make_parzen(spec, param, N_OBSERVATIONS);
    const struct parzen_dimension *dimension = &parzen->dimensions[0];
    double width = (dimension->upper - dimension->lower) / (double)n_grid, cumulated = 0;
    MEMORY_AUTO double *grid = memory_array(n_grid, sizeof grid[0]);
    MEMORY_AUTO double *log_p = memory_array(n_grid, sizeof log_p[0]);
    MEMORY_AUTO double *candidates = memory_array(n_candidates, sizeof candidates[0]);
    int decile = 1;

    for (size_t i = 0; i < n_grid; i++) {
        double middle = dimension->lower + width * ((double)i + 0.5);

        grid[i] = dimension->is_log ? exp(middle) : middle;
    }
    log_density(parzen, grid, n_grid, log_p);
    parzen_sample(parzen, spec->space, 17, 3, 0, n_candidates, candidates);
    for (size_t i = 0; i < n_grid; i++) {
        size_t n_under = 0;

        cumulated += exp(log_p[i]) * width;
        if (cumulated < 0.1 * decile || decile == 10)
            continue;
        for (size_t c = 0; c < n_candidates; c++)
            n_under += candidates[c] <= grid[i];
        assert_true(fabs((double)n_under / (double)n_candidates - cumulated) <
                    5 * 0.5 / sqrt((double)n_candidates));
        decile++;
    }
    assert_int_equal(decile, 10);
    assert_true(fabs(cumulated - 1) < 1e-6);
    parzen_free(parzen);
}

static void test_continuous(void **)
{
    struct spec *spec = harness_spec(harness_all_kinds, "{\"type\": \"tpe\", \"seed\": 1}");

    check_continuous(spec, (size_t)space_find(spec->space, "float"));
    check_continuous(spec, (size_t)space_find(spec->space, "log"));
    spec_free(spec);
}

/* Kernels whose mean lies outside the range (its trial ran before the range was narrowed, or was imported)
 * are cut off at the ends like the others: the density still integrates to 1, however far out they are. */
static void test_mean_outside(void **)
{
    struct spec *spec = harness_spec("{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}",
                                     "{\"type\": \"tpe\", \"seed\": 1}");
    const size_t n_grid = 20000, param = 0;
    MEMORY_AUTO double *grid = memory_array(n_grid, sizeof grid[0]);
    MEMORY_AUTO double *log_p = memory_array(n_grid, sizeof log_p[0]);
    static const double means[] = {-0.2, 1.5, -3, 40};

    for (size_t m = 0; m < sizeof means / sizeof means[0]; m++) {
        struct parzen *parzen = parzen_new(spec->space, &param, 1, 1.0);
        double total = 0, candidates[100];

        parzen_insert(parzen, 0, &means[m]);
        parzen_insert(parzen, 1, &(double){means[m] + 0.01});
        parzen_settle(parzen);
        for (size_t i = 0; i < n_grid; i++)
            grid[i] = ((double)i + 0.5) / (double)n_grid;
        log_density(parzen, grid, n_grid, log_p);
        for (size_t i = 0; i < n_grid; i++)
            total += exp(log_p[i]) / (double)n_grid;
        assert_true(fabs(total - 1) < 1e-3);
        parzen_sample(parzen, spec->space, 1, 1, 0, 100, candidates);
        for (size_t i = 0; i < 100; i++)
            assert_true(candidates[i] >= 0 && candidates[i] <= 1);
        parzen_free(parzen);
    }
    spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discrete),
        cmocka_unit_test(test_continuous),
        cmocka_unit_test(test_mean_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
