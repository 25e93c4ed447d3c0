/* SPDX-License-Identifier: MIT */
/*
 * The search space: named parameters with Optuna's distributions.
 *
 * A parameter's value is a double everywhere inside ("internal value"), as in Optuna's database: a float
 * itself, an int as a double, a category its zero-based index. NaN means: the trial does not have this
 * parameter.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/json_write.h"
#include "proto/problem.h"

#define SPACE_MAX_PARAMS 1000
#define SPACE_MAX_CHOICES 10000

enum distribution_type { DISTRIBUTION_FLOAT, DISTRIBUTION_INT, DISTRIBUTION_CATEGORICAL };

struct distribution {
    enum distribution_type type;
    bool is_log;
    double low,
        high;    /* inclusive; high is already lowered to low + k*step. 0 and n_choices - 1 if categorical */
    double step; /* 0: continuous (float); at least 1 for int; 1 for categorical */
    size_t n_choices; /* categorical only */
    json_t *choices;  /* owned; array of null, bool, number, string ("NaN" as a string means the float) */
};

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

/* One distribution in the abbreviated form. 0, or -1 with `problem`. Deinit it either way. */
[[nodiscard]] int distribution_read(struct distribution *distribution, json_t *json, const char *path,
                                    struct problem *problem);
void distribution_deinit(struct distribution *distribution);
[[nodiscard]] json_t *distribution_to_json(const struct distribution *distribution);
/* Is this internal value inside (Optuna's contains(): float steps to 1e-8)? NaN is not. */
bool distribution_contains(const struct distribution *distribution, double value);
/* One possible value only? */
bool distribution_is_single(const struct distribution *distribution);
/* Same kind, same log, same choices in order: what Optuna demands of one parameter's rows within a study. */
bool distribution_is_compatible(const struct distribution *a, const struct distribution *b);
/* JSON value <-> internal value. 0, or -1 with `problem` (wrong type, no such choice, outside the range). */
[[nodiscard]] int distribution_value_from_json(const struct distribution *distribution, json_t *json,
                                               double *value, const char *path, struct problem *problem);
void distribution_put_value(const struct distribution *distribution, double value,
                            struct json_writer *writer);

/* {"x": 0.5, ...} -> values[n_params], NaN for those absent; unknown names are an error. */
[[nodiscard]] int space_values_from_json(const struct space *space, json_t *json, const char *path,
                                         double *values, struct problem *problem);
/* The reverse: an object of those that are not NaN, in the space's order. */
void space_put_values(const struct space *space, const double *values, struct json_writer *writer);
