/* SPDX-License-Identifier: MIT */
/* The search space: named parameters with their distributions. NaN as a value means: the trial does not have
 * this parameter. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/distribution.h"
#include "proto/json_write.h"
#include "proto/problem.h"

#define SPACE_MAX_PARAMS 1000

struct space_param {
    char *name;         /* owned; any UTF-8 without NUL, 1 to 255 bytes */
    uint64_t name_hash; /* space_hash_name(name) */
    struct distribution distribution;
};

/* Immutable once read. Parameters stand in the order of the JSON, which is the order they are stored in. */
struct space {
    size_t n_params;
    struct space_param *params;
};

/* Optuna's abbreviated form {"x": {"type": "float", "low": 0, "high": 1, "log": true | "step": 0.1}, ...};
 * `path` names the place in errors. NULL with `problem` set where it is not valid. */
[[nodiscard]] struct space *space_read(json_t *json, const char *path, struct problem *problem);
void space_free(struct space *space); /* NULL is fine */
/* The abbreviated form with defaults filled in. New reference. */
[[nodiscard]] json_t *space_to_json(const struct space *space);
/* Index of the parameter, or -1. */
ptrdiff_t space_find(const struct space *space, const char *name);
/* FNV-1a, 64 bits: one of the coordinates of a parameter's random numbers; never changes. */
uint64_t space_hash_name(const char *name);

/* {"x": 0.5, ...} -> values[n_params], NaN for those absent; unknown names are an error. */
[[nodiscard]] int space_values_from_json(const struct space *space, json_t *json, const char *path,
                                         double *values, struct problem *problem);
/* The reverse: an object of those that are not NaN, in the space's order. */
void space_put_values(const struct space *space, const double *values, struct json_writer *writer);
