/* SPDX-License-Identifier: MIT */
/* The worker as a whole: its slots, when it is done, and how it stops. */
#pragma once

#include "worker/config.h"

enum worker_exit {
    WORKER_FINISHED = 0, /* its studies are finished, or it was idle for long enough */
    WORKER_FAILED = 1,
    WORKER_MISCONFIGURED = 2,
    WORKER_NO_RUNNER = 4, /* no usable device or library: no runner comes up */
    WORKER_STOPPED = 143, /* by a signal or the end of stdin, with work left */
};

/* Runs until there is nothing more to do. */
[[nodiscard]] enum worker_exit supervisor_run(const struct worker_config *config);
