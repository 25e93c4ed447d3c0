/* SPDX-License-Identifier: MIT */
/* The table of a slot's legal moves. */
#include "worker/slot_state.h"

#include <stddef.h>

const char *const slot_state_names[] = {
#define X(id, name) [SLOT_##id] = name,
    SLOT_STATES(X)
#undef X
        NULL};

#define TO(state) (1u << SLOT_##state)
static const unsigned legal_moves[SLOT_N_STATES] = {
    [SLOT_IDLE] = TO(STARTING) | TO(STOPPED),
    [SLOT_STARTING] = TO(RUNNING) | TO(IDLE) | TO(PAUSED),
    [SLOT_RUNNING] = TO(STARTING) | TO(IDLE) | TO(PAUSED),
    [SLOT_PAUSED] = TO(IDLE) | TO(STOPPED),
};

bool slot_state_may_become(enum slot_state from, enum slot_state to)
{
    return legal_moves[from] & 1u << to;
}
