/* SPDX-License-Identifier: MIT */
/* Unit tests of problems: the table of types, texts that fit, nearest names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/problem.h"

/* Every type has its row, with a status that an error can have and Retry-After where design promises it. */
static void test_table(void **)
{
    for (enum problem_type type = PROBLEM_NONE + 1; type < PROBLEM_N_TYPES; type++) {
        const struct problem_info *info = problem_info(type);

        assert_true(strlen(info->urn) > 0);
        assert_true(strlen(info->title) > 0);
        assert_in_range(info->status, 400, 599);
        assert_int_equal(info->retry_after_s > 0, info->status == 429 || info->status == 503);
    }
    assert_string_equal(problem_info(PROBLEM_LEASE_SUPERSEDED)->urn, "lease-superseded");
    assert_int_equal(problem_info(PROBLEM_REQUEST_ID_REUSED)->status, 422);
}

/* The first problem stays; a later one changes nothing. */
static void test_first_stays(void **)
{
    struct problem problem = {};

    assert_int_equal(problem_set(&problem, PROBLEM_INVALID, "space.x", "low %d is above high %d", 5, 3), -1);
    assert_int_equal(problem_set(&problem, PROBLEM_EXISTS, "name", "second"), -1);
    assert_int_equal(problem.type, PROBLEM_INVALID);
    assert_string_equal(problem.field, "space.x");
    assert_string_equal(problem.detail, "low 5 is above high 3");
}

/* Text that does not fit is cut between two characters, wherever the end falls. */
static void test_cut(void **)
{
    for (int shift = 0; shift < 4; shift++) {
        struct problem problem = {};
        char text[700] = {};

        memset(text, 'x', (size_t)shift);
        while (strlen(text) < 600)
            strcat(text, "\xf0\x9f\x8c\xb2");
        problem_set(&problem, PROBLEM_INVALID, text, "%s", text);
        assert_int_equal((strlen(problem.detail) - (size_t)shift) % 4, 0);
        assert_true(strlen(problem.detail) >= sizeof problem.detail - 5);
        assert_int_equal((strlen(problem.field) - (size_t)shift) % 4, 0);
    }
}

/* Bytes that are no UTF-8 are left out, whole characters of every length stay. */
static void test_utf8(void **)
{
    static const struct {
        const char *given, *kept;
    } cases[] = {
        {"a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x8c\xb2z", "a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x8c\xb2z"},
        {"a\xffz", "az"},
        {"a\xc3z", "az"},
        {"\xa9z", "z"},
        {"\xe6\x97", ""},
        {"\xc0\xafz", "z"},             /* an overlong '/' */
        {"\xed\xa0\x80z", "z"},         /* half a surrogate pair */
        {"\xf4\x90\x80\x80z", "z"},     /* beyond U+10FFFF */
        {"\xf8\x88\x80\x80\x80z", "z"}, /* five bytes */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problem problem = {};

        problem_set(&problem, PROBLEM_INVALID, "", "%s", cases[i].given);
        assert_string_equal(problem.detail, cases[i].kept);
    }
}

/* A slip of the finger finds its name; another word finds none. */
static void test_nearest(void **)
{
    static const char *const names[] = {"learning_rate", "max_depth", "low", "high", "directions", NULL};

    assert_string_equal(problem_nearest("lerning_rate", names), "learning_rate");
    assert_string_equal(problem_nearest("max-depth", names), "max_depth");
    assert_string_equal(problem_nearest("direction", names), "directions");
    assert_string_equal(problem_nearest("lwo", names), "low"); /* a swap is one step, not two */
    assert_string_equal(problem_nearest("hihg", names), "high");
    assert_null(problem_nearest("booster", names));
    assert_string_equal(problem_nearest("min", names), "low"); /* what Optuna and others call it */
    assert_string_equal(problem_nearest("MAX", names), "high");
    assert_string_equal(problem_nearest("LOW", names), "low");
    assert_null(problem_nearest("timeout", names)); /* what is not there is not meant */
    assert_string_equal(problem_nearest("TPESampler", (const char *const[]){"random", "tpe", NULL}), "tpe");
    assert_null(problem_nearest("", names));
    assert_null(problem_nearest("x", (const char *const[]){NULL}));
}

/* Names too long to be a slip are not compared at all. */
static void test_nearest_long(void **)
{
    char name[200] = {};

    memset(name, 'a', 199);
    assert_null(problem_nearest(name, (const char *const[]){name, NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_first_stays), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_utf8),  cmocka_unit_test(test_nearest),     cmocka_unit_test(test_nearest_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
