/* SPDX-License-Identifier: MIT */
/* Members that several messages have. The readers copy; errors stick to the reader. */
#pragma once

#include <jansson.h>

#include "proto/json_read.h"
#include "proto/json_write.h"

#define MESSAGE_A_NUMBER "a number, or one of the strings \"NaN\", \"Infinity\", \"-Infinity\""

/* The member "lease", as ask gave it. Never NULL; to be freed. */
[[nodiscard]] char *message_read_lease(struct json_reader *reader);
/* The member "lease_s" of an answer. */
double message_read_lease_s(struct json_reader *reader);
/* The member "request_id": to be freed, or NULL where absent. */
[[nodiscard]] char *message_read_request_id(struct json_reader *reader);
/* The member "user_attrs", its keys and sizes checked: a new reference, or NULL where absent. */
[[nodiscard]] json_t *message_read_user_attrs(struct json_reader *reader);
/* An object as it is: a new reference, or NULL where absent. */
[[nodiscard]] json_t *message_read_object(struct json_reader *reader, const char *key);
/* A number that may be NaN or infinite. */
void message_read_number(struct json_reader *reader, const char *key, double *number);

/* The member, unless `value` is NULL. */
void message_put_optional_value(struct json_writer *writer, const char *key, const json_t *value);
