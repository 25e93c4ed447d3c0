/* SPDX-License-Identifier: MIT */
/* Unit tests of request targets: segments and parameters, decoded one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/http/uri.h"

static struct uri parse(const char *raw)
{
    struct problem problem = {};
    struct uri uri;

    assert_int_equal(uri_parse(&uri, raw, &problem), 0);
    return uri;
}

static void assert_refused(const char *raw, const char *field, const char *detail)
{
    struct problem problem = {};
    struct uri uri;

    assert_int_equal(uri_parse(&uri, raw, &problem), -1);
    assert_int_equal(problem.type, PROBLEM_INVALID);
    assert_string_equal(problem.field, field);
    assert_non_null(strstr(problem.detail, detail));
    uri_deinit(&uri);
}

/* "/" has no segment, and each slash after it begins one, be it empty. */
static void test_segments(void **)
{
    struct uri uri = parse("/");

    assert_int_equal(uri.n_segments, 0);
    uri_deinit(&uri);
    uri = parse("/v1/studies//");
    assert_int_equal(uri.n_segments, 4);
    assert_string_equal(uri.segments[1], "studies");
    assert_string_equal(uri.segments[2], "");
    assert_string_equal(uri.segments[3], "");
    uri_deinit(&uri);
}

/* As it is sent to a proxy; but what is no path is none. */
static void test_authority(void **)
{
    struct uri uri = parse("http://localhost:8090/v1/studies?limit=1");

    assert_int_equal(uri.n_segments, 2);
    assert_string_equal(uri.segments[0], "v1");
    assert_string_equal(uri_value(&uri, "limit"), "1");
    uri_deinit(&uri);
    uri = parse("HTTPS://[::1]/");
    assert_int_equal(uri.n_segments, 0);
    uri_deinit(&uri);
    assert_refused("v1/studies", "path", "begins with a slash");
    assert_refused("*", "path", "\"*\"");
    assert_refused("?limit=1", "path", "begins with a slash");
    assert_refused("", "path", "begins with a slash");
    assert_refused("http://localhost", "path", "begins with a slash");
    assert_refused("ftp://localhost/", "path", "ftp:");
}

/* An escaped slash or percent sign is part of its segment; bytes above 127 come through. */
static void test_decoding(void **)
{
    struct uri uri = parse("/a%2Fb/100%25/%e6%97%a5");

    assert_int_equal(uri.n_segments, 3);
    assert_string_equal(uri.segments[0], "a/b");
    assert_string_equal(uri.segments[1], "100%");
    assert_string_equal(uri.segments[2], "\xe6\x97\xa5");
    uri_deinit(&uri);
}

/* What is no escape, cut short, or a NUL, is refused and quoted; in the query too. */
static void test_bad_escapes(void **)
{
    assert_refused("/a%2", "path", "\"%2\"");
    assert_refused("/a%", "path", "\"%\"");
    assert_refused("/%zz/b", "path", "\"%zz\"");
    assert_refused("/%2g", "path", "%25");
    assert_refused("/a%00b", "path", "%00");
    assert_refused("/?a%00=1", "query", "%00");
    assert_refused("/?a=%0", "query", "\"%0\"");
}

/* A longer path than any route's is still a path: no error, and no overflow. */
static void test_long_path(void **)
{
    struct uri uri = parse("/1/2/3/4/5/6/7/8/9/10/11");

    assert_int_equal(uri.n_segments, URI_MAX_SEGMENTS + 1);
    uri_deinit(&uri);
}

/* Parameters are decoded after they are split, and one without '=' is empty. */
static void test_parameters(void **)
{
    struct uri uri = parse("/x?state=a%26b&&flag");

    assert_int_equal(uri.n_segments, 1);
    assert_int_equal(uri.n_parameters, 2);
    assert_string_equal(uri_value(&uri, "state"), "a&b");
    assert_string_equal(uri_value(&uri, "flag"), "");
    assert_null(uri_value(&uri, "stat"));
    uri_deinit(&uri);
}

/* Which of two values is meant, nobody knows; escapes do not hide that a name comes again. */
static void test_repeated_parameter(void **)
{
    static const char *const known[] = {"state", "since", NULL};
    static const char *const targets[] = {"/?state=a&state=a", "/?since=1&state&st%61te="};

    for (size_t i = 0; i < 2; i++) {
        struct uri uri = parse(targets[i]);
        struct problem problem = {};

        assert_int_equal(uri_check_parameters(&uri, known, &problem), -1);
        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_string_equal(problem.field, "state");
        assert_non_null(strstr(problem.detail, "more than once"));
        uri_deinit(&uri);
    }
}

/* The seventeenth parameter is too much. */
static void test_too_many_parameters(void **)
{
    struct uri uri = parse("/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16");

    assert_int_equal(uri.n_parameters, URI_MAX_PARAMETERS);
    uri_deinit(&uri);
    assert_refused("/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17", "query", "16");
}

/* An unknown parameter is named, with the one that was meant and all that are known. */
static void test_unknown_parameter(void **)
{
    static const char *const known[] = {"state", "since", NULL}, *const none[] = {NULL};
    struct uri uri = parse("/?since=1&stat=2");
    struct problem problem = {}, other = {};

    assert_int_equal(uri_check_parameters(&uri, known, &problem), -1);
    assert_string_equal(problem.field, "stat");
    assert_non_null(strstr(problem.detail, "did you mean \"state\"?"));
    assert_non_null(strstr(problem.detail, "known are: state, since"));
    assert_int_equal(uri_check_parameters(&uri, none, &other), -1);
    assert_non_null(strstr(other.detail, "known are: none"));
    uri_deinit(&uri);
    uri = parse("/?since=1");
    assert_int_equal(uri_check_parameters(&uri, known, &problem), 0);
    uri_deinit(&uri);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_authority),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_bad_escapes),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_too_many_parameters),
        cmocka_unit_test(test_unknown_parameter),
        cmocka_unit_test(test_repeated_parameter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
