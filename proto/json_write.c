/* SPDX-License-Identifier: MIT */
/* Writing JSON straight into a buffer. */
#include "proto/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/json_read.h"
#include "proto/require.h"

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out};
}

/* Before each value and key: the comma that separates it from what stands before. */
static void begin_item(struct json_writer *writer)
{
    if (writer->needs_comma)
        buffer_append_char(writer->out, ',');
    writer->needs_comma = true;
}

static void begin_nest(struct json_writer *writer, char bracket)
{
    begin_item(writer);
    buffer_append_char(writer->out, bracket);
    writer->needs_comma = false;
    writer->depth++;
}

static void end_nest(struct json_writer *writer, char bracket)
{
    require(writer->depth > 0);
    buffer_append_char(writer->out, bracket);
    writer->needs_comma = true;
    writer->depth--;
}

void json_begin_object(struct json_writer *writer)
{
    begin_nest(writer, '{');
}

void json_end_object(struct json_writer *writer)
{
    end_nest(writer, '}');
}

void json_begin_array(struct json_writer *writer)
{
    begin_nest(writer, '[');
}

void json_end_array(struct json_writer *writer)
{
    end_nest(writer, ']');
}

static void put_escaped(struct buffer *out, unsigned char c)
{
    static const char letters[0x20] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (c == '"' || c == '\\')
        buffer_printf(out, "\\%c", c);
    else if (letters[c])
        buffer_printf(out, "\\%c", letters[c]);
    else
        buffer_printf(out, "\\u%04x", c);
}

static void put_quoted(struct buffer *out, const char *text, size_t size)
{
    size_t start = 0;

    buffer_append_char(out, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buffer_append(out, text + start, i - start);
        put_escaped(out, c);
        start = i + 1;
    }
    buffer_append(out, text + start, size - start);
    buffer_append_char(out, '"');
}

void json_put_key(struct json_writer *writer, const char *key)
{
    begin_item(writer);
    put_quoted(writer->out, key, strlen(key));
    buffer_append_char(writer->out, ':');
    writer->needs_comma = false;
}

void json_put_raw(struct json_writer *writer, const char *json, size_t size)
{
    begin_item(writer);
    buffer_append(writer->out, json, size);
}

void json_put_string(struct json_writer *writer, const char *text)
{
    if (!text) {
        json_put_null(writer);
        return;
    }
    begin_item(writer);
    put_quoted(writer->out, text, strlen(text));
}

void json_put_int(struct json_writer *writer, int64_t number)
{
    begin_item(writer);
    buffer_printf(writer->out, "%lld", (long long)number);
}

void json_put_double(struct json_writer *writer, double number)
{
    char text[JSON_NUMBER_SIZE];

    if (isfinite(number))
        json_put_raw(writer, text, (size_t)json_format_double(text, number));
    else
        json_put_string(writer, isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
}

void json_put_bool(struct json_writer *writer, bool value)
{
    begin_item(writer);
    buffer_append_text(writer->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *writer)
{
    json_put_raw(writer, "null", 4);
}

static void put_object(struct json_writer *writer, json_t *object)
{
    const char *key;
    json_t *value;

    json_begin_object(writer);
    json_object_foreach (object, key, value)
        json_member_value(writer, key, value);
    json_end_object(writer);
}

static void put_array(struct json_writer *writer, const json_t *array)
{
    json_begin_array(writer);
    for (size_t i = 0; i < json_array_size(array); i++)
        json_put_value(writer, json_array_get(array, i));
    json_end_array(writer);
}

void json_put_value(struct json_writer *writer, const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_OBJECT:
        put_object(writer, (json_t *)value); /* the iteration macro wants it writable, and only reads */
        break;
    case JSON_ARRAY:
        put_array(writer, value);
        break;
    case JSON_STRING:
        begin_item(writer);
        put_quoted(writer->out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        json_put_int(writer, json_integer_value(value));
        break;
    case JSON_REAL:
        json_put_double(writer, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_put_bool(writer, json_is_true(value));
        break;
    case JSON_NULL:
        json_put_null(writer);
        break;
    }
}

void json_put_time(struct json_writer *writer, int64_t time_us)
{
    time_t seconds = time_us / 1000000;
    struct tm utc;
    char text[64];

    if (time_us <= 0) {
        json_put_null(writer);
        return;
    }
    gmtime_r(&seconds, &utc);

    size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);

    snprintf(text + length, sizeof text - length, ".%06dZ", (int)(time_us % 1000000));
    json_put_string(writer, text);
}

void json_member_string(struct json_writer *writer, const char *key, const char *text)
{
    json_put_key(writer, key);
    json_put_string(writer, text);
}

void json_member_int(struct json_writer *writer, const char *key, int64_t number)
{
    json_put_key(writer, key);
    json_put_int(writer, number);
}

void json_member_double(struct json_writer *writer, const char *key, double number)
{
    json_put_key(writer, key);
    json_put_double(writer, number);
}

void json_member_bool(struct json_writer *writer, const char *key, bool value)
{
    json_put_key(writer, key);
    json_put_bool(writer, value);
}

void json_member_value(struct json_writer *writer, const char *key, const json_t *value)
{
    json_put_key(writer, key);
    json_put_value(writer, value);
}

void json_member_time(struct json_writer *writer, const char *key, int64_t time_us)
{
    json_put_key(writer, key);
    json_put_time(writer, time_us);
}
