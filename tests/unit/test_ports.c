/* SPDX-License-Identifier: MIT */
/* The studies' clock, on a real loop whose machine sleeps when the test wants it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "daemon/ports.h"

#define HOUR_S 3600

static time_t slept_s;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = __real_clock_gettime(clock, now);

    now->tv_sec += clock == CLOCK_BOOTTIME ? slept_s : 0;
    return result;
}

/* The machine slept before studyd started, and again while it ran: the clock has leapt with the first tick
 * after that, once; and the next tick is still waited for by the loop's time. */
static void test_sleep(void **)
{
    uv_loop_t loop;
    struct ports ports;

    slept_s = HOUR_S;
    assert_int_equal(uv_loop_init(&loop), 0);
    ports_init(&ports, &loop);

    struct study_ports of_studies = ports_for_studies(&ports);

    ports.studies = studies_new(&of_studies);

    int64_t begin_ms = of_studies.now_ms(&ports);

    of_studies.wake(&ports, begin_ms + 5);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_in_range(of_studies.now_ms(&ports) - begin_ms, 5, 30000);
    slept_s += HOUR_S;
    begin_ms = of_studies.now_ms(&ports);
    for (int i = 0; i < 2; i++) {
        of_studies.wake(&ports, of_studies.now_ms(&ports) + 5);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_in_range(of_studies.now_ms(&ports) - begin_ms, HOUR_S * 1000 - 2, HOUR_S * 1000 + 30000);
    }
    studies_free(ports.studies);
    ports_close(&ports);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sleep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
