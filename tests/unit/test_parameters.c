/* SPDX-License-Identifier: MIT */
/* What a study's objective and a trial's parameters become: XGBoost's names and texts, rounds, device; and
 * the words for what is wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/xgboost/device.h"
#include "worker/xgboost/objective.h"
#include "worker/xgboost/parameters.h"

static struct parameters parameters;
static struct failure failure;

static int merge(const char *fixed, const char *sampled)
{
    parameters_deinit(&parameters);
    failure = (struct failure){0};
    json_t *a = json_loads(fixed, 0, NULL), *b = json_loads(sampled, 0, NULL);
    assert_non_null(a);
    assert_non_null(b);
    int status = parameters_init(&parameters, a, b, &failure);
    json_decref(a);
    json_decref(b);
    return status;
}

static void assert_reason(const char *part)
{
    assert_true(failure.is_set);
    assert_int_equal(failure.kind, FAILURE_OBJECTIVE);
    if (!strstr(failure.reason, part))
        fail_msg("\"%s\" does not hold \"%s\"", failure.reason, part);
}

static int teardown(void **unused)
{
    (void)unused;
    parameters_deinit(&parameters);
    return 0;
}

/* Every JSON value as the library reads it. */
static void test_values(void **unused)
{
    (void)unused;
    assert_int_equal(
        merge(
            "{\"eta\": 1e-08, \"max_depth\": 6, \"booster\": \"dart\", \"one_drop\": true, \"alpha\": null}",
            "{\"monotone_constraints\": [1, 0, -1], \"interaction_constraints\": [[0, 1], [2]]}"),
        0);
    assert_string_equal(parameters_get(&parameters, "learning_rate"), "1e-08");
    assert_string_equal(parameters_get(&parameters, "max_depth"), "6");
    assert_string_equal(parameters_get(&parameters, "booster"), "dart");
    assert_string_equal(parameters_get(&parameters, "one_drop"), "1");
    assert_null(parameters_get(&parameters, "alpha"));
    assert_string_equal(parameters_get(&parameters, "monotone_constraints"), "(1,0,-1)");
    assert_string_equal(parameters_get(&parameters, "interaction_constraints"), "[[0,1],[2]]");
    assert_int_equal(merge("{}", "{\"max_depth\": {}}"), -1);
    assert_reason("max_depth must be a number, a text or a list, not an object");
}

/* Any of the names sets the rounds, and is not passed on. */
static void test_rounds(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"{\"n_estimators\": 7}", "{\"num_boost_round\": 7}",
                                        "{\"num_round\": 7.0}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(merge("{\"eta\": 1}", texts[i]), 0);
        assert_int_equal(parameters.n_rounds, 7);
        assert_int_equal(parameters.n_items, 1);
    }
    assert_int_equal(merge("{}", "{}"), 0);
    assert_int_equal(parameters.n_rounds, 100);
    assert_int_equal(merge("{}", "{\"n_estimators\": 0}"), -1);
    assert_reason("n_estimators must be a whole number from 1 to 1000000");
    assert_int_equal(merge("{}", "{\"num_round\": 10.5}"), -1);
    assert_int_equal(merge("{}", "{\"num_round\": \"10\"}"), -1);
}

/* One parameter twice, under one name or two. */
static void test_twice(void **unused)
{
    (void)unused;
    assert_int_equal(merge("{\"max_depth\": 3}", "{\"max_depth\": 4}"), -1);
    assert_reason("max_depth is given twice, in the study's space and in objective.params");
    assert_int_equal(merge("{\"n_jobs\": 1}", "{\"nthread\": 2}"), -1);
    assert_reason("n_jobs and nthread are the same parameter");
    assert_int_equal(merge("{\"n_estimators\": 1}", "{\"num_round\": 2}"), -1);
    assert_reason("n_estimators and num_round are the same parameter");
}

