/* SPDX-License-Identifier: MIT */
/* Unit tests of the count of failed authentications: how many are let through, by which address, in how much
 * memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>

#include "daemon/http/failed_auth.h"
#include "proto/log.h"

static bool count(struct failed_auth *failed, const char *address, uint64_t now_ms)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return failed_auth_count(failed, (const struct sockaddr *)&v4, now_ms);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return failed_auth_count(failed, (const struct sockaddr *)&v6, now_ms);
}

/* How many of a thousand pass. */
static int pass(struct failed_auth *failed, const char *address, uint64_t now_ms)
{
    int n = 0;

    for (int i = 0; i < 1000; i++)
        n += count(failed, address, now_ms);
    return n;
}

static int set_up(void **state)
{
    log_set_level(LOG_LEVEL_ERROR);
    *state = failed_auth_new();
    return 0;
}

static int tear_down(void **state)
{
    failed_auth_free(*state);
    return 0;
}

/* A burst passes, then one an interval; a long rest brings the burst back, and no more than that. */
static void test_rate(void **state)
{
    assert_int_equal(pass(*state, "192.0.2.1", 5000), FAILED_AUTH_BURST);
    assert_int_equal(pass(*state, "192.0.2.1", 5000 + FAILED_AUTH_INTERVAL_MS - 1), 0);
    assert_int_equal(pass(*state, "192.0.2.1", 5000 + FAILED_AUTH_INTERVAL_MS), 1);
    assert_int_equal(pass(*state, "192.0.2.1", 5000 + 4 * FAILED_AUTH_INTERVAL_MS), 3);
    assert_int_equal(pass(*state, "192.0.2.1", 900000000), FAILED_AUTH_BURST);
}

/* One address says nothing about another; one that has a network of IPv6 has one account. */
static void test_origins(void **state)
{
    assert_int_equal(pass(*state, "192.0.2.1", 0), FAILED_AUTH_BURST);
    assert_int_equal(pass(*state, "192.0.2.2", 0), FAILED_AUTH_BURST);
    assert_int_equal(pass(*state, "::ffff:192.0.2.1", 0), 0);
    assert_int_equal(pass(*state, "2001:db8:0:1::1", 0), FAILED_AUTH_BURST);
    assert_int_equal(pass(*state, "2001:db8:0:1:ffff::2", 0), 0);
    assert_int_equal(pass(*state, "2001:db8:0:2::1", 0), FAILED_AUTH_BURST);
}

/* Any number of addresses fits: they push each other out, and one that goes on is not forgotten for those
 * that come once. */
static void test_many(void **state)
{
    char address[40];

    assert_int_equal(pass(*state, "192.0.2.1", 0), FAILED_AUTH_BURST);
    for (int i = 0; i < 200000; i++) {
        snprintf(address, sizeof address, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_true(count(*state, address, 1));
    }
    assert_int_equal(pass(*state, "192.0.2.1", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_origins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
