/* SPDX-License-Identifier: MIT */
/* Unit tests of addresses and Host headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/http/address.h"

static void assert_reads(const char *text, const char *expected, bool is_loopback)
{
    struct problem problem = {};
    struct address address;
    char again[ADDRESS_TEXT_SIZE];

    assert_int_equal(address_parse(&address, text, &problem), 0);
    address_format(&address, again);
    assert_string_equal(again, expected);
    assert_int_equal(address_is_loopback(&address), is_loopback);
}

/* IPv4, IPv6 in brackets and localhost are read, and known as loopback or not. */
static void test_valid(void **)
{
    assert_reads("127.0.0.1:8090", "127.0.0.1:8090", true);
    assert_reads("127.8.8.8:0", "127.8.8.8:0", true);
    assert_reads("localhost:65535", "127.0.0.1:65535", true);
    assert_reads("[::1]:8090", "[::1]:8090", true);
    assert_reads("0.0.0.0:80", "0.0.0.0:80", false);
    assert_reads("[::]:80", "[::]:80", false);
    assert_reads("10.1.2.3:80", "10.1.2.3:80", false);
    assert_reads("[2001:db8::7]:80", "[2001:db8::7]:80", false);
}

/* What is no address with a port is refused, and the right form is shown. */
static void test_invalid(void **)
{
    static const char *const texts[] = {
        "",         "8090",     "127.0.0.1",      "127.0.0.1:",    "127.0.0.1:65536",
        "::1:8090", "[::1]",    "[127.0.0.1]:80", "example.org:1", "127.0.0.1:80x",
        "1.2.3:80", "[::1]:-1", ":8090",          "127.0.0.1:+80"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct problem problem = {};
        struct address address;

        assert_int_equal(address_parse(&address, texts[i], &problem), -1);
        assert_string_equal(problem.field, "listen");
        assert_non_null(strstr(problem.detail, "ADDR:PORT"));
    }
}

/* Only names that cannot be made to point here from outside are loopback: no suffix, no prefix. */
static void test_hosts(void **)
{
    assert_true(host_is_loopback("localhost"));
    assert_true(host_is_loopback("LocalHost:8090"));
    assert_true(host_is_loopback("127.0.0.1:1"));
    assert_true(host_is_loopback("127.9.9.9"));
    assert_true(host_is_loopback("[::1]:8090"));
    assert_true(host_is_loopback("[::1]"));
    assert_false(host_is_loopback(""));
    assert_false(host_is_loopback("localhost.example.org"));
    assert_false(host_is_loopback("127.0.0.1.example.org"));
    assert_false(host_is_loopback("example.org:8090"));
    assert_false(host_is_loopback("0.0.0.0"));
    assert_false(host_is_loopback("[::2]:80"));
}

/* Without its port and brackets, and never longer than there is room for. */
static void test_host_without_port(void **)
{
    char out[8];

    host_without_port("a.b:80", out, sizeof out);
    assert_string_equal(out, "a.b");
    host_without_port("[fe80::1]:80", out, sizeof out);
    assert_string_equal(out, "fe80::1");
    host_without_port("a-very-long-name:80", out, sizeof out);
    assert_string_equal(out, "a-very-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_host_without_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
