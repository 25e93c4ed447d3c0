/* SPDX-License-Identifier: MIT */
/* Reading JSON strictly. */
#include "proto/json_read.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/json_write.h"
#include "proto/require.h"

/* How deep arrays and objects nest; brackets within strings do not count. */
static int measure_depth(const char *text, size_t size)
{
    bool is_string = false;
    int depth = 0, deepest = 0;

    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (is_string && c == '\\')
            i++;
        else if (c == '"')
            is_string = !is_string;
        else if (!is_string && (c == '[' || c == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!is_string && (c == ']' || c == '}'))
            depth--;
    }
    return deepest;
}

/* jansson's words are good but for these. */
static const char *explain(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
        return "a number is too large: whole numbers go to 9223372036854775807, others to 1.8e308";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "\\u0000 cannot stand in a text";
    case json_error_invalid_utf8:
        return "a text is not valid UTF-8";
    default:
        return error->text;
    }
}

/* JSON has no word for these; peers whose language prints them bare are told what we take. Else "". */
static const char *give_advice(const char *text, size_t size, const json_error_t *error)
{
    static const struct {
        const char *word;
        int n_read; /* bytes of it that jansson has read when it gives up */
        const char *advice;
    } words[] = {{"NaN", 3, "; write it as the string \"NaN\""},
                 {"Infinity", 8, "; write it as the string \"Infinity\""},
                 {"-Infinity", 1, "; write it as the string \"-Infinity\""}};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t length = strlen(words[i].word), start = (size_t)(error->position - words[i].n_read);

        if (json_error_code(error) == json_error_invalid_syntax && error->position >= words[i].n_read &&
            size - start >= length && memcmp(text + start, words[i].word, length) == 0)
            return words[i].advice;
    }
    return "";
}

