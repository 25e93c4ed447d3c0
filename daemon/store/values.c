/* SPDX-License-Identifier: MIT */
/* Reads and writes values and constraints as Optuna stores them. */
#include "daemon/store/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"

double value_read(struct sql *sql, int column)
{
    const char *type = sql_text(sql, column + 1);
    if (type && strcmp(type, "INF_POS") == 0)
        return INFINITY;
    if (type && strcmp(type, "INF_NEG") == 0)
        return -INFINITY;
    return sql_double(sql, column); /* NAN goes with NULL */
}

int32_t step_read(struct sql *sql, int column)
{
    int64_t step = sql_int(sql, column);
    return step > INT32_MAX ? INT32_MAX : step < 0 ? 0 : (int32_t)step;
}

void value_put(const struct sql *sql, struct buffer *out, double value)
{
    if (isfinite(value)) {
        sql_put_double(sql, out, value);
        buffer_append_text(out, ",'FINITE'");
    } else {
        buffer_append_text(out, isnan(value) ? "NULL,'NAN'"
                                : value > 0  ? "NULL,'INF_POS'"
                                             : "NULL,'INF_NEG'");
    }
}

void constraints_clear(struct constraints *constraints)
{
    for (size_t i = 0; i < constraints->n; i++)
        free(constraints->names[i]);
    free(constraints->names);
    free(constraints->values);
    *constraints = (struct constraints){0};
}

static void take_one(struct constraints *constraints, const char *name, const json_t *value)
{
    double number;
    if (json_to_double(value, &number) < 0)
        return;
    size_t i = 0;
    while (i < constraints->n && strcmp(constraints->names[i], name) != 0)
        i++;
    if (i == constraints->n) {
        constraints->names = memory_resize(constraints->names, i + 1, sizeof *constraints->names);
        constraints->values = memory_resize(constraints->values, i + 1, sizeof *constraints->values);
        constraints->names[constraints->n++] = memory_strdup(name);
    }
    constraints->values[i] = number;
}

void constraints_take(struct constraints *constraints, const char *key, const json_t *value)
{
    if (strncmp(key, "constraints:", strlen("constraints:")) == 0) {
        take_one(constraints, key + strlen("constraints:"), value);
    } else if (strcmp(key, "constraints") == 0) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            char name[24];
            snprintf(name, sizeof name, "%zu", i);
            take_one(constraints, name, json_array_get(value, i));
        }
    }
}

double constraints_violation(const struct constraints *constraints)
{
    double sum = 0;
    for (size_t i = 0; i < constraints->n; i++)
        if (constraints->values[i] > 0)
            sum += constraints->values[i];
    return sum;
}
