/* SPDX-License-Identifier: MIT */
/* The split: sizes as scikit-learn's, the same rows for the same seed, every row once, each as likely as any
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/xgboost/split.h"

static struct failure failure;

static size_t count_validation(const struct split *split)
{
    size_t n = 0;
    for (size_t row = 0; row < split->n_rows; row++)
        n += split->is_validation[row];
    return n;
}

/* ceil(test_size * n) rows validate, exactly. */
static void test_sizes(void **unused)
{
    (void)unused;
    static const struct {
        size_t n_rows;
        double test_size;
        size_t n_validation;
    } cases[] = {{1599, 0.2, 320}, {10, 0.2, 2}, {11, 0.2, 3}, {2, 0.5, 1}, {2, 0.01, 1}, {1000, 0.999, 999}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct split split;
        assert_int_equal(split_init(&split, cases[i].n_rows, cases[i].test_size, i, &failure), 0);
        assert_int_equal(count_validation(&split), cases[i].n_validation);
        assert_int_equal(split.n_train, cases[i].n_rows - cases[i].n_validation);
        split_deinit(&split);
    }
}

/* A side without rows is refused. */
static void test_empty_sides(void **unused)
{
    (void)unused;
    struct split split;
    static const struct {
        size_t n_rows;
        double test_size;
        const char *reason;
    } cases[] = {
        {1, 0.2, "the data has 1 row: with test_size 0.2, 1 would validate and 0 would train"},
        {2, 0.9, "the data has 2 rows: with test_size 0.9, 2 would validate and 0 would train"},
        {9, 0, "the data has 9 rows: with test_size 0, 0 would validate and 9 would train"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        failure = (struct failure){0};
        assert_int_equal(split_init(&split, cases[i].n_rows, cases[i].test_size, 1, &failure), -1);
        assert_string_equal(failure.reason, cases[i].reason);
        split_deinit(&split);
    }
}

/* The rows of seed 42 never change: these came out of a Python program written from the header's words. */
static void test_known_answer(void **unused)
{
    (void)unused;
    static const uint8_t expected[20] = {0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0};
    struct split split;
    assert_int_equal(split_init(&split, 20, 0.25, 42, &failure), 0);
    assert_memory_equal(split.is_validation, expected, 20);
    split_deinit(&split);
}

/* Over 20,000 seeds each row validates about as often as any other. */
static void test_evenness(void **unused)
{
    (void)unused;
    enum { N_ROWS = 50, N_SEEDS = 20000 };
    size_t times[N_ROWS] = {0};
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        struct split split;
        assert_int_equal(split_init(&split, N_ROWS, 0.2, seed, &failure), 0);
        for (size_t row = 0; row < N_ROWS; row++)
            times[row] += split.is_validation[row];
        split_deinit(&split);
    }
    for (size_t row = 0; row < N_ROWS; row++)
        assert_in_range(times[row], 3750, 4250); /* 4,000 expected; 57 is one standard deviation */
}

/* Both sides keep the file's order, and no value is lost. */
static void test_column(void **unused)
{
    (void)unused;
    enum { N_ROWS = 100 };
    float column[N_ROWS], scratch[N_ROWS];
    for (size_t row = 0; row < N_ROWS; row++)
        column[row] = (float)row;
    struct split split;
    assert_int_equal(split_init(&split, N_ROWS, 0.3, 7, &failure), 0);
    split_column(&split, column, scratch);
    for (size_t i = 1; i < N_ROWS; i++)
        assert_true(i == split.n_train || column[i] > column[i - 1]);
    for (size_t i = 0; i < N_ROWS; i++)
        assert_int_equal(split.is_validation[(size_t)column[i]], i >= split.n_train);
    split_deinit(&split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_empty_sides),
        cmocka_unit_test(test_known_answer), cmocka_unit_test(test_evenness),
        cmocka_unit_test(test_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
