/* SPDX-License-Identifier: MIT */
/* Unit tests of what a runner is given for a trial, and of trials that this worker cannot run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "proto/spec.h"
#include "worker/assignment.h"

#define SPEC(objective)                                                                                    \
    "{\"spec\": {\"name\": \"wine\", \"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}, " \
    "\"sampler\": {\"type\": \"tpe\", \"seed\": 42}, \"objective\": " objective "}}"

static char *runner_items[] = {"quadratic=python3 quadratic.py", "x=other"};
static char *data_items[] = {"null=/dev/null"};
static const struct option_list runner_list = {2, runner_items}, data_list = {1, data_items}, no_list = {};

struct fixture {
    struct runner_table runners;
    struct data_paths data;
    struct offer_message offer;
    struct slot_place place;
    struct runner_trial trial;
    const struct runner_entry *runner;
    struct problem problem;
};

static int set_up(void **state)
{
    struct fixture *f = *state = memory_new(sizeof *f);

    f->offer = (struct offer_message){
        .study = "wine", .number = 7, .attempt = 2, .params = json_pack("{s:f}", "x", 0.5)};
    f->place = (struct slot_place){.name = "0"};
    return runner_table_read(&f->runners, &runner_list, &f->problem) ||
           data_paths_read(&f->data, &data_list, &no_list, &f->problem);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    runner_trial_deinit(&f->trial);
    runner_table_deinit(&f->runners);
    data_paths_deinit(&f->data);
    json_decref(f->offer.params);
    memory_auto_free(state);
    return 0;
}

static int make(struct fixture *f, const char *study)
{
    json_auto_t *json = json_parse(study, strlen(study), &f->problem);

    assert_non_null(json);
    return assignment_make(json, &f->offer, &f->runners, &f->data, &f->place, 4, &f->trial, &f->runner,
                           &f->problem);
}

/* The runner gets the trial, the study's space and objective, a device, threads, and the number's own seed.
 */
static void test_made(void **state)
{
    struct fixture *f = *state;
    struct spec spec = {.seed = 42};

    assert_int_equal(make(f, SPEC("{\"runner\": \"quadratic\", \"k\": 1}")), 0);
    assert_string_equal(f->runner->name, "quadratic");
    assert_string_equal(f->runner->command.words[1], "quadratic.py");
    assert_string_equal(f->trial.study, "wine");
    assert_int_equal(f->trial.number, 7);
    assert_int_equal(f->trial.attempt, 2);
    assert_ptr_equal(f->trial.params, f->offer.params);
    assert_int_equal(json_integer_value(json_object_get(f->trial.objective, "k")), 1);
    assert_non_null(json_object_get(f->trial.space, "x"));
    assert_string_equal(f->trial.device, "cpu");
    assert_int_equal(f->trial.threads, 4);
    assert_int_equal(f->trial.seed, spec_trial_seed(&spec, 7));
    assert_int_equal(f->trial.timeout_ms, 0);
}

/* The study's limit of a trial's time is the supervisor's to keep; however short, it is one. */
static void test_timeout(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "{\"spec\": {\"trial_timeout_s\": 1.5, \"objective\": {\"runner\": \"x\"}}}"),
                     0);
    assert_int_equal(f->trial.timeout_ms, 1500);
    runner_trial_deinit(&f->trial);
    assert_int_equal(make(f, "{\"spec\": {\"trial_timeout_s\": 0.0001, \"objective\": {\"runner\": \"x\"}}}"),
                     0);
    assert_int_equal(f->trial.timeout_ms, 1);
}

/* On a GPU slot the runner sees one device, the first. */
static void test_gpu(void **state)
{
    struct fixture *f = *state;

    f->place.gpu = "3";
    assert_int_equal(make(f, SPEC("{\"runner\": \"quadratic\"}")), 0);
    assert_string_equal(f->trial.device, "cuda:0");
}

/* The data's name becomes a path; the rest of the objective stays as it is. */
static void test_data(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, SPEC("{\"runner\": \"x\", \"data\": \"null\", \"label\": \"y\"}")), 0);
    assert_string_equal(json_string_value(json_object_get(f->trial.objective, "data")), "/dev/null");
    assert_string_equal(json_string_value(json_object_get(f->trial.objective, "label")), "y");
}

/* Data that is not here is this worker's owner's trouble, too. */
static void test_no_data(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, SPEC("{\"runner\": \"x\", \"data\": \"beer\"}")), -1);
    assert_non_null(strstr(f->problem.detail, "no data called \"beer\""));
}

/* A runner that is not here is this worker's owner's trouble, who is told what to add. */
static void test_no_runner(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, SPEC("{\"runner\": \"torch\"}")), -1);
    assert_non_null(
        strstr(f->problem.detail, "needs the runner \"torch\", and this worker has quadratic, x"));
}

/* A study without an objective can be asked by any client, but no worker can run it. */
static void test_no_objective(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(make(f, "{\"spec\": {\"name\": \"wine\"}}"), -1);
    assert_non_null(strstr(f->problem.detail, "names no runner"));
}

/* A later item replaces an earlier one of the same name; what is no NAME=COMMAND is refused. */
static void test_runner_table(void **state)
{
    struct fixture *f = *state;
    char *items[] = {"x=new 'a b'", "=a", "noequals", "y='"};

    assert_int_equal(runner_table_read(&f->runners, &(struct option_list){1, items}, &f->problem), 0);
    assert_int_equal(f->runners.n_entries, 2);
    assert_string_equal(runner_table_find(&f->runners, "x")->command.words[1], "a b");
    assert_null(runner_table_find(&f->runners, "quad"));
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(runner_table_read(&f->runners, &(struct option_list){1, items + i}, &f->problem),
                         -1);

    json_auto_t *names = runner_table_names(&f->runners);

    assert_string_equal(json_string_value(json_array_get(names, 0)), "quadratic");
    assert_int_equal(json_array_size(names), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_made),         TEST(test_timeout),     TEST(test_gpu),
                                       TEST(test_data),         TEST(test_no_data),     TEST(test_no_runner),
                                       TEST(test_no_objective), TEST(test_runner_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
