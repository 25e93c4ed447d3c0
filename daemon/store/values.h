/* SPDX-License-Identifier: MIT */
/* Values and constraints as Optuna stores them. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/sql.h"

/* Column `column` holds the number, the next one its type (FINITE, INF_POS, INF_NEG, NAN). */
double value_read(struct sql *sql, int column);
/* SQLite's may be wider than ours: the last one that we have stands for those. */
int32_t step_read(struct sql *sql, int column);
/* "0.5,'FINITE'", "NULL,'INF_POS'" */
void value_put(const struct sql *sql, struct buffer *out, double value);

/* A trial's constraints: the list of Optuna 4 (attribute `constraints`), or one attribute each of Optuna 5
 * (`constraints:NAME`), where list entries count as named "0", "1", ... A zeroed struct is empty. */
struct constraints {
    size_t n;
    char **names;
    double *values;
};
void constraints_clear(struct constraints *constraints);
/* Attributes come in the order of their keys, so the list first. */
void constraints_take(struct constraints *constraints, const char *key, const json_t *value);
/* Sum of the positive ones. */
double constraints_violation(const struct constraints *constraints);