/* The mistakes that people make, and the word that was meant. */
static void test_nearest(void **unused)
{
    (void)unused;
    static const char *const pairs[][2] = {
        {"max_bins", "max_bin"},         {"num_estimators", "n_estimators"},
        {"learn_rate", "learning_rate"}, {"maxdepth", "max_depth"},
        {"sub_sample", "subsample"},     {"colsample_by_tree", "colsample_bytree"},
        {"lr", "learning_rate"},         {"iterations", "n_estimators"},
        {"num_leaves", "max_leaves"},    {"min_child_wieght", "min_child_weight"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_false(parameters_is_known(pairs[i][0]));
        assert_true(parameters_is_known(pairs[i][1]));
        assert_string_equal(parameters_nearest(pairs[i][0]), pairs[i][1]);
    }
    assert_null(parameters_nearest("completely_different_thing"));
}

/* The device named in the parameters wins over the slot's; every spelling of it is taken out. */
static void test_device(void **unused)
{
    (void)unused;
    static const struct {
        const char *params, *slot;
        bool is_cuda;
        int ordinal;
    } cases[] = {
        {"{}", "cpu", false, 0},
        {"{}", "cuda:0", true, 0},
        {"{\"device\": \"cpu\"}", "cuda:0", false, 0},
        {"{\"device\": \"cuda\"}", "cpu", true, 0},
        {"{\"device\": \"cuda:3\"}", "cpu", true, 3},
        {"{\"device\": \"gpu:1\"}", "cpu", true, 1},
        {"{\"gpu_id\": 2}", "cpu", true, 2},
        {"{\"gpu_id\": -1}", "cuda:0", false, 0},
        {"{\"tree_method\": \"gpu_hist\"}", "cpu", true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct device device;
        assert_int_equal(merge(cases[i].params, "{}"), 0);
        assert_int_equal(device_choose(&device, &parameters, cases[i].slot, &failure), 0);
        assert_int_equal(device.is_cuda, cases[i].is_cuda);
        assert_int_equal(device.ordinal, cases[i].ordinal);
        assert_null(parameters_get(&parameters, "device"));
        assert_null(parameters_get(&parameters, "gpu_id"));
    }
    static const char *const wrong[] = {"tpu", "cuda:", "cuda:x", "cuda:1x", ":1", "c", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct device device;
        assert_int_equal(merge("{}", "{}"), 0);
        assert_int_equal(device_choose(&device, &parameters, wrong[i], &failure), -1);
        assert_reason("is not understood; cpu, cuda or cuda:N is");
    }
}

/* CUDA with a library that has none is refused; versions before 2.0 and after are told in their own words. */
static void test_device_by_version(void **unused)
{
    (void)unused;
    struct xgboost_library old = {
        .path = (char *)"libxgboost.so", .major = 1, .minor = 7, .version = "1.7.4"};
    struct xgboost_library new = {
        .path = (char *)"libxgboost.so", .major = 3, .version = "3.2.0", .has_cuda = true};
    const struct device cpu = {0}, cuda = {.is_cuda = true, .ordinal = 1};
    failure = (struct failure){0};
    assert_int_equal(device_check(&cpu, &old, &failure), 0);
    assert_int_equal(device_check(&cuda, &old, &failure), -1);
    assert_reason("(XGBoost 1.7.4) is built without CUDA");
    const struct device beyond = {.is_cuda = true, .ordinal = 1000};
    failure = (struct failure){0};
    assert_int_equal(device_check(&beyond, &new, &failure), -1);
    assert_reason("device cuda:1000 is asked for, and this runner sees ");

    assert_int_equal(merge("{\"tree_method\": \"hist\"}", "{}"), 0);
    device_apply(&cuda, &old, &parameters);
    assert_string_equal(parameters_get(&parameters, "tree_method"), "gpu_hist");
    assert_string_equal(parameters_get(&parameters, "gpu_id"), "1");
    assert_null(parameters_get(&parameters, "device"));

    assert_int_equal(merge("{\"tree_method\": \"hist\"}", "{}"), 0);
    device_apply(&cuda, &new, &parameters);
    assert_string_equal(parameters_get(&parameters, "tree_method"), "hist");
    assert_string_equal(parameters_get(&parameters, "device"), "cuda:1");
    assert_null(parameters_get(&parameters, "gpu_id"));
}

static int read_objective(struct objective *objective, const char *text)
{
    failure = (struct failure){0};
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    int status = objective_read(objective, json, &failure);
    json_decref(json);
    return status;
}

/* Defaults, and everything given. */
static void test_objective(void **unused)
{
    (void)unused;
    struct objective objective;
    assert_int_equal(read_objective(&objective, "{\"data\": \"w.csv\", \"label\": 0}"), 0);
    assert_string_equal(objective.data, "w.csv");
    assert_int_equal(objective.delimiter, ',');
    assert_null(objective.label_name);
    assert_true(objective.test_size == 0.2);
    assert_int_equal(objective.split_seed, 42);
    assert_null(objective.metric);
    assert_int_equal(objective.report_every, 10);
    assert_int_equal(json_object_size(objective.params), 0);
    objective_deinit(&objective);

    assert_int_equal(
        read_objective(
            &objective,
            "{\"runner\": \"xgboost\", \"data\": \"w.csv\", \"label\": \"quality\", \"delimiter\": "
            "\"\\t\", \"test_size\": 0.5, \"split_seed\": 7, \"report_every\": 1, \"params\": "
            "{\"eval_metric\": \"mae\", \"nthread\": 2}}"),
        0);
    assert_int_equal(objective.delimiter, '\t');
    assert_string_equal(objective.label_name, "quality");
    assert_int_equal(objective.report_every, 1);
    assert_string_equal(objective.metric, "mae");
    assert_int_equal(json_object_size(objective.params), 1);
    objective_deinit(&objective);
}

static void test_objective_refusals(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        {"{\"label\": 0}", "objective.data"},
        {"{\"data\": \"w.csv\"}", "objective.label: must be the name of a column"},
        {"{\"data\": \"w.csv\", \"label\": -1}", "objective.label: must be the name of a column"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"delimiter\": \";;\"}",
         "objective.delimiter: must be one character"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"delimiter\": \"5\"}",
         "objective.delimiter: must be one character"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"test_size\": 2}", "objective.test_size"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"test_sise\": 0.2}", "did you mean test_size"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"params\": []}", "objective.params: must be an object"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"metric\": \"mae\", \"params\": {\"eval_metric\": \"rmse\"}}",
         "one metric"},
        {"{\"data\": \"w.csv\", \"label\": 0, \"params\": {\"eval_metric\": [\"rmse\"]}}", "one metric"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct objective objective;
        assert_int_equal(read_objective(&objective, cases[i][0]), -1);
        assert_reason(cases[i][1]);
        objective_deinit(&objective);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_twice),     cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_device),    cmocka_unit_test(test_device_by_version),
        cmocka_unit_test(test_objective), cmocka_unit_test(test_objective_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
