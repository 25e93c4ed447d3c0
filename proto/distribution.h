/* SPDX-License-Identifier: MIT */
/*
 * One parameter's distribution, as Optuna has them.
 *
 * A parameter's value is a double everywhere inside ("internal value"), as in Optuna's database: a float
 * itself, an int as a double, a category its zero-based index.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/json_write.h"
#include "proto/problem.h"

#define DISTRIBUTION_MAX_CHOICES 10000

enum distribution_type { DISTRIBUTION_FLOAT, DISTRIBUTION_INT, DISTRIBUTION_CATEGORICAL };

struct distribution {
    enum distribution_type type;
    bool is_log;
    double low, high; /* inclusive; high is lowered to low + k*step. 0 and n_choices - 1 if categorical */
    double step;      /* 0: continuous (float); at least 1 for int; 1 for categorical */
    size_t n_choices; /* categorical only */
    json_t *choices;  /* owned; array of null, bool, number, string ("NaN" as a string means the float) */
};

/* One distribution in the abbreviated form. 0, or -1 with `problem`. Deinit it either way. */
[[nodiscard]] int distribution_read(struct distribution *distribution, json_t *json, const char *path,
                                    struct problem *problem);
void distribution_deinit(struct distribution *distribution);
[[nodiscard]] json_t *distribution_to_json(const struct distribution *distribution);
/* Is this internal value inside (Optuna's contains(): float steps to 1e-8, and to what rounding adds)? NaN is
 * not.
 */
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
