/* SPDX-License-Identifier: MIT */
/* The trainer with the real libxgboost that is installed, on a small table made here. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/xgboost/trainer.h"

#define N_ROWS 400

static struct xgboost_library library;
static struct trainer trainer;
static struct trial_result result;
static char data_path[64];

/* What the watcher saw and shall answer. */
static struct {
    int n_reports, last_step, n_looks;
    double last_value;
    int prune_at_step, prune_at_look; /* -1: never */
} seen;

static enum verdict on_report(void *context, int step, double value)
{
    (void)context;
    seen.n_reports++;
    seen.last_step = step;
    seen.last_value = value;
    return step == seen.prune_at_step ? TRAIN_PRUNE : TRAIN_ON;
}

static enum verdict on_look(void *context)
{
    (void)context;
    return seen.n_looks++ == seen.prune_at_look ? TRAIN_PRUNE : TRAIN_ON;
}

/* x0 and x1 explain both labels; x2 is mostly missing. `y` is positive, `c` is a class. */
static void write_data(void)
{
    FILE *file = fopen(data_path, "w");
    assert_non_null(file);
    fputs("x0,x1,x2,y,c\n", file);
    uint64_t state = 7;
    double u[3];
    for (int row = 0; row < N_ROWS; row++) {
        for (int i = 0; i < 3; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            u[i] = (double)(state >> 11) * 0x1p-53;
        }
        double y = 1 + 2 * u[0] + sin(6 * u[1]) + 0.1 * u[2];
        fprintf(file, "%.4f,%.4f,%s,%.4f,%d\n", u[0], u[1], row % 3 ? "" : "1.5", y, y > 1.3 + 1.4 * u[2]);
    }
    assert_int_equal(fclose(file), 0);
}

static int setup(void **unused)
{
    (void)unused;
    BUFFER_AUTO struct buffer error = {};
    if (xgboost_library_open(&library, NULL, &error) < 0) {
        print_error("%s", error.data);
        return -1;
    }
    strcpy(data_path, "/tmp/test_trainer.XXXXXX");
    int fd = mkstemp(data_path);
    close(fd);
    trainer = (struct trainer){.library = &library};
    write_data();
    return fd < 0 ? -1 : 0;
}

static int teardown(void **unused)
{
    (void)unused;
    trial_result_deinit(&result);
    trainer_deinit(&trainer);
    free(library.path);
    return unlink(data_path);
}

/* Runs a trial; `objective` is put behind data and label. */
static enum outcome run(const char *params, const char *label, const char *objective)
{
    BUFFER_AUTO struct buffer text = {};
    buffer_printf(&text, "{\"data\": \"%s\", \"label\": \"%s\"%s%s}", data_path, label,
                  *objective ? ", " : "", objective);
    const struct runner_trial trial = {.study = (char *)"study",
                                       .params = json_loads(params, 0, NULL),
                                       .objective = json_loads(text.data, 0, NULL),
                                       .device = (char *)"cpu",
                                       .threads = 1,
                                       .seed = 3};
    assert_non_null(trial.params);
    assert_non_null(trial.objective);
    int prune_at_step = seen.prune_at_step, prune_at_look = seen.prune_at_look;
    memset(&seen, 0, sizeof seen);
    seen.prune_at_step = prune_at_step;
    seen.prune_at_look = prune_at_look;
    const struct watcher watcher = {.report = on_report, .look = on_look};
    trial_result_deinit(&result);
    trainer_run(&trainer, &trial, &watcher, &result);
    json_decref(trial.params);
    json_decref(trial.objective);
    return result.outcome;
}

static int reset(void **unused)
{
    (void)unused;
    seen.prune_at_step = seen.prune_at_look = -1;
    return 0;
}

static void assert_failed(const char *params, const char *label, const char *objective, const char *part)
{
    assert_int_equal(run(params, label, objective), OUTCOME_FAILED);
    assert_int_equal(result.failure.kind, FAILURE_OBJECTIVE);
    if (!strstr(result.failure.reason, part))
        fail_msg("\"%s\" does not hold \"%s\"", result.failure.reason, part);
}

static int64_t attr(const char *name)
{
    return json_integer_value(json_object_get(result.attrs, name));
}

/* The value, which is ours and comes from the table, against the last report, which is XGBoost's evaluation
 * and comes from the binned matrix: the same metric, also with few bins. */
