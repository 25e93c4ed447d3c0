/* SPDX-License-Identifier: MIT */
/* Unit tests of choosing a pruner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/pruner/pruner.h"

/* Completes {"pruner": <json>}; returns the problem, whose type is NONE where it went well. */
static struct problem complete(const char *pruner)
{
    json_auto_t *json = json_loads(pruner, 0, NULL);
    struct spec spec = {.pruner = json};
    struct problem problem = {};

    assert_non_null(json);

    int rc = pruner_complete_spec(&spec, &problem);

    assert_int_equal(rc, problem.type == PROBLEM_NONE ? 0 : -1);
    return problem;
}

/* nop is accepted, and never prunes. */
static void test_nop(void **)
{
    json_auto_t *json = json_pack("{s:s}", "type", "nop");
    const struct spec spec = {.pruner = json};
    const struct report_point point = {.step = 3, .value = 1e9};

    assert_int_equal(complete("{\"type\": \"nop\"}").type, PROBLEM_NONE);
    assert_false(pruner_should_prune(&spec, &point, 1));
}

/* What is wrong is named, and what would be right: the nearest name that this version has, a pruner of
 * Optuna's that it lacks, an unknown key. */
static void test_errors(void **)
{
    static const struct {
        const char *pruner, *field, *said;
    } cases[] = {
        {"{\"type\": \"noop\"}", "pruner.type", "did you mean \"nop\"?"},
        {"{\"type\": \"medain\"}", "pruner.type", "there is no pruner \"medain\"; this version has: nop"},
        {"{\"type\": \"hyperband\"}", "pruner.type", "not supported by this version, which has: nop"},
        {"{\"type\": 1}", "pruner.type", "must be a string"},
        {"{\"type\": \"nop\", \"n_startup_trials\": 5}", "pruner.n_startup_trials", "n_startup_trials"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problem problem = complete(cases[i].pruner);

        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_string_equal(problem.field, cases[i].field);
        assert_non_null(strstr(problem.detail, cases[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nop), cmocka_unit_test(test_errors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
