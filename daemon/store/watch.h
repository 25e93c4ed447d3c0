/* SPDX-License-Identifier: MIT */
/* Notices, on the loop thread, that what is pending is not committed, whatever the writer is stuck in. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct store;

struct watch {
    uv_timer_t timer; /* runs while something is pending */
    uint64_t n_passed;
    unsigned n_ticks; /* since the writer passed, or since there is something to pass */
    bool is_stalled;
};

void watch_init(struct store *store, uv_loop_t *loop);
/* Something is pending. Called with the mutex held. */
void watch_begin(struct store *store);
/* Has a stall ended? */
void watch_look(struct store *store);
/* The stall is no longer what is to be said. */
void watch_forget(struct store *store);
