/* SPDX-License-Identifier: MIT */
/* The runner protocol's lines: what one side writes the other reads back, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/json_read.h"
#include "worker/runner_message.h"

static struct runner_message message;
static struct problem problem;

static int read_line(const char *line)
{
    problem = (struct problem){0};
    return runner_message_read(&message, line, strlen(line), &problem);
}

/* A line is refused, and the detail says so. */
static void assert_refused(const char *line, const char *part_of_detail)
{
    assert_int_equal(read_line(line), -1);
    runner_message_deinit(&message);
    if (!strstr(problem.detail, part_of_detail))
        fail_msg("%s: \"%s\" does not hold \"%s\"", line, problem.detail, part_of_detail);
}

/* Every message of a runner, as the protocol's text shows it. */
static void test_read(void **unused)
{
    (void)unused;
    assert_int_equal(read_line("{\"op\": \"ready\", \"protocol\": 1}"), 0);
    assert_int_equal(message.op, RUNNER_READY);
    assert_int_equal(message.protocol, 1);
    runner_message_deinit(&message);

    assert_int_equal(read_line("{\"op\": \"report\", \"step\": 20, \"value\": \"-Infinity\"}"), 0);
    assert_int_equal(message.op, RUNNER_REPORT);
    assert_int_equal(message.point.step, 20);
    assert_true(isinf(message.point.value) && message.point.value < 0);
    runner_message_deinit(&message);

    assert_int_equal(
        read_line("{\"op\": \"done\", \"values\": [0.58, \"NaN\"], \"attrs\": {\"best_iteration\": 311}}"),
        0);
    assert_int_equal(message.op, RUNNER_DONE);
    assert_int_equal(message.n_values, 2);
    assert_true(message.values[0] == 0.58 && isnan(message.values[1]));
    assert_int_equal(json_integer_value(json_object_get(message.attrs, "best_iteration")), 311);
    runner_message_deinit(&message);

    assert_int_equal(read_line("{\"op\": \"pruned\"}"), 0);
    assert_int_equal(message.op, RUNNER_PRUNED);
    assert_null(message.attrs);
    runner_message_deinit(&message);

    assert_int_equal(read_line("{\"op\": \"fail\", \"class\": \"oom\", \"reason\": \"the GPU is full\"}"), 0);
    assert_int_equal(message.op, RUNNER_FAIL);
    assert_int_equal(message.failure, FAILURE_OOM);
    assert_string_equal(message.reason, "the GPU is full");
    runner_message_deinit(&message);
}

/* A message may say of which trial it speaks. */
static void test_number(void **unused)
{
    (void)unused;
    assert_int_equal(read_line("{\"op\": \"pruned\", \"number\": 7}"), 0);
    assert_true(message.has_number);
    assert_int_equal(message.number, 7);
    runner_message_deinit(&message);
    assert_int_equal(read_line("{\"op\": \"pruned\"}"), 0);
    assert_false(message.has_number);
    runner_message_deinit(&message);
    assert_refused("{\"op\": \"pruned\", \"number\": \"7\"}", "number");
}

/* Without class and reason a failure is the objective's; keys that are not known yet are passed over. */
static void test_defaults(void **unused)
{
    (void)unused;
    assert_int_equal(read_line("{\"op\": \"fail\", \"from_a_later_version\": [1]}"), 0);
    assert_int_equal(message.failure, FAILURE_OBJECTIVE);
    assert_string_equal(message.reason, "the runner gave no reason");
    runner_message_deinit(&message);
}

static void test_refusals(void **unused)
{
    (void)unused;
    assert_refused("{\"op\": \"finished\"}", "op");
    assert_refused("{\"step\": 1}", "op");
    assert_refused("{\"op\": \"ready\"}", "protocol");
    assert_refused("{\"op\": \"report\", \"value\": 1}", "step");
    assert_refused("{\"op\": \"report\", \"step\": -1, \"value\": 1}", "step");
    assert_refused("{\"op\": \"report\", \"step\": 1}", "value: must be a number");
    assert_refused("{\"op\": \"report\", \"step\": 1, \"value\": \"0.5\"}", "value: must be a number");
    assert_refused("{\"op\": \"done\"}", "values: must be an array");
    assert_refused("{\"op\": \"done\", \"values\": []}", "values: must be an array");
    assert_refused("{\"op\": \"done\", \"values\": [1, null]}", "item 1 must be a number");
    assert_refused("{\"op\": \"done\", \"values\": [1], \"attrs\": 3}", "attrs: must be an object");
    assert_refused("{\"op\": \"fail\", \"class\": \"broken\"}", "class");
    assert_refused("{\"op\": \"ready\", \"protocol\": 1", "JSON");
    assert_refused("[]", "object");
}

/* What a runner in C writes is what the supervisor reads. */
static void test_round_trip(void **unused)
{
    (void)unused;
    double values[] = {0.1, INFINITY};
    json_t *attrs = json_pack("{s:i}", "rounds", 30);
    const struct runner_message done = {
        .op = RUNNER_DONE, .has_number = true, .number = 7, .n_values = 2, .values = values, .attrs = attrs};
    BUFFER_AUTO struct buffer line = {0};
    runner_message_write(&done, &line);
    assert_int_equal(line.data[line.size - 1], '\n');
    assert_int_equal(read_line(line.data), 0);
    assert_memory_equal(message.values, values, sizeof values);
    assert_int_equal(message.number, 7);
    assert_true(json_equal(message.attrs, attrs));
    runner_message_deinit(&message);
    json_decref(attrs);
}

/* A trial as the supervisor writes it is what a runner reads, to the last member. */
static void test_trial(void **unused)
{
    (void)unused;
    struct runner_trial sent = {.study = (char *)"wine",
                                .number = 7,
                                .attempt = 2,
                                .device = (char *)"cuda:0",
                                .threads = 3,
                                .seed = 4000000000u,
                                .waits_for_reports = true,
                                .params = json_pack("{s:f}", "eta", 0.1),
                                .objective = json_pack("{s:s}", "data", "w.csv")};
    BUFFER_AUTO struct buffer line = {0};
    runner_trial_write(&sent, &line);
    json_t *json = json_parse(line.data, line.size, &problem);
    struct runner_trial got;
    assert_int_equal(runner_trial_read(&got, json, &problem), 0);
    assert_string_equal(got.study, "wine");
    assert_int_equal(got.number, 7);
    assert_int_equal(got.attempt, 2);
    assert_string_equal(got.device, "cuda:0");
    assert_int_equal(got.threads, 3);
    assert_int_equal(got.seed, 4000000000u);
    assert_true(got.waits_for_reports);
    assert_true(json_equal(got.params, sent.params) && json_equal(got.objective, sent.objective));
    runner_trial_deinit(&got);
    json_decref(json);
    json_decref(sent.params);
    json_decref(sent.objective);

    json = json_pack("{s:s, s:i, s:{}}", "study", "s", "number", 0, "objective");
    problem = (struct problem){0};
    assert_int_equal(runner_trial_read(&got, json, &problem), -1);
    assert_non_null(strstr(problem.detail, "params: must be an object"));
    runner_trial_deinit(&got);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),     cmocka_unit_test(test_number),     cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
