/* SPDX-License-Identifier: MIT */
/* Reads and writes JSON as Python does. */
#include "daemon/store/optuna_json.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/json_write.h"

/* ---- parsing ---- */

static const char *const bare_words[] = {"NaN", "-Infinity", "Infinity"};

/* Copies a string with its quotes; returns what follows. */
static const char *copy_string(struct buffer *out, const char *text)
{
    const char *end = text + 1;
    while (*end && *end != '"')
        end += end[0] == '\\' && end[1] ? 2 : 1;
    end += *end == '"';
    buffer_append(out, text, (size_t)(end - text));
    return end;
}

/* Puts quotes around the words that only Python takes for numbers. */
static void quote_bare_words(struct buffer *out, const char *text)
{
    while (*text) {
        if (*text == '"') {
            text = copy_string(out, text);
            continue;
        }
        size_t size = 0;
        for (size_t i = 0; i < sizeof bare_words / sizeof *bare_words && size == 0; i++)
            if (strncmp(text, bare_words[i], strlen(bare_words[i])) == 0)
                size = strlen(bare_words[i]);
        if (size)
            buffer_printf(out, "\"%.*s\"", (int)size, text);
        else
            buffer_append_char(out, *text);
        text += size ? size : 1;
    }
}

json_t *optuna_json_parse(const char *text)
{
    BUFFER_AUTO struct buffer quoted = {0};
    if (strstr(text, "NaN") || strstr(text, "Infinity")) {
        quote_bare_words(&quoted, text);
        text = buffer_text(&quoted);
    }
    size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *value = json_loads(text, flags, NULL);
    return value ? value : json_loads(text, flags | JSON_DECODE_INT_AS_REAL, NULL);
}

/* ---- writing ---- */

void optuna_json_put_double(struct buffer *out, double number)
{
    char text[JSON_NUMBER_SIZE];
    if (isnan(number)) {
        buffer_append_text(out, "NaN");
    } else if (isinf(number)) {
        buffer_append_text(out, number > 0 ? "Infinity" : "-Infinity");
    } else {
        json_format_double(text, number);
        buffer_append_text(out, text);
    }
}

/* Decodes one character of valid UTF-8. */
static uint32_t next_character(const char **text)
{
    const unsigned char *c = (const unsigned char *)*text;
    size_t size = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    uint32_t character = size == 1 ? c[0] : c[0] & (0x7fu >> size);
    for (size_t i = 1; i < size && c[i]; i++)
        character = character << 6 | (c[i] & 0x3f);
    while (size-- && **text)
        ++*text;
    return character;
}

static void put_escaped(struct buffer *out, uint32_t character)
{
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs */
    for (const char *pair = short_escapes; *pair; pair += 2)
        if (character == (unsigned char)*pair) {
            buffer_printf(out, "\\%c", pair[1]);
            return;
        }
    if (character >= 0x10000) {
        character -= 0x10000;
        buffer_printf(out, "\\u%04x\\u%04x", 0xd800 + (character >> 10), 0xdc00 + (character & 0x3ff));
    } else {
        buffer_printf(out, "\\u%04x", character);
    }
}

static void put_string(struct buffer *out, const char *text, size_t size)
{
    const char *end = text + size;
    buffer_append_char(out, '"');
    while (text < end) {
        size_t plain = 0; /* printable ASCII */
        while (text + plain < end && text[plain] >= ' ' && text[plain] <= '~' && text[plain] != '"' &&
               text[plain] != '\\')
            plain++;
        buffer_append(out, text, plain);
        text += plain;
        if (text < end)
            put_escaped(out, *text ? next_character(&text) : (text++, 0));
    }
    buffer_append_char(out, '"');
}

void optuna_json_put_text(struct buffer *out, const char *text)
{
    put_string(out, text, strlen(text));
}

void optuna_json_put_ascii(struct buffer *out, const char *json)
{
    while (*json) {
        if ((signed char)*json > 0)
            buffer_append_char(out, *json++);
        else /* inside of a string, nowhere else */
            put_escaped(out, next_character(&json));
    }
}

static void put_array(struct buffer *out, const json_t *array, enum optuna_json_floats floats)
{
    buffer_append_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buffer_append_text(out, ", ");
        optuna_json_put(out, json_array_get(array, i), floats);
    }
    buffer_append_char(out, ']');
}

