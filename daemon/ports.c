/* SPDX-License-Identifier: MIT */
/* Gives the studies what they need from outside. */
#include "daemon/ports.h"

#include <sys/random.h>
#include <time.h>

#include "proto/require.h"

/* The loop's own time, which its timers go by; that stands while the machine sleeps. */
static int64_t now_ms(void *user)
{
    const struct ports *ports = user;

    return (int64_t)uv_now(ports->loop) + ports->slept_ms;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* How long the machine has slept, to the millisecond that two clocks read one after the other can differ. */
static void note_sleep(struct ports *ports)
{
    int64_t slept_ms = clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);

    if (slept_ms > ports->slept_ms + 1)
        ports->slept_ms = slept_ms;
}

static int64_t wall_us(void *)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static void random_bytes(void *, void *bytes, size_t size)
{
    require(getrandom(bytes, size, 0) == (ssize_t)size);
}

static int submit(void *user, struct store_record *record)
{
    struct ports *ports = user;

    return ports->store ? store_submit(ports->store, record) : -1;
}

static int read_trials(void *user, struct store_read *read)
{
    struct ports *ports = user;

    return ports->store ? store_read_trials(ports->store, read) : -1;
}

static int find_studies(void *user, struct store_find *find)
{
    struct ports *ports = user;

    return ports->store ? store_find(ports->store, find) : -1;
}

static void sample(void *user, struct sampler_job *job)
{
    struct ports *ports = user;

    sampler_pool_submit(&ports->pool, job);
}

static void tick_cb(uv_timer_t *timer)
{
    struct ports *ports = timer->data;

    note_sleep(ports);
    studies_tick(ports->studies);
}

static void wake(void *user, int64_t at_ms)
{
    struct ports *ports = user;
    int64_t left_ms = at_ms - now_ms(ports);

    if (at_ms == INT64_MAX)
        uv_timer_stop(&ports->tick);
    else
        uv_timer_start(&ports->tick, tick_cb, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

void ports_init(struct ports *ports, uv_loop_t *loop)
{
    *ports = (struct ports){.loop = loop, .pool = {.loop = loop}};
    ports->tick.data = ports;
    require(uv_timer_init(loop, &ports->tick) == 0);
    note_sleep(ports);
}

void ports_close(struct ports *ports)
{
    uv_close((uv_handle_t *)&ports->tick, NULL);
}

struct study_ports ports_for_studies(struct ports *ports)
{
    return (struct study_ports){.user = ports,
                                .now_ms = now_ms,
                                .wall_us = wall_us,
                                .random_bytes = random_bytes,
                                .submit = submit,
                                .read = read_trials,
                                .find = find_studies,
                                .sample = sample,
                                .wake = wake};
}
