/* SPDX-License-Identifier: MIT */
/* What a worker works with: its slots and their devices, its runners, its data. */
#pragma once

#include <stddef.h>

#include "proto/problem.h"
#include "worker/config.h"
#include "worker/data_paths.h"
#include "worker/devices.h"
#include "worker/runner_table.h"

/* Zeroed before it is made. */
struct worker_plan {
    struct gpu_list gpus;
    size_t n_slots;
    struct slot_place *places; /* owned [n_slots] */
    struct runner_table runners;
    struct data_paths data;
};

/* Looks at the environment and the file system, and makes the model directory. 0, or -1 with `problem`; to be
 * deinited either way. */
[[nodiscard]] int worker_plan_make(struct worker_plan *plan, const struct worker_config *config,
                                   struct problem *problem);
void worker_plan_deinit(struct worker_plan *plan);
