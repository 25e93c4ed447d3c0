/* SPDX-License-Identifier: MIT */
/*
 * The states of a slot, and the moves between them.
 *
 *        +------------------------------------------------------------+
 *        v                                                            |
 *   IDLE --slot_take()--> PREPARING --study known--> STARTING --ready--> RUNNING
 *    ^  ^                     |                         |  ^             |
 *    |  |                     | cannot be run here      |  | runner is   | done, pruned, fail, crash,
 *    |  |                     v                         v  | there: at   | time limit, lost, stop
 *    |  +------------------ TELLING <-------------------+  | once        |
 *    |   told                 |    <-----------------------+-------------+
 *    |                        | the runner does not start, or crashes again
 *    +-----time is up----- PAUSED
 *
 *   STOPPED is reached from each, once nothing is left to tell and the runner is gone.
 */
#pragma once

#include <stdbool.h>

/* Each row: C name, name in logs and in the summary. */
#define SLOT_STATES(X)        \
    X(IDLE, "idle")           \
    X(PREPARING, "preparing") \
    X(STARTING, "starting")   \
    X(RUNNING, "running")     \
    X(TELLING, "telling")     \
    X(PAUSED, "paused")       \
    X(STOPPED, "stopped")
enum slot_state {
#define X(id, name) SLOT_##id,
    SLOT_STATES(X)
#undef X
        SLOT_N_STATES
};
extern const char *const slot_state_names[]; /* NULL-terminated */

bool slot_state_may_become(enum slot_state from, enum slot_state to);
