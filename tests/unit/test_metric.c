/* SPDX-License-Identifier: MIT */
/* The metrics by hand-made cases; that they are XGBoost's own is shown with the real library in test_trainer.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/xgboost/metric.h"

static void assert_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("%.17g, expected %.17g", got, expected);
}

static void test_regression(void **unused)
{
    (void)unused;
    static const float predictions[] = {1, 2, 4}, labels[] = {1, 4, 3};
    assert_near(metric_compute("rmse", predictions, labels, 3), sqrt(5.0 / 3));
    assert_near(metric_compute("mae", predictions, labels, 3), 1);
    assert_near(metric_compute("mape", predictions, labels, 3), (0.5 + 1.0 / 3) / 3);
    double a = log(5.0 / 3), b = log(5.0 / 4);
    assert_near(metric_compute("rmsle", predictions, labels, 3), sqrt((a * a + b * b) / 3));
}

/* A prediction of exactly 0 or 1 that is wrong costs much, not infinitely much. */
static void test_classification(void **unused)
{
    (void)unused;
    static const float predictions[] = {0.25F, 0.75F, 0.5F}, labels[] = {0, 1, 1}, certain[] = {0, 1, 1};
    assert_near(metric_compute("logloss", predictions, labels, 3), -(2 * log(0.75) + log(0.5)) / 3);
    assert_near(metric_compute("error", predictions, labels, 3), 1.0 / 3);
    assert_near(metric_compute("logloss", certain, labels, 3), 0);
    static const float wrong[] = {1}, label[] = {0};
    assert_near(metric_compute("logloss", wrong, label, 1), -log(1e-16));
}

/* All pairs in order, none, ties half; undefined with one class; an end with NaN among the predictions. */
static void test_auc(void **unused)
{
    (void)unused;
    static const float rising[] = {0.1F, 0.2F, 0.3F, 0.4F}, flat[] = {0.5F, 0.5F, 0.5F, 0.5F};
    static const float good[] = {0, 0, 1, 1}, bad[] = {1, 1, 0, 0}, mixed[] = {0, 1, 0, 1},
                       one_class[] = {1, 1, 1, 1};
    static const float broken[] = {0.1F, NAN, 0.3F, NAN};
    assert_near(metric_compute("auc", rising, good, 4), 1);
    assert_near(metric_compute("auc", rising, bad, 4), 0);
    assert_near(metric_compute("auc", rising, mixed, 4), 0.75);
    assert_near(metric_compute("auc", flat, mixed, 4), 0.5);
    assert_true(isnan(metric_compute("auc", rising, one_class, 4)));
    (void)metric_compute("auc", broken, mixed, 4);
}

/* Which way is better; names may carry a parameter. */
static void test_directions(void **unused)
{
    (void)unused;
    static const char *const maximized[] = {
        "auc", "aucpr", "pre@5", "ndcg", "ndcg@10-", "map", "map@3", "map-", "interval-regression-accuracy"};
    static const char *const minimized[] = {"rmse",   "mape",           "mae", "logloss", "error@0.7",
                                            "merror", "poisson-nloglik"};
    for (size_t i = 0; i < sizeof maximized / sizeof *maximized; i++)
        assert_true(metric_is_maximized(maximized[i]));
    for (size_t i = 0; i < sizeof minimized / sizeof *minimized; i++)
        assert_false(metric_is_maximized(minimized[i]));
}

/* Ours only where one prediction a row means what the metric looks at. */
static void test_computed(void **unused)
{
    (void)unused;
    assert_true(metric_is_computed("rmse", "reg:squarederror"));
    assert_true(metric_is_computed("logloss", "binary:logistic"));
    assert_false(metric_is_computed("error", "binary:logitraw"));
    assert_false(metric_is_computed("mlogloss", "multi:softprob"));
    assert_false(metric_is_computed("error@0.7", "binary:logistic"));
    assert_false(metric_is_computed("poisson-nloglik", "count:poisson"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression), cmocka_unit_test(test_classification), cmocka_unit_test(test_auc),
        cmocka_unit_test(test_directions), cmocka_unit_test(test_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
