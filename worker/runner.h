/* SPDX-License-Identifier: MIT */
/*
 * One runner process: starts it, carries lines both ways, and says why it ended.
 *
 *   STARTING --ready--> READY --+
 *      |                        |  runner_end(), a line that is no message, silence at the start
 *      +------------------------+--> ENDING: SIGTERM to its process group, SIGKILL after 5 s
 *      |                        |       |
 *      +------------------------+-------+--> gone: the process has ended and its last lines are read
 */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "proto/buffer.h"
#include "worker/runner_message.h"
#include "worker/runner_table.h"

struct runner;

struct runner_exit {
    bool is_clean; /* it ended by itself, with exit code 0 */
    enum trial_failure failure;
    const char *reason; /* why, in a sentence, with the runner's last words */
};

/* All come from the loop, never from within a call to the runner. */
struct runner_events {
    void (*ready)(void *user);
    void (*message)(void *user, const struct runner_message *message); /* any but RUNNER_READY */
    /* Once, at the end; the runner is freed. */
    void (*gone)(void *user, const struct runner_exit *how);
};

struct runner_start {
    const struct runner_entry *entry;
    const char *label; /* of its lines in the log: the slot's name; stays valid */
    const char *gpu;   /* CUDA_VISIBLE_DEVICES; NULL: none */
    int64_t threads;
    uint64_t start_timeout_ms;
    const struct runner_events *events;
    void *user;
};

/* Where it cannot be started at all, that too comes as gone(). */
[[nodiscard]] struct runner *runner_new(uv_loop_t *loop, const struct runner_start *start);
/* Sends what is in `lines`, and empties it. */
void runner_send(struct runner *runner, struct buffer *lines);
bool runner_is_ready(const struct runner *runner);
/* Kills it; gone() will give this failure and reason. Without effect where it is ending already. */
void runner_end(struct runner *runner, enum trial_failure failure, const char *reason);
/* Now, for who does not stay to hear of its end: SIGKILL to its process group. */
void runner_kill(const struct runner *runner);
