/* SPDX-License-Identifier: MIT */
/*
 * JSON as Python writes it into Optuna's tables: ", " and ": ", ASCII escapes, bare NaN and Infinity.
 *
 * Inside studyd a float that JSON has no number for is one of the strings "NaN", "Infinity", "-Infinity".
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/buffer.h"
#include "proto/space.h"

/* Parses Python's JSON; bare NaN and infinities become strings. Integers beyond 64 bits become reals. NULL
 * where it is none. */
[[nodiscard]] json_t *optuna_json_parse(const char *text);

enum optuna_json_floats {
    OPTUNA_JSON_STRINGS, /* "NaN" is a string (attributes) */
    OPTUNA_JSON_FLOATS,  /* "NaN" is the float (values of parameters) */
};
void optuna_json_put(struct buffer *out, const json_t *value, enum optuna_json_floats floats);
void optuna_json_put_text(struct buffer *out, const char *text);
/* JSON text (UTF-8) as it is, but in ASCII: a table of Optuna's may have any character set. */
void optuna_json_put_ascii(struct buffer *out, const char *json);
/* NaN and infinities bare. */
void optuna_json_put_double(struct buffer *out, double number);

/* {"name": "FloatDistribution", "attributes": {...}}, key for key as Optuna writes it. */
void optuna_json_put_distribution(struct buffer *out, const struct distribution *distribution);
/* Any form that Optuna reads (also the names before 3.0 and the short form) as the short form. New reference;
 * NULL where it is none of them. */
[[nodiscard]] json_t *optuna_json_read_distribution(const char *text);