static bool is_blank(const char *text, size_t size)
{
    size_t i = 0;

    while (i < size && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n'))
        i++;
    return i == size;
}

json_t *json_parse(const char *text, size_t size, struct problem *problem)
{
    json_error_t error;

    if (is_blank(text, size)) {
        problem_set(problem, PROBLEM_INVALID, "", "there is no text where JSON should be");
        return NULL;
    }
    if (measure_depth(text, size) > JSON_MAX_DEPTH) {
        problem_set(problem, PROBLEM_INVALID, "", "the JSON nests deeper than %d levels", JSON_MAX_DEPTH);
        return NULL;
    }

    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (!json)
        problem_set(problem, PROBLEM_INVALID, "", "not valid JSON at line %d, column %d: %s%s", error.line,
                    error.column, explain(&error), give_advice(text, size, &error));
    return json;
}

void json_path_join(char *out, size_t out_size, const char *path, const char *key)
{
    snprintf(out, out_size, "%s%s%s", path, *path && *key ? "." : "", key);
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
        [JSON_STRING] = "a string",  [JSON_INTEGER] = "a whole number",
        [JSON_REAL] = "a number",    [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    return value ? names[json_typeof(value)] : "absent";
}

void json_reader_open(struct json_reader *reader, json_t *value, const char *path, struct problem *problem)
{
    *reader = (struct json_reader){.problem = problem};
    snprintf(reader->path, sizeof reader->path, "%s", path);
    if (json_is_object(value))
        reader->object = value;
    else
        json_read_fail(reader, "", "must be an object, {...}, and is %s", type_name(value));
}

int json_read_fail(struct json_reader *reader, const char *key, const char *format, ...)
{
    char field[sizeof reader->problem->field], detail[sizeof reader->problem->detail];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    json_path_join(field, sizeof field, reader->path, key);
    if (reader->problem->type == PROBLEM_NONE && !json_object_get(reader->object, key))
        reader->lacking = reader->object;
    reader->has_failed = true;
    reader->object = NULL;
    return problem_set(reader->problem, PROBLEM_INVALID, field, "%s%s%s", field, *field ? ": " : "", detail);
}

/* The first member that nobody asked for, or NULL. */
static const char *find_unknown_key(const struct json_reader *reader, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach (object, key, value) {
        size_t i = 0;

        while (i < reader->n_keys && strcmp(key, reader->keys[i]) != 0)
            i++;
        if (i == reader->n_keys)
            return key;
    }
    return NULL;
}

int json_reader_close(struct json_reader *reader)
{
    const char *unknown = find_unknown_key(reader, reader->lacking ? reader->lacking : reader->object);
    BUFFER_AUTO struct buffer known = {};

    if (!unknown)
        return reader->has_failed ? -1 : 0;
    if (reader->lacking)
        *reader->problem = (struct problem){};
    for (size_t i = 0; i < reader->n_keys; i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", reader->keys[i]);

    const char *nearest = problem_nearest(unknown, reader->keys);

    return json_read_fail(reader, unknown, "unknown key; %s%s%s known keys are %s",
                          nearest ? "did you mean " : "", nearest ? nearest : "", nearest ? "? The" : "the",
                          buffer_text(&known));
}

int json_reader_close_growing(struct json_reader *reader)
{
    return reader->has_failed ? -1 : 0;
}

json_t *json_read_any(struct json_reader *reader, const char *key)
{
    size_t i = 0;

    while (i < reader->n_keys && strcmp(key, reader->keys[i]) != 0)
        i++;
    if (i == reader->n_keys) {
        require(reader->n_keys < JSON_MAX_KEYS);
        reader->keys[reader->n_keys++] = key;
    }

    json_t *value = json_object_get(reader->object, key);

    return json_is_null(value) ? NULL : value;
}

bool json_read_has(struct json_reader *reader, const char *key)
{
    return json_read_any(reader, key) != NULL;
}

static void fail_missing(struct json_reader *reader, const char *key, const char *what)
{
    json_read_fail(reader, key, "is missing; %s is needed", what);
}

/* "must be WHAT, and is VALUE; did you mean NEAREST?", the value cut where it is long, NEAREST where there is
 * one.
 */
static void fail_wrong(struct json_reader *reader, const char *key, const json_t *value, const char *what,
                       const char *nearest)
{
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    json_writer_init(&writer, &text);
    if (json_is_object(value) || json_is_array(value))
        buffer_append_text(&text, type_name(value));
    else
        json_put_value(&writer, value);
    json_read_fail(reader, key, "must be %s, and is %.60s%s%s%s%s", what, buffer_text(&text),
                   text.size > 60 ? "..." : "", nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                   nearest ? "\"?" : "");
}

static const char *check_string(struct json_reader *reader, const char *key, const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text)
        fail_wrong(reader, key, value, "a string", NULL);
    else if (strlen(text) != json_string_length(value))
        json_read_fail(reader, key, "holds a NUL character, which no text here may");
    else
        return text;
    return NULL;
}

const char *json_read_string(struct json_reader *reader, const char *key, const char *fallback)
{
    const json_t *value = json_read_any(reader, key);
    const char *text = value ? check_string(reader, key, value) : NULL;

    return text ? text : fallback;
}

const char *json_read_required_string(struct json_reader *reader, const char *key)
{
    if (!json_read_has(reader, key))
        fail_missing(reader, key, "a string");
    return json_read_string(reader, key, "");
}

/* 2 and 2.0 are whole numbers; 2.5 and 1e300 are none that we take. */
static bool get_whole(const json_t *value, int64_t *number)
{
    double real = json_real_value(value);

    if (json_is_integer(value)) {
        *number = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || real != trunc(real) || fabs(real) > 0x1p53)
        return false;
    *number = (int64_t)real;
    return true;
}

#define OR_NONE ", or null (or left out) for no limit"

/* `more` is said behind what it must be. */
static int64_t read_int(struct json_reader *reader, const char *key, int64_t low, int64_t high,
                        int64_t fallback, const char *more)
{
    const json_t *value = json_read_any(reader, key);
    int64_t number;
    char what[128];

    if (!value)
        return fallback;
    if (get_whole(value, &number) && number >= low && number <= high)
        return number;
    snprintf(what, sizeof what, "a whole number from %lld to %lld%s", (long long)low, (long long)high, more);
    fail_wrong(reader, key, value, what, NULL);
    return fallback;
}

int64_t json_read_int(struct json_reader *reader, const char *key, int64_t low, int64_t high,
                      int64_t fallback)
{
    return read_int(reader, key, low, high, fallback, "");
}

int64_t json_read_int_limit(struct json_reader *reader, const char *key, int64_t low, int64_t high)
{
    return read_int(reader, key, low, high, -1, OR_NONE);
}

int64_t json_read_required_int(struct json_reader *reader, const char *key, int64_t low, int64_t high)
{
    if (!json_read_has(reader, key))
        fail_missing(reader, key, "a whole number");
    return json_read_int(reader, key, low, high, low);
}

/* "a number from 0 to 60", "a number of at least 1", "a finite number". */
static void describe_range(char *out, size_t size, double low, double high)
{
    if (isfinite(low) && isfinite(high))
        snprintf(out, size, "a number from %.15g to %.15g", low, high);
    else if (isfinite(low))
        snprintf(out, size, "a number of at least %.15g", low);
    else if (isfinite(high))
        snprintf(out, size, "a number of at most %.15g", high);
    else
        snprintf(out, size, "a finite number");
}

static double read_number(struct json_reader *reader, const char *key, double low, double high,
                          double fallback, const char *more)
{
    const json_t *value = json_read_any(reader, key);
    double number = json_number_value(value);
    char range[96], what[160];

    if (!value)
        return fallback;
    if (json_is_number(value) && number >= low && number <= high)
        return number;
    describe_range(range, sizeof range, low, high);
    snprintf(what, sizeof what, "%s%s", range, more);
    fail_wrong(reader, key, value, what, NULL);
    return fallback;
}

double json_read_number(struct json_reader *reader, const char *key, double low, double high, double fallback)
{
    return read_number(reader, key, low, high, fallback, "");
}

double json_read_number_limit(struct json_reader *reader, const char *key, double low, double high)
{
    return read_number(reader, key, low, high, -1, OR_NONE);
}

double json_read_required_number(struct json_reader *reader, const char *key, double low, double high)
{
    if (!json_read_has(reader, key))
        fail_missing(reader, key, "a number");
    return json_read_number(reader, key, low, high, 0);
}

bool json_read_bool(struct json_reader *reader, const char *key, bool fallback)
{
    const json_t *value = json_read_any(reader, key);

    if (!value)
        return fallback;
    if (json_is_boolean(value))
        return json_is_true(value);
    fail_wrong(reader, key, value, "true or false", NULL);
    return fallback;
}

int json_read_choice(struct json_reader *reader, const char *key, const char *const *choices, int fallback)
{
    const json_t *value = json_read_any(reader, key);
    const char *text = json_string_value(value);
    BUFFER_AUTO struct buffer what = {};

    if (!value && fallback >= 0)
        return fallback;
    for (int i = 0; text && choices[i]; i++)
        if (strcmp(text, choices[i]) == 0)
            return i;

    buffer_append_text(&what, "one of ");
    for (int i = 0; choices[i]; i++)
        buffer_printf(&what, "%s\"%s\"", i ? ", " : "", choices[i]);
    if (value)
        fail_wrong(reader, key, value, buffer_text(&what), text ? problem_nearest(text, choices) : NULL);
    else
        fail_missing(reader, key, buffer_text(&what));
    return fallback;
}
