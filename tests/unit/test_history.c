/* SPDX-License-Identifier: MIT */
/* Unit tests of the log of finished trials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "daemon/sampler/history.h"

#define N_TRIALS 1000 /* five chunks */

static struct history_trial make_trial(size_t i, double params[2], double values[1])
{
    params[0] = (double)i;
    params[1] = i % 7 ? -0.0 : NAN;
    values[0] = i % 5 ? 1.0 / (double)(i + 1) : -INFINITY;
    return (struct history_trial){.number = (int64_t)(N_TRIALS - i),
                                  .state = i % 3 ? TRIAL_COMPLETE : TRIAL_PRUNED,
                                  .last_step = (int32_t)i - 1,
                                  .last_value = NAN,
                                  .violation = 0.5 * (double)i,
                                  .params = params,
                                  .values = values};
}

/* Entries come back bit for bit in the order in which they were appended, and never move while others follow.
 */
static void test_append_and_get(void **)
{
    struct history *history = history_new(2, 1);
    const double *places[N_TRIALS];
    double params[2], values[1];
    struct history_trial trial;

    for (size_t i = 0; i < N_TRIALS; i++) {
        trial = make_trial(i, params, values);
        history_append(history, &trial);
        history_get(history, i, &trial);
        places[i] = trial.params;
    }
    assert_int_equal(history_size(history), N_TRIALS);
    for (size_t i = 0; i < N_TRIALS; i++) {
        struct history_trial expected = make_trial(i, params, values);

        history_get(history, i, &trial);
        assert_ptr_equal(trial.params, places[i]);
        assert_int_equal(trial.number, expected.number);
        assert_int_equal(trial.state, expected.state);
        assert_int_equal(trial.last_step, expected.last_step);
        assert_true(isnan(trial.last_value) && trial.violation == expected.violation);
        assert_memory_equal(trial.params, params, sizeof params);
        if (trial.state == TRIAL_COMPLETE)
            assert_memory_equal(trial.values, values, sizeof values);
    }
    history_free(history);
}

/* Trials that did not complete may come without values. */
static void test_without_values(void **)
{
    struct history *history = history_new(1, 2);
    double param = 3;
    struct history_trial trial = {.number = 1, .state = TRIAL_FAIL, .last_step = -1, .params = &param};

    history_append(history, &trial);
    history_get(history, 0, &trial);
    assert_true(trial.params[0] == 3);
    history_free(history);
    history_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_append_and_get),
                                       cmocka_unit_test(test_without_values)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