static void test_value_is_the_metric(void **unused)
{
    (void)unused;
    static const struct {
        const char *label, *metric, *objective;
    } cases[] = {
        {"y", "rmse", "reg:squarederror"},   {"y", "mae", "reg:squarederror"},
        {"y", "mape", "reg:squarederror"},   {"y", "rmsle", "reg:squarederror"},
        {"y", "rmse", "reg:gamma"},          {"y", "mae", "count:poisson"},
        {"c", "logloss", "binary:logistic"}, {"c", "error", "binary:logistic"},
        {"c", "auc", "binary:logistic"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char objective[160];
        snprintf(objective, sizeof objective, "\"metric\": \"%s\", \"params\": {\"objective\": \"%s\"}",
                 cases[i].metric, cases[i].objective);
        assert_int_equal(run("{\"n_estimators\": 13, \"max_bin\": 6}", cases[i].label, objective),
                         OUTCOME_DONE);
        if (!(fabs(result.value - seen.last_value) <= 1e-5 * fabs(seen.last_value)) || result.value == 0)
            fail_msg("%s: %.9g, and XGBoost says %.9g", cases[i].metric, result.value, seen.last_value);
    }
}

/* It learns, and the other boosters, tree methods and objectives run too. */
static void test_variants(void **unused)
{
    (void)unused;
    static const char *const variants[] = {
        "{\"booster\": \"dart\", \"rate_drop\": 0.1}",
        "{\"tree_method\": \"approx\"}",
        "{\"tree_method\": \"exact\"}",
        "{\"tree_method\": \"auto\"}",
        "{\"max_bin\": 16}",
        "{\"booster\": \"gblinear\"}",
    };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        assert_int_equal(run(variants[i], "y", ""), OUTCOME_DONE);
        assert_true(result.value < (i < 5 ? 0.2 : 0.9)); /* the labels' deviation is 0.8 */
    }
    assert_int_equal(run("{}", "c", "\"params\": {\"num_class\": 2, \"objective\": \"multi:softprob\"}"),
                     OUTCOME_DONE);
    assert_true(result.value == seen.last_value); /* mlogloss is XGBoost's */
}

/* Every k rounds and the last; the default metric is the objective's. */
static void test_reports(void **unused)
{
    (void)unused;
    assert_int_equal(run("{\"n_estimators\": 25}", "y", ""), OUTCOME_DONE);
    assert_int_equal(seen.n_reports, 3);
    assert_int_equal(seen.last_step, 25);
    assert_int_equal(run("{\"n_estimators\": 20}", "y", "\"report_every\": 10"), OUTCOME_DONE);
    assert_int_equal(seen.n_reports, 2);
    assert_int_equal(attr("rounds"), 20);
    assert_string_equal(json_string_value(json_object_get(result.attrs, "metric")), "rmse");
    assert_true(attr("best_iteration") > 10 && attr("best_iteration") < 20);
}

/* Told to prune by the answer to a report, or between two. */
static void test_prune(void **unused)
{
    (void)unused;
    seen.prune_at_step = 20;
    assert_int_equal(run("{\"n_estimators\": 50}", "y", ""), OUTCOME_PRUNED);
    assert_int_equal(attr("rounds"), 20);
    seen.prune_at_step = -1;
    seen.prune_at_look = 4;
    assert_int_equal(run("{\"n_estimators\": 50}", "y", ""), OUTCOME_PRUNED);
    assert_int_equal(attr("rounds"), 5);
}

/* The same trial gives the same bits; the seed and the split count. */
static void test_repeatable(void **unused)
{
    (void)unused;
    const char *params = "{\"n_estimators\": 20, \"subsample\": 0.5}";
    assert_int_equal(run(params, "y", ""), OUTCOME_DONE);
    double first = result.value;
    assert_int_equal(run("{\"max_depth\": 2}", "y", ""), OUTCOME_DONE);
    assert_int_equal(run(params, "y", ""), OUTCOME_DONE);
    assert_true(result.value == first);
    assert_int_equal(run(params, "y", "\"params\": {\"seed\": 4}"), OUTCOME_DONE);
    assert_true(result.value != first);
    assert_int_equal(run(params, "y", "\"split_seed\": 4"), OUTCOME_DONE);
    assert_true(result.value != first);
}

/* The file is read once, until it changes: rubbish of the same size and time goes unnoticed, an empty file
 * does not. */
static void test_file_is_read_once(void **unused)
{
    (void)unused;
    struct stat status;
    assert_int_equal(run("{}", "y", ""), OUTCOME_DONE);
    double first = result.value;
    assert_int_equal(stat(data_path, &status), 0);
    FILE *file = fopen(data_path, "r+");
    assert_non_null(file);
    for (off_t i = 0; i < status.st_size; i++)
        fputc('x', file);
    fclose(file);
    const struct timespec times[] = {status.st_atim, status.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, data_path, times, 0), 0);
    assert_int_equal(run("{}", "y", ""), OUTCOME_DONE);
    assert_true(result.value == first);
    assert_int_equal(truncate(data_path, 0), 0);
    assert_failed("{}", "y", "", "is empty");
    write_data();
    assert_int_equal(run("{}", "y", ""), OUTCOME_DONE);
    assert_true(result.value == first);
}

