/* SPDX-License-Identifier: MIT */
/* exp, log, erfc and the normal distribution of our own, against mpmath (tests/golden/make_real.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/truncated_normal.h"

#define MAX_ARGUMENTS 3
#define ULP 2.3e-16

static double call_exp(const double *x)
{
    return real_exp(x[0]);
}

static double call_log(const double *x)
{
    return real_log(x[0]);
}

static double call_log1p(const double *x)
{
    return real_log1p(x[0]);
}

static double call_erfc(const double *x)
{
    return real_erfc(x[0]);
}

static double call_log_mass(const double *x)
{
    return normal_log_mass(x[0], x[1]);
}

static double call_quantile(const double *x)
{
    return normal_quantile(x[0]);
}

static double call_upper_quantile(const double *x)
{
    return normal_upper_quantile(x[0]);
}

static double call_truncated_quantile(const double *x)
{
    return truncated_normal_quantile(x[0], x[1], x[2]);
}

/* Deviations count relative to the answer, or to `floor` where that is larger: a logarithm near 0 and a
 * quantile near 0 stand for a relative error of what they are made of. */
static struct {
    const char *name;
    double (*call)(const double *arguments);
    size_t n_arguments;
    double tolerance, floor;
    size_t n_cases;
    double worst;
} functions[] = {
    {"exp", call_exp, 1, ULP, 0, 0, 0},
    {"log", call_log, 1, ULP, 0, 0, 0},
    {"log1p", call_log1p, 1, 1e-14, 0, 0, 0},
    {"erfc", call_erfc, 1, 1e-14, 0, 0, 0},
    {"log_mass", call_log_mass, 2, 1e-14, 1, 0, 0},
    {"quantile", call_quantile, 1, 1e-14, 0, 0, 0},
    {"upper_quantile", call_upper_quantile, 1, 1e-14, 0, 0, 0},
    {"truncated_quantile", call_truncated_quantile, 3, 1e-14, 1, 0, 0},
};
#define N_FUNCTIONS (sizeof functions / sizeof functions[0])

static void check_line(char *line)
{
    char *rest = line, *name = strsep(&rest, ",");
    double x[MAX_ARGUMENTS], answer;
    size_t f = 0;

    while (strcmp(functions[f].name, name) != 0)
        assert_true(++f < N_FUNCTIONS);
    for (size_t i = 0; i < functions[f].n_arguments; i++)
        x[i] = strtod(strsep(&rest, ","), NULL);
    answer = strtod(rest, NULL);

    double ours = functions[f].call(x),
           deviation = fabs(ours - answer) / fmax(fabs(answer), functions[f].floor);

    if (!(deviation <= functions[f].tolerance))
        fail_msg("%s(%a, ...): ours %.17g, mpmath's %.17g", name, x[0], ours, answer);
    functions[f].n_cases++;
    functions[f].worst = fmax(functions[f].worst, deviation);
}

/* Every known answer is met within the function's tolerance. */
static void test_known_answers(void **)
{
    FILE *file = fopen(GOLDEN_DIR "/real.csv", "r");
    char line[256];

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        check_line(line);
    fclose(file);
    for (size_t f = 0; f < N_FUNCTIONS; f++) {
        assert_true(functions[f].n_cases >= 60);
        print_message("# %s: %zu answers, largest deviation %.2g\n", functions[f].name, functions[f].n_cases,
                      functions[f].worst);
    }
}

/* The ends of the ranges: no NaN, no trap, the limits that mathematics gives. */
static void test_ends(void **)
{
    assert_true(real_exp(0) == 1);
    assert_true(real_exp(-HUGE_VAL) == 0 && real_exp(-800) == 0);
    assert_true(real_exp(HUGE_VAL) == HUGE_VAL && real_exp(710) == HUGE_VAL);
    assert_true(real_log(1) == 0);
    assert_true(real_log(0) == -HUGE_VAL && real_log(HUGE_VAL) == HUGE_VAL);
    assert_true(real_log1p(0) == 0);
    assert_true(isfinite(normal_log_mass(1e150, 2e150)));
    assert_true(normal_log_mass(-1e9, 1e9) == 0);
    assert_true(truncated_normal_quantile(0, -3, 4) == -3);
    assert_true(truncated_normal_quantile(0, 50, 60) == 50);
    assert_true(fabs(truncated_normal_quantile(0, -60, -50) + 50.7) < 0.8);
    assert_true(truncated_normal_quantile(1 - 0x1p-53, -1e3, 1e3) < 9);
}

/* The quantile is what the mass says: the share of mass below it is q, from far left to far right of the
 * bounds. */
static void test_quantile_inverts_mass(void **)
{
    for (double a = -90; a < 90; a += 7.3)
        for (double q = 0.01; q < 1; q += 0.07) {
            double b = a + 3, z = truncated_normal_quantile(q, a, b);

            assert_true(z > a && z < b);
            assert_true(fabs(exp(normal_log_mass(a, z) - normal_log_mass(a, b)) - q) < 1e-11);
        }
}

/* Products are rounded before they are added, whatever the CPU has: one fused step would keep the 2^-60. */
static void test_no_contraction(void **)
{
    volatile double x = 1 + 0x1p-30, minus_square = -(1 + 0x1p-29);

    assert_true(x * x + minus_square == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_quantile_inverts_mass),
        cmocka_unit_test(test_no_contraction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
