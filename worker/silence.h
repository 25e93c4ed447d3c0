/* SPDX-License-Identifier: MIT */
/*
 * How long a slot's trials are silent, and which silence is unusual: longer than `least_ms`, and than ten
 * times any that a word has ended so far.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

struct silence {
    uint64_t least_ms; /* 0: none is unusual */
    void *user;
    void (*unusual)(void *user, uint64_t silent_ms, uint64_t longest_ms); /* once a silence */
    uv_timer_t timer;                                                     /* open from init to close */
    uint64_t since_ms;
    uint64_t longest_ms; /* that ended */
};

/* `least_ms`, `user` and `unusual` are set. */
void silence_init(struct silence *silence, uv_loop_t *loop);
/* A trial begins. */
void silence_begin(struct silence *silence);
/* A word of it: the silence was no hang, and the next one begins. */
void silence_break(struct silence *silence);
/* The trial is over. */
void silence_end(struct silence *silence);
void silence_close(struct silence *silence);
