/* SPDX-License-Identifier: MIT */
/* Unit tests of a slot's legal moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/slot_state.h"
#include <cmocka.h>

/* A trial's way and its shortcuts are legal; nothing leaves STOPPED, nothing stops with a trial, nothing
 * stays. */
static void test_moves(void **)
{
    static const enum slot_state way[] = {SLOT_IDLE, SLOT_STARTING, SLOT_RUNNING, SLOT_IDLE, SLOT_STOPPED};
    static const enum slot_state with_trial[] = {SLOT_STARTING, SLOT_RUNNING};

    for (size_t i = 0; i + 1 < sizeof way / sizeof way[0]; i++)
        assert_true(slot_state_may_become(way[i], way[i + 1]));
    for (size_t i = 0; i < 2; i++) {
        assert_true(slot_state_may_become(with_trial[i], SLOT_IDLE));
        assert_true(slot_state_may_become(with_trial[i], SLOT_PAUSED));
        assert_false(slot_state_may_become(with_trial[i], SLOT_STOPPED));
    }
    for (int state = 0; state < SLOT_N_STATES; state++) {
        assert_false(slot_state_may_become(SLOT_STOPPED, (enum slot_state)state));
        assert_false(slot_state_may_become((enum slot_state)state, (enum slot_state)state));
    }
    assert_true(slot_state_may_become(SLOT_RUNNING, SLOT_STARTING));
    assert_true(slot_state_may_become(SLOT_PAUSED, SLOT_IDLE));
    assert_true(slot_state_may_become(SLOT_PAUSED, SLOT_STOPPED));
    assert_false(slot_state_may_become(SLOT_IDLE, SLOT_RUNNING));
    assert_false(slot_state_may_become(SLOT_IDLE, SLOT_PAUSED));
}

/* Each state has a name, and the list ends. */
static void test_names(void **)
{
    for (int state = 0; state < SLOT_N_STATES; state++)
        assert_non_null(slot_state_names[state]);
    assert_null(slot_state_names[SLOT_N_STATES]);
    assert_string_equal(slot_state_names[SLOT_PAUSED], "paused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves), cmocka_unit_test(test_names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
