/* SPDX-License-Identifier: MIT */
/*
 * The states of a slot, and the moves between them.
 *
 *          slot_take()          runner ready
 *   IDLE ---------------> STARTING ----------> RUNNING
 *    ^                     |     ^                |   |
 *    |                     |     +----------------+   |
 *    |                     |    it ended just before  |
 *    |   the trial's end   v                          v
 *    +---------------------+--------------------------+
 *    |                     |
 *    |    time is up       v  the runner does not start, or crashes again and again
 *    +------------------ PAUSED
 *
 *   IDLE and PAUSED become STOPPED when the worker stops and the runner is gone.
 */
#pragma once

#include <stdbool.h>

/* Each row: C name, name in logs and in the summary. */
#define SLOT_STATES(X)      \
    X(IDLE, "idle")         \
    X(STARTING, "starting") \
    X(RUNNING, "running")   \
    X(PAUSED, "paused")     \
    X(STOPPED, "stopped")
enum slot_state {
#define X(id, name) SLOT_##id,
    SLOT_STATES(X)
#undef X
        SLOT_N_STATES
};
extern const char *const slot_state_names[]; /* NULL-terminated */

bool slot_state_may_become(enum slot_state from, enum slot_state to);
