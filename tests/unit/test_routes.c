/* SPDX-License-Identifier: MIT */
/* Unit tests of the table of routes: finding one, and that proto/openapi.yaml describes them all and nothing
 * else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http/openapi.h"
#include "daemon/http/routes.h"
#include "proto/memory.h"

/* ---- finding ---- */

static const struct route *find(const char *method, const char *target, const char *expected_allow)
{
    static const char *arguments[REQUEST_MAX_ARGUMENTS];
    BUFFER_AUTO struct buffer allow = {};
    struct problem problem = {};
    struct uri uri;

    assert_int_equal(uri_parse(&uri, target, &problem), 0);

    const struct route *route = routes_find(method, &uri, arguments, &allow);

    if (!route)
        assert_string_equal(buffer_text(&allow), expected_allow);
    uri_deinit(&uri);
    return route;
}

/* The method and the whole path decide. */
static void test_found(void **)
{
    assert_string_equal(find("GET", "/", "")->pattern, "/");
    assert_string_equal(find("GET", "/v1/studies?x=1", "")->pattern, "/v1/studies");
    assert_ptr_equal(find("HEAD", "/v1/studies", ""), find("GET", "/v1/studies", ""));
    assert_string_equal(find("POST", "/v1/studies/wine/trials/7/tell", "")->pattern,
                        "/v1/studies/{study}/trials/{number}/tell");
    assert_string_equal(find("POST", "/v1/ask", "")->pattern, "/v1/ask");
    assert_string_equal(find("POST", "/v1/studies/ask/ask", "")->pattern, "/v1/studies/{study}/ask");
}

/* What stands in the braces is handed over decoded, slashes and all. */
static void test_arguments(void **)
{
    const char *arguments[REQUEST_MAX_ARGUMENTS] = {};
    BUFFER_AUTO struct buffer allow = {};
    struct problem problem = {};
    struct uri uri;

    assert_int_equal(uri_parse(&uri, "/v1/studies/a%2Fb%20c/trials/12", &problem), 0);
    assert_non_null(routes_find("GET", &uri, arguments, &allow));
    assert_string_equal(arguments[0], "a/b c");
    assert_string_equal(arguments[1], "12");
    uri_deinit(&uri);
}

/* Half a path, more than a path, an empty segment: there is nothing. */
static void test_not_found(void **)
{
    static const char *const targets[] = {"/v1",
                                          "/v1/",
                                          "/v1/studies/",
                                          "/v1//studies",
                                          "//",
                                          "/v1/studies/wine/",
                                          "/v1/studies/wine/tell",
                                          "/v1/studies/wine/trials/7/tell/again",
                                          "/v1/studies//trials",
                                          "/V1/studies",
                                          "/v1/studies/wine/trials/7/tel",
                                          "/v1/studies/wine/trials/7/tells",
                                          "/1/2/3/4/5/6/7/8/9/10"};

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        assert_null(find("GET", targets[i], ""));
}

/* A path with other methods says which. */
static void test_other_method(void **)
{
    assert_null(find("PUT", "/v1/studies", "GET, HEAD, POST"));
    assert_null(find("POST", "/v1/studies/wine", "GET, HEAD, PATCH, DELETE"));
    assert_null(find("GET", "/v1/ask", "POST"));
    assert_null(find("get", "/", "GET, HEAD"));
}

/* ---- proto/openapi.yaml, read by its indentation: paths at 2, methods at 4, what belongs to a method deeper
 * ---- */

struct operation {
    char method[8], path[64], role[16];
    char parameters[128]; /* "state since limit " */
    bool takes_body;
};

/* The word between `start` and one of `ends` in `line`, or "". */
static void word(const char *line, const char *start, const char *ends, char *out, size_t size)
{
    const char *at = strstr(line, start);

    out[0] = '\0';
    if (at) {
        at += strlen(start);
        snprintf(out, size, "%.*s", (int)strcspn(at, ends), at);
    }
}

static void read_detail(const char *line, struct operation *operation)
{
    char name[32];

    if (strstr(line, "x-role: "))
        word(line, "x-role: ", "\n", operation->role, sizeof operation->role);
    if (strncmp(line, "      requestBody:", 18) == 0)
        operation->takes_body = true;
    if (strstr(line, "in: query")) {
        word(line, "- {name: ", ",", name, sizeof name);
        strcat(strcat(operation->parameters, name), " ");
    }
}

/* Reads the file's operations into operations[max]; returns how many there are. */
static size_t read_operations(struct operation *operations, size_t max)
{
    MEMORY_AUTO char *text = memory_strndup((const char *)openapi_text, openapi_size);
    char *rest = strstr(text, "\npaths:\n"), *line;
    char path[64] = "";
    size_t n = 0;

    assert_non_null(rest);
    rest += strlen("\npaths:\n");
    while ((line = strsep(&rest, "\n")) && (line[0] == ' ' || !line[0])) {
        if (strncmp(line, "  /", 3) == 0) {
            word(line, "  ", ":", path, sizeof path);
        } else if (strncmp(line, "    ", 4) == 0 && line[4] != ' ' &&
                   strncmp(line, "    parameters:", 15) != 0) {
            assert_true(n < max);
            snprintf(operations[n].path, sizeof operations[n].path, "%s", path);
            word(line, "    ", ":", operations[n].method, sizeof operations[n].method);
            for (char *c = operations[n].method; *c; c++)
                *c = (char)(*c - 'a' + 'A');
            n++;
        } else if (n > 0 && strncmp(line, "      ", 6) == 0) {
            read_detail(line, &operations[n - 1]);
        }
    }
    return n;
}

static const struct operation *find_operation(const struct operation *operations, size_t n,
                                              const struct route *route)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(operations[i].method, route->method) == 0 &&
            strcmp(operations[i].path, route->pattern) == 0)
            return &operations[i];
    fail_msg("proto/openapi.yaml lacks %s %s", route->method, route->pattern);
    return NULL;
}

/* Every route stands in openapi.yaml with its role, its query and its body; and nothing stands there that is
 * no route. */
static void test_openapi(void **)
{
    struct operation operations[100] = {};
    size_t n = read_operations(operations, 100);

    assert_int_equal(n, n_routes);
    for (size_t i = 0; i < n_routes; i++) {
        const struct route *route = &routes[i];
        const struct operation *operation = find_operation(operations, n, route);
        char parameters[128] = "";

        for (size_t k = 0; route->parameters[k]; k++)
            strcat(strcat(parameters, route->parameters[k]), " ");
        assert_string_equal(operation->parameters, parameters);
        assert_string_equal(operation->role, role_names[route->role]);
        assert_int_equal(operation->takes_body, route->takes_body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),     cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_not_found), cmocka_unit_test(test_other_method),
        cmocka_unit_test(test_openapi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