static void put_object(struct buffer *out, const json_t *object, enum optuna_json_floats floats)
{
    const char *key;
    json_t *value;
    const char *separator = "";
    buffer_append_char(out, '{');
    json_object_foreach ((json_t *)object, key, value) {
        buffer_append_text(out, separator);
        optuna_json_put_text(out, key);
        buffer_append_text(out, ": ");
        optuna_json_put(out, value, floats);
        separator = ", ";
    }
    buffer_append_char(out, '}');
}

void optuna_json_put(struct buffer *out, const json_t *value, enum optuna_json_floats floats)
{
    double number;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value, floats);
        break;
    case JSON_ARRAY:
        put_array(out, value, floats);
        break;
    case JSON_STRING:
        if (floats == OPTUNA_JSON_FLOATS && json_to_double(value, &number) == 0)
            optuna_json_put_double(out, number);
        else
            put_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        optuna_json_put_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
        buffer_append_text(out, "true");
        break;
    case JSON_FALSE:
        buffer_append_text(out, "false");
        break;
    case JSON_NULL:
        buffer_append_text(out, "null");
        break;
    }
}

/* ---- distributions ---- */

void optuna_json_put_distribution(struct buffer *out, const struct distribution *distribution)
{
    const char *is_log = distribution->is_log ? "true" : "false";
    switch (distribution->type) {
    case DISTRIBUTION_FLOAT:
        buffer_append_text(out, "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": ");
        if (distribution->step > 0)
            optuna_json_put_double(out, distribution->step);
        else
            buffer_append_text(out, "null");
        buffer_append_text(out, ", \"low\": ");
        optuna_json_put_double(out, distribution->low);
        buffer_append_text(out, ", \"high\": ");
        optuna_json_put_double(out, distribution->high);
        buffer_printf(out, ", \"log\": %s}}", is_log);
        break;
    case DISTRIBUTION_INT:
        buffer_printf(
            out,
            "{\"name\": \"IntDistribution\", \"attributes\": {\"log\": %s, \"step\": %.0f, \"low\": %.0f, "
            "\"high\": %.0f}}",
            is_log, distribution->step, distribution->low, distribution->high);
        break;
    case DISTRIBUTION_CATEGORICAL:
        buffer_append_text(out, "{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": ");
        optuna_json_put(out, distribution->choices, OPTUNA_JSON_FLOATS);
        buffer_append_text(out, "}}");
        break;
    }
}

/* How each name is put into the short form. `step` names the attribute that holds it. */
static const struct {
    const char *name, *type, *step;
    bool is_log; /* always; else the attribute says so */
} distribution_names[] = {
    {"FloatDistribution", "float", "step", false},
    {"IntDistribution", "int", "step", false},
    {"CategoricalDistribution", "categorical", NULL, false},
    {"UniformDistribution", "float", NULL, false},
    {"LogUniformDistribution", "float", NULL, true},
    {"DiscreteUniformDistribution", "float", "q", false},
    {"IntUniformDistribution", "int", "step", false},
    {"IntLogUniformDistribution", "int", NULL, true},
};

static json_t *shorten(const char *type, json_t *attributes, const char *step_key, bool is_log)
{
    json_t *result = json_pack("{s:s}", "type", type);
    json_t *step = step_key ? json_object_get(attributes, step_key) : NULL;
    if (strcmp(type, "categorical") == 0) {
        json_object_set(result, "choices", json_object_get(attributes, "choices"));
        return result;
    }
    json_object_set(result, "low", json_object_get(attributes, "low"));
    json_object_set(result, "high", json_object_get(attributes, "high"));
    is_log = is_log || json_is_true(json_object_get(attributes, "log"));
    if (is_log)
        json_object_set_new(result, "log", json_true());
    else if (step && !json_is_null(step)) /* with log it is 1 and means nothing */
        json_object_set(result, "step", step);
    return result;
}

json_t *optuna_json_read_distribution(const char *text)
{
    json_t *json = optuna_json_parse(text);
    json_t *result = NULL;
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *name = json_string_value(json_object_get(json, "name"));
    json_t *attributes = json_object_get(json, "attributes");
    if (type)
        result = shorten(type, json, "step", false);
    for (size_t i = 0;
         name && attributes && !result && i < sizeof distribution_names / sizeof *distribution_names; i++)
        if (strcmp(name, distribution_names[i].name) == 0)
            result = shorten(distribution_names[i].type, attributes, distribution_names[i].step,
                             distribution_names[i].is_log);
    json_decref(json);
    return result;
}