/* More distinct max_bin and data sets than are kept: the oldest go, the values stay. */
static void test_caches(void **unused)
{
    (void)unused;
    double values[12];
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < 12; i++) {
            char params[64], objective[64];
            snprintf(params, sizeof params, "{\"n_estimators\": 3, \"max_bin\": %d}", 3 + i);
            snprintf(objective, sizeof objective, "\"test_size\": %g", i == 11 ? 0.5 : i == 5 ? 0.4 : 0.25);
            assert_int_equal(run(params, "y", objective), OUTCOME_DONE);
            assert_true(pass == 0 || values[i] == result.value);
            values[i] = result.value;
        }
    assert_true(values[0] != values[1]);
}

/* What XGBoost would pass over in silence, and what it refuses: the trial fails in words that say what to do.
 */
static void test_refusals(void **unused)
{
    (void)unused;
    assert_failed("{\"max_bins\": 32}", "y", "", "which would ignore it; did you mean \"max_bin\"?");
    assert_failed("{\"wholly_unknown\": 32}", "y", "", "\"wholly_unknown\" is no parameter of XGBoost");
    assert_failed("{}", "y", "\"params\": {\"device\": \"cuda\"}", "device cuda");
    assert_failed("{}", "y", "\"params\": {\"tree_method\": \"gpu_hist\"}", "device cuda");
    assert_failed("{\"max_depth\": \"deep\"}", "y", "", "Invalid Parameter format for max_depth");
    assert_failed("{\"max_bin\": 1}", "y", "", "max_bin must be a whole number from 2 to 1048576");
    assert_failed("{\"max_bin\": 2147483648}", "y", "", "max_bin must be a whole number from 2 to 1048576");
    assert_failed("{\"nthread\": 100000}", "y", "", "nthread must be a whole number of at most 1024");
    assert_failed("{\"nthread\": \"x\"}", "y", "", "nthread must be a whole number of at most 1024");
    assert_failed("{}", "z", "", "has no column \"z\"");
    assert_failed("{}", "y", "\"metric\": \"rmsse\"", "Unknown metric");
    assert_failed("{}", "y", "\"params\": {\"objective\": \"reg:nothing\"}", "Unknown objective");
    /* A parameter that has no effect here is no failure. */
    assert_int_equal(run("{\"rate_drop\": 0.5}", "y", ""), OUTCOME_DONE);
}

/* A metric that is not a number is a failure of its own class. */
static void test_nan(void **unused)
{
    (void)unused;
    assert_int_equal(run("{\"n_estimators\": 2}", "c", "\"metric\": \"auc\", \"test_size\": 0.003"),
                     OUTCOME_FAILED);
    assert_int_equal(result.failure.kind, FAILURE_NAN);
    assert_non_null(strstr(result.failure.reason, "auc is not a number after 2 rounds"));
}

/* An infinite value is a value, but no model's to be kept. */
static void test_infinite(void **unused)
{
    (void)unused;
    char dir[] = "/tmp/test_trainer.XXXXXX";
    assert_non_null(mkdtemp(dir));
    trainer.model_dir = dir;
    assert_int_equal(run("{\"n_estimators\": 2}", "c", "\"metric\": \"mape\""), OUTCOME_DONE);
    trainer.model_dir = NULL;
    assert_true(isinf(result.value));
    assert_int_equal(rmdir(dir), 0); /* it is empty */
}

/* A path that is no library, and a library that is not XGBoost. */
static void test_no_library(void **unused)
{
    (void)unused;
    struct xgboost_library none;
    BUFFER_AUTO struct buffer error = {};
    assert_int_equal(xgboost_library_open(&none, "/nonexistent/libxgboost.so", &error), -1);
    assert_non_null(strstr(error.data, "/nonexistent/libxgboost.so: cannot open"));
    assert_non_null(strstr(error.data, "apt-get install libxgboost0"));
    buffer_clear(&error);
    assert_int_equal(xgboost_library_open(&none, "libm.so.6", &error), -1);
    assert_non_null(
        strstr(error.data, "libm.so.6 has no function XGBoostVersion: XGBoost 1.7 or later is needed"));
    free(none.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_value_is_the_metric, reset),
        cmocka_unit_test_setup(test_variants, reset),
        cmocka_unit_test_setup(test_reports, reset),
        cmocka_unit_test_setup(test_prune, reset),
        cmocka_unit_test_setup(test_repeatable, reset),
        cmocka_unit_test_setup(test_file_is_read_once, reset),
        cmocka_unit_test_setup(test_caches, reset),
        cmocka_unit_test_setup(test_refusals, reset),
        cmocka_unit_test_setup(test_nan, reset),
        cmocka_unit_test_setup(test_infinite, reset),
        cmocka_unit_test(test_no_library),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
