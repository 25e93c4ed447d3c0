/* SPDX-License-Identifier: MIT */
/* From a study and a trial of it to the line that its runner gets. */
#pragma once

#include <jansson.h>

#include "proto/message.h"
#include "proto/problem.h"
#include "worker/data_paths.h"
#include "worker/devices.h"
#include "worker/runner_message.h"
#include "worker/runner_table.h"

/* `study` is the answer of GET /v1/studies/{study}; `trial` is freed by the caller with runner_trial_deinit()
 * either way. 0, or -1 with `problem` where this worker has no such runner or data: its owner must act, and
 * the trial is none the worse for it. */
[[nodiscard]] int assignment_make(json_t *study, const struct offer_message *offer,
                                  const struct runner_table *runners, const struct data_paths *data,
                                  const struct slot_place *place, int64_t threads, struct runner_trial *trial,
                                  const struct runner_entry **runner, struct problem *problem);
