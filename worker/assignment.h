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

enum assignment_result {
    ASSIGNMENT_MADE,
    ASSIGNMENT_NOT_HERE,   /* this worker has no such runner: its owner must act */
    ASSIGNMENT_IMPOSSIBLE, /* the study asks for what this worker refuses: the trial fails */
};

/* `study` is the answer of GET /v1/studies/{study}; `trial` is filled where it is made, and freed by the
 * caller with runner_trial_deinit() either way. Otherwise `problem` says what is wrong. */
[[nodiscard]] enum assignment_result
assignment_make(json_t *study, const struct offer_message *offer, const struct runner_table *runners,
                const struct data_paths *data, const struct slot_place *place, int64_t threads,
                struct runner_trial *trial, const struct runner_entry **runner, struct problem *problem);
