/* SPDX-License-Identifier: MIT */
/* A trial's parameters between memory and JSON. */
#pragma once

#include <jansson.h>

#include "proto/space.h"

/* {"x": 0.5, …}: those that are not NaN, as external values. New reference; NULL gives an empty object. */
json_t *params_to_json(const struct space *space, const double *params);
/* What Optuna enqueued: those that suit the space, the others are left NaN; returns how many those were. */
size_t params_from_enqueued(const struct space *space, json_t *json, double *params);
