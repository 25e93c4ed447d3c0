/* SPDX-License-Identifier: MIT */
/* What a worker did and where its time went, as a JSON file for the launcher that started it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/slot.h"

/* {"worker", "exit_code", "wall_s", "trials": {"complete", …}, "seconds": {"running", "idle", …}, "slots":
 * […]}. `n_told` is the worker's, by enum trial_state: trials that no slot ran are among those handed back.
 * 0, or -1 with errno set. */
[[nodiscard]] int summary_write(const char *path, const char *worker, int exit_code, uint64_t wall_ms,
                                const int64_t *n_told, struct slot *const *slots, size_t n_slots);
