/* SPDX-License-Identifier: MIT */
/* Unit tests of the studies that a worker leaves alone for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <string.h>

#include "proto/message.h"
#include "worker/unserved.h"

static void assert_names(struct unserved *unserved, uint64_t now_ms, const char *first, const char *second)
{
    json_t *names = unserved_names(unserved, now_ms);

    assert_int_equal(json_array_size(names), (first != NULL) + (second != NULL));
    if (first)
        assert_string_equal(json_string_value(json_array_get(names, 0)), first);
    if (second)
        assert_string_equal(json_string_value(json_array_get(names, 1)), second);
    json_decref(names);
}

/* A study is left alone until its time is over; to add it again meanwhile is no news, and no more time. */
static void test_left_alone(void **)
{
    struct unserved unserved = {};

    assert_null(unserved_names(&unserved, 0));
    assert_true(unserved_add(&unserved, "a", 100));
    assert_true(unserved_add(&unserved, "b", 200));
    assert_false(unserved_add(&unserved, "a", 900));
    assert_names(&unserved, 99, "a", "b");
    assert_names(&unserved, 100, "b", NULL);
    assert_true(unserved_add(&unserved, "a", 300));
    assert_names(&unserved, 150, "b", "a");
    assert_names(&unserved, 300, NULL, NULL);
    assert_int_equal(unserved.n_studies, 0);
    unserved_add(&unserved, "c", 400);
    unserved_deinit(&unserved);
    unserved_deinit(&unserved);
}

/* One ask can name so many; of more the first is asked for again. */
static void test_as_many_as_an_ask_may_name(void **)
{
    struct unserved unserved = {};
    char name[16];

    for (int i = 0; i <= MESSAGE_MAX_EXCEPT; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_true(unserved_add(&unserved, name, 100));
    }
    assert_int_equal(unserved.n_studies, MESSAGE_MAX_EXCEPT);
    assert_true(unserved_add(&unserved, "s0", 100));
    assert_false(unserved_add(&unserved, "s2", 100));
    unserved_deinit(&unserved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_as_many_as_an_ask_may_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
