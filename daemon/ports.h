/* SPDX-License-Identifier: MIT */
/* The world behind the studies' ports: clocks, randomness, the loop, the store, the sampler pool. */
#pragma once

#include <uv.h>

#include "daemon/sampler_pool.h"
#include "daemon/store/store.h"
#include "daemon/study/study.h"

/* Owned by whoever runs the daemon; loop thread only. */
struct ports {
    uv_loop_t *loop;
    uv_timer_t tick;  /* when the studies want to be woken */
    int64_t slept_ms; /* so long the machine has slept since it started, as the last tick found it */
    struct sampler_pool pool;
    struct studies *studies; /* set before the loop turns */
    struct store *store;     /* NULL: records and reads are refused */
};

void ports_init(struct ports *ports, uv_loop_t *loop);
/* Closes the timer; the loop must turn afterwards. */
void ports_close(struct ports *ports);
struct study_ports ports_for_studies(struct ports *ports);
