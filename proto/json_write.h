/* SPDX-License-Identifier: MIT */
/* Writing JSON straight into a buffer: commas and escapes are ours, doubles are short and read back equal. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"

struct json_writer {
    struct buffer *out;
    bool needs_comma;
    int depth;
};

void json_writer_init(struct json_writer *writer, struct buffer *out);
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_put_key(struct json_writer *writer, const char *key);
void json_put_string(struct json_writer *writer, const char *text); /* NULL is null; must be UTF-8 */
void json_put_int(struct json_writer *writer, int64_t number);
void json_put_double(struct json_writer *writer, double number); /* NaN, infinities as strings */
void json_put_bool(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
void json_put_value(struct json_writer *writer, const json_t *value); /* any tree; NULL is null */
/* Text that is JSON already. */
void json_put_raw(struct json_writer *writer, const char *json, size_t size);
/* Microseconds since 1970 UTC as RFC 3339 with Z ("2026-11-23T23:50:58.123456Z"); 0 or less is null. */
void json_put_time(struct json_writer *writer, int64_t time_us);

/* key + value in one call. */
void json_member_string(struct json_writer *writer, const char *key, const char *text);
void json_member_int(struct json_writer *writer, const char *key, int64_t number);
void json_member_double(struct json_writer *writer, const char *key, double number);
void json_member_bool(struct json_writer *writer, const char *key, bool value);
void json_member_value(struct json_writer *writer, const char *key, const json_t *value);
void json_member_time(struct json_writer *writer, const char *key, int64_t time_us);

#define JSON_NUMBER_SIZE 32
/* The shortest decimal text that strtod() reads back as `number`; always with '.' or 'e' as Python's repr()
 * ("1.0", "1e-08", "0.1"). `number` is finite. Returns its length. */
int json_format_double(char text[JSON_NUMBER_SIZE], double number);
