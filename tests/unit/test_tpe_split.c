/* SPDX-License-Identifier: MIT */
/* Unit tests of the split into good trials and others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/sampler/tpe_split.h"

/* Adds a trial of each row and returns the good ones. */
static struct tpe_below split(enum direction direction, const struct history_trial *trials, size_t n)
{
    struct tpe_split split = {};
    struct tpe_below below;

    for (size_t i = 0; i < n; i++)
        tpe_split_add(&split, direction, i, &trials[i]);
    tpe_split_below(&split, &below);
    return below;
}

/* A tenth of complete and pruned trials, rounded up, at most 25. */
static void test_size(void **)
{
    static const size_t sizes[][2] = {{0, 0},    {1, 1},    {10, 1},   {11, 2},
                                      {100, 10}, {250, 25}, {251, 25}, {400, 25}};
    struct history_trial trials[400];
    double values[400];

    for (size_t i = 0; i < 400; i++) {
        values[i] = (double)(i * 7919 % 401);
        trials[i] =
            (struct history_trial){.number = (int64_t)i, .state = TRIAL_COMPLETE, .values = &values[i]};
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct tpe_below below = split(DIRECTION_MINIMIZE, trials, sizes[i][0]);

        assert_int_equal(below.n, sizes[i][1]);
        for (size_t j = 1; j < below.n; j++)
            assert_true(below.trials[j - 1].number < below.trials[j].number);
    }
}

/* Who is good among 11 to 20 trials, of which there are two: each line of the order in which Optuna fills
 * them. */
static void test_order(void **)
{
    double low = 1, high = 2, infinite = INFINITY;
    struct history_trial trials[12];

    for (int i = 0; i < 12; i++) /* numbers from 12 down: the order of finishing decides nothing */
        trials[i] = (struct history_trial){.number = 12 - i, .state = TRIAL_COMPLETE, .values = &high};

    struct tpe_below below = split(DIRECTION_MINIMIZE, trials, 12); /* ties: the lower numbers */

    assert_true(below.trials[0].number == 1 && below.trials[1].number == 2);
    below = split(DIRECTION_MAXIMIZE, trials, 12);
    assert_true(below.trials[0].number == 1 && below.trials[1].number == 2);

    trials[0].values = &low;
    trials[1].values = &infinite;
    below = split(DIRECTION_MINIMIZE, trials, 12);
    assert_true(below.trials[0].number == 1 && below.trials[1].number == 12);
    below = split(DIRECTION_MAXIMIZE, trials, 12);
    assert_true(below.trials[0].number == 1 && below.trials[1].number == 11);

    for (int i = 0; i < 12; i++)
        trials[i].violation = 1 + i; /* all infeasible: by how much */
    below = split(DIRECTION_MINIMIZE, trials, 12);
    assert_true(below.trials[0].number == 11 && below.trials[1].number == 12);

    for (int i = 0; i < 12;
         i++) /* all pruned: the later their last step the better, then its value, NaN last */
        trials[i] = (struct history_trial){
            .number = 12 - i, .state = TRIAL_PRUNED, .last_step = i % 4 - 1, .last_value = i < 6 ? NAN : i};
    below = split(DIRECTION_MINIMIZE, trials, 12);
    assert_true(below.trials[0].number == 1 && below.trials[1].number == 5);
    below = split(DIRECTION_MAXIMIZE, trials, 12);
    assert_true(below.trials[0].number == 1 && below.trials[1].number == 5);

    trials[0] = (struct history_trial){.number = 12, .state = TRIAL_COMPLETE, .values = &infinite};
    below = split(DIRECTION_MINIMIZE, trials, 12); /* a complete one comes before all pruned ones */
    assert_true(below.trials[1].number == 12);

    trials[0].state = TRIAL_FAIL;
    below = split(DIRECTION_MINIMIZE, trials, 12); /* a failed one is not there */
    assert_int_equal(below.n, 2);
    assert_false(tpe_below_has(&below, 12));
    below = split(DIRECTION_MINIMIZE, trials, 11);
    assert_int_equal(below.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_size), cmocka_unit_test(test_order)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
