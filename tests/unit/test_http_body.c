/* SPDX-License-Identifier: MIT */
/* Unit tests of how bodies come in: one's limit, all bodies' limit, and what is dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/http/body.h"
#include "daemon/http/routes.h"

#define MIB (1u << 20)

static const struct route create = {.method = "POST", .pattern = "/v1/studies", .takes_body = true};
static const struct route list = {.method = "GET", .pattern = "/v1/studies"};
static const char zeros[MIB + 1];

static struct request new_request(const struct route *route)
{
    return (struct request){.route = route, .method = (char *)route->method};
}

static int take(struct bodies *bodies, struct request *request, size_t size)
{
    return body_take(bodies, request, zeros, size);
}

/* The pieces one after another; the memory is counted, and given back. */
static void test_pieces(void **)
{
    struct bodies bodies = {};
    struct request request = new_request(&create);

    assert_int_equal(body_take(&bodies, &request, "{\"a\":", 5), 0);
    assert_int_equal(body_take(&bodies, &request, "1}", 2), 0);
    assert_string_equal(buffer_text(&request.body), "{\"a\":1}");
    assert_int_equal(bodies.size_bytes, request.body.capacity);
    body_release(&bodies, &request);
    assert_int_equal(bodies.size_bytes, 0);
    assert_null(request.body.data);
}

/* A MiB is taken, a byte more is too large, and then nothing of it is kept. */
static void test_limit(void **)
{
    struct bodies bodies = {};
    struct request request = new_request(&create);

    assert_int_equal(take(&bodies, &request, MIB - 1), 0);
    assert_int_equal(take(&bodies, &request, 1), 0);
    assert_int_equal(request.problem.type, PROBLEM_NONE);
    assert_int_equal(request.body.size, MIB);
    assert_int_equal(take(&bodies, &request, 1), 0);
    assert_int_equal(request.problem.type, PROBLEM_TOO_LARGE);
    assert_int_equal(bodies.size_bytes, 0);
}

/* What is refused is dropped to its end, but not for ever. */
static void test_dropping(void **)
{
    struct bodies bodies = {};
    struct request request = new_request(&create);

    request.problem.type = PROBLEM_UNAUTHORIZED;
    for (size_t dropped = 0; dropped < BODY_MAX_DROPPED_BYTES; dropped += MIB)
        assert_int_equal(take(&bodies, &request, MIB), 0);
    assert_int_equal(take(&bodies, &request, 1), -1);
    assert_int_equal(request.problem.type, PROBLEM_UNAUTHORIZED);
    assert_int_equal(bodies.size_bytes, 0);
}

/* A route without a body says so. */
static void test_no_body(void **)
{
    struct bodies bodies = {};
    struct request request = new_request(&list);

    assert_int_equal(take(&bodies, &request, 1), 0);
    assert_int_equal(request.problem.type, PROBLEM_INVALID);
    assert_non_null(strstr(request.problem.detail, "GET /v1/studies takes no body"));
    assert_int_equal(bodies.size_bytes, 0);
}

/* When all bodies have what they may have together, large ones are sent away, and small ones still come in.
 */
static void test_all_bodies_together(void **)
{
    struct bodies bodies = {};
    struct request large[BODIES_MAX_BYTES / MIB], one_more = new_request(&create),
                                                  small = new_request(&create);
    size_t n = sizeof large / sizeof large[0];

    for (size_t i = 0; i < n; i++) {
        large[i] = new_request(&create);
        assert_int_equal(take(&bodies, &large[i], MIB - 1), 0);
        assert_int_equal(large[i].problem.type, PROBLEM_NONE);
    }
    assert_int_equal(take(&bodies, &one_more, BODY_SMALL_BYTES), 0);
    assert_int_equal(one_more.problem.type, PROBLEM_NONE);
    assert_int_equal(take(&bodies, &one_more, 1), 0);
    assert_int_equal(one_more.problem.type, PROBLEM_SLOW_DOWN);
    assert_null(one_more.body.data);
    body_release(&bodies, &large[0]);
    one_more = new_request(&create);
    assert_int_equal(take(&bodies, &one_more, MIB / 2), 0);
    assert_int_equal(one_more.problem.type, PROBLEM_NONE);
    assert_int_equal(take(&bodies, &small, BODY_SMALL_BYTES), 0);
    assert_int_equal(small.problem.type, PROBLEM_NONE);
    body_release(&bodies, &small);
    body_release(&bodies, &one_more);
    for (size_t i = 1; i < n; i++)
        body_release(&bodies, &large[i]);
    assert_int_equal(bodies.size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_all_bodies_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
