/* SPDX-License-Identifier: MIT */
/* Unit tests of the lists of studies that tokens are held to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/http/scope.h"

static void assert_has(const char *list, const char *study, bool expected)
{
    struct problem problem = {};
    struct scope *scope = scope_read(list, &problem);

    assert_non_null(scope);
    if (scope_has(scope, study) != expected)
        fail_msg("%s: %s", list, study);
    scope_free(scope);
}

/* A name is itself alone; a star stands for any end, also none. */
static void test_has(void **)
{
    assert_has("wine", "wine", true);
    assert_has("wine", "wine2", false);
    assert_has("wine", "win", false);
    assert_has("wine", "Wine", false);
    assert_has("wine", "", false);
    assert_has("wine,exp-*,b", "exp-", true);
    assert_has("wine,exp-*,b", "exp-7", true);
    assert_has("wine,exp-*,b", "exp", false);
    assert_has("wine,exp-*,b", "b", true);
    assert_has("wine,exp-*,b", "wine,exp-*,b", false);
    assert_has("wine,exp-*,b", "exp-*", true);
    assert_has("*", "anything", true);
    assert_has("trénér-*", "trénér-1", true);
}

/* What is no list is said with what one is. */
static void test_bad(void **)
{
    static const char *const bad[] = {"", ",", "a,", ",a", "a,,b", "a*b", "**", "*a", "a b", "a,\tb"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problem problem = {};

        if (scope_read(bad[i], &problem))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_string_equal(problem.field, "token_file");
        assert_non_null(strstr(problem.detail, "one is wine,exp-*"));
    }
    scope_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_has), cmocka_unit_test(test_bad)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
