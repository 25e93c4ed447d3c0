/* SPDX-License-Identifier: MIT */
/* Pruners: pure functions of (spec, history, the trial's own reports). To add one: one file, one row in
 * pruner.c, its tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/message.h"
#include "proto/spec.h"

/* Checks spec->pruner and completes it with defaults. 0, or -1 with `problem`. */
[[nodiscard]] int pruner_complete_spec(struct spec *spec, struct problem *problem);

/* Should a trial with these reports (ascending steps) stop now? */
bool pruner_should_prune(const struct spec *spec, const struct report_point *points, size_t n_points);
