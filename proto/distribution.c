/* SPDX-License-Identifier: MIT */
/* One parameter's range: reading, writing and checking it and the values drawn from it. */
#include "proto/distribution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"

#define MAX_INT 9007199254740992 /* 2^53: up to here every whole number is a double */
#define STEP_TOLERANCE 1e-8      /* Optuna's, in steps */
#define ROUNDING 0x1p-51 /* of low + k*step, relative: more than that tolerance where steps are many */

static const char *const type_names[] = {"float", "int", "categorical", NULL}; /* enum distribution_type */

/* ---- float ---- */

/* digits * 10^exponent, as the shortest decimal of a double says it. */
struct decimal {
    __int128 digits;
    int exponent;
};

static struct decimal decimal_from_double(double number)
{
    struct decimal decimal = {};
    char text[JSON_NUMBER_SIZE], *c = text;
    bool is_fraction = false;

    json_format_double(text, number);
    for (c += *c == '-'; *c && *c != 'e'; c++) {
        if (*c == '.') {
            is_fraction = true;
            continue;
        }
        decimal.digits = decimal.digits * 10 + (*c - '0');
        decimal.exponent -= is_fraction;
    }
    if (*c == 'e')
        decimal.exponent += atoi(c + 1);
    if (number < 0)
        decimal.digits = -decimal.digits;
    return decimal;
}

/* The same number with a smaller exponent. -1 where that takes more than 36 digits. */
static int decimal_scale(struct decimal *decimal, int exponent)
{
    static const __int128 limit = (__int128)1000000000000000000 * 1000000000000000000;

    if (decimal->digits == 0)
        decimal->exponent = exponent;
    for (; decimal->exponent > exponent; decimal->exponent--) {
        decimal->digits *= 10;
        if (decimal->digits > limit || decimal->digits < -limit)
            return -1;
    }
    return 0;
}

static double decimal_to_double(struct decimal decimal)
{
    bool is_negative = decimal.digits < 0;
    unsigned __int128 digits =
        is_negative ? -(unsigned __int128)decimal.digits : (unsigned __int128)decimal.digits;
    const unsigned __int128 split = 1000000000000000000;
    char text[64];

    snprintf(text, sizeof text, "%s%llu%018llue%d", is_negative ? "-" : "",
             (unsigned long long)(digits / split), (unsigned long long)(digits % split), decimal.exponent);
    return strtod(text, NULL);
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* Lowers `high` to low + k*step, in decimals as Optuna does: 0.3 is three steps of 0.1, which in doubles it
 * is not. What is lowered already stays, though it may be the double below a sum of more than 17 digits: a
 * stored study is the same each time it is read. -1 where the numbers lie too far apart to tell. */
static int lower_high(struct distribution *distribution)
{
    struct decimal low = decimal_from_double(distribution->low),
                   high = decimal_from_double(distribution->high),
                   step = decimal_from_double(distribution->step);
    int exponent = min_int(low.exponent, min_int(high.exponent, step.exponent));

    if (decimal_scale(&low, exponent) || decimal_scale(&high, exponent) || decimal_scale(&step, exponent))
        return -1;

    __int128 n_steps = (high.digits - low.digits) / step.digits;

    high.digits = low.digits + (n_steps + 1) * step.digits;
    if (decimal_to_double(high) == distribution->high)
        return n_steps < MAX_INT ? 0 : -1;
    high.digits -= step.digits;
    distribution->high = decimal_to_double(high);
    return n_steps <= MAX_INT ? 0 : -1;
}

static int read_float(struct distribution *distribution, struct json_reader *reader)
{
    distribution->low = json_read_required_number(reader, "low", -HUGE_VAL, HUGE_VAL);
    distribution->high = json_read_required_number(reader, "high", -HUGE_VAL, HUGE_VAL);
    distribution->is_log = json_read_bool(reader, "log", false);
    distribution->step = json_read_number(reader, "step", -HUGE_VAL, HUGE_VAL, 0);

    if (json_reader_close(reader))
        return -1;
    if (distribution->low > distribution->high)
        return json_read_fail(reader, "low", "low %.15g is above high %.15g", distribution->low,
                              distribution->high);
    if (distribution->is_log && distribution->low <= 0)
        return json_read_fail(reader, "low", "log needs low > 0, and low is %.15g", distribution->low);
    if (!json_read_has(reader, "step"))
        return 0;
    if (distribution->is_log)
        return json_read_fail(reader, "step", "a float with log cannot have a step; leave one of them out");
    if (distribution->step <= 0)
        return json_read_fail(reader, "step", "must be above 0, and is %.15g", distribution->step);
    if (lower_high(distribution))
        return json_read_fail(reader, "step", "%.15g is too fine for the range from %.15g to %.15g",
                              distribution->step, distribution->low, distribution->high);
    return 0;
}

/* ---- int ---- */

static int read_int(struct distribution *distribution, struct json_reader *reader)
{
    int64_t low = json_read_required_int(reader, "low", -MAX_INT, MAX_INT);
    int64_t high = json_read_required_int(reader, "high", -MAX_INT, MAX_INT);
    bool is_log = json_read_bool(reader, "log", false);
    int64_t step = json_read_int(reader, "step", 1, MAX_INT, 1);

    if (json_reader_close(reader))
        return -1;
    if (low > high)
        return json_read_fail(reader, "low", "low %lld is above high %lld", (long long)low, (long long)high);
    if (is_log && low < 1)
        return json_read_fail(reader, "low", "log needs low >= 1, and low is %lld", (long long)low);
    if (is_log && step != 1)
        return json_read_fail(reader, "step", "an int with log can only have step 1; leave one of them out");

    distribution->low = (double)low;
    distribution->high = (double)(low + (high - low) / step * step);
    distribution->is_log = is_log;
    distribution->step = (double)step;
    return 0;
}

/* ---- categorical ---- */

/* A text that is the same for values which Python's == calls the same: 1, 1.0 and true. */
static void put_identity(const json_t *choice, struct buffer *out)
{
    double number = json_number_value(choice);

    if (json_is_string(choice))
        buffer_printf(out, "\"%s", json_string_value(choice));
    else if (json_is_null(choice))
        buffer_append_text(out, "null");
    else if (json_is_boolean(choice))
        buffer_append_char(out, json_is_true(choice) ? '1' : '0');
    else if (json_is_integer(choice))
        buffer_printf(out, "%lld", (long long)json_integer_value(choice));
    else if (number == trunc(number) && fabs(number) < 0x1p63)
        buffer_printf(out, "%lld", (long long)number);
    else
        buffer_printf(out, "%.17g", number);
}

static int check_choices(struct json_reader *reader, json_t *choices)
{
    json_auto_t *seen = json_object();
    BUFFER_AUTO struct buffer identity = {};

    for (size_t i = 0; i < json_array_size(choices); i++) {
        const json_t *choice = json_array_get(choices, i);

        if (json_is_object(choice) || json_is_array(choice))
            return json_read_fail(reader, "choices",
                                  "choice %zu must be null, true, false, a number or a string", i + 1);
        buffer_clear(&identity);
        put_identity(choice, &identity);

        const json_t *earlier = json_object_get(seen, buffer_text(&identity));

        if (earlier)
            return json_read_fail(
                reader, "choices",
                "choices %lld and %zu are the same (1, 1.0 and true count as one); leave one out",
                json_integer_value(earlier), i + 1);
        json_object_set_new(seen, buffer_text(&identity), json_integer((json_int_t)i + 1));
    }
    return 0;
}

static int read_categorical(struct distribution *distribution, struct json_reader *reader)
{
    json_t *choices = json_read_any(reader, "choices");
    size_t n_choices = json_array_size(choices);

    if (json_reader_close(reader))
        return -1;
    if (!json_is_array(choices) || n_choices == 0 || n_choices > DISTRIBUTION_MAX_CHOICES)
        return json_read_fail(reader, "choices", "must be an array of 1 to %d choices",
                              DISTRIBUTION_MAX_CHOICES);
    if (check_choices(reader, choices))
        return -1;
    distribution->choices = json_deep_copy(choices);
    distribution->n_choices = n_choices;
    distribution->high = (double)n_choices - 1;
    distribution->step = 1;
    return 0;
}

static bool is_same_choice(const json_t *a, const json_t *b)
{
    BUFFER_AUTO struct buffer a_identity = {}, b_identity = {};

    put_identity(a, &a_identity);
    put_identity(b, &b_identity);
    return strcmp(buffer_text(&a_identity), buffer_text(&b_identity)) == 0;
}

/* The choice's index, or -1. */
static ptrdiff_t find_choice(const struct distribution *distribution, const json_t *value)
{
    for (size_t i = 0; i < distribution->n_choices; i++)
        if (is_same_choice(json_array_get(distribution->choices, i), value))
            return (ptrdiff_t)i;
    return -1;
}

/* ---- any ---- */

/* Optuna writes {"name": "FloatDistribution", "attributes": {...}} into its database. */
static bool is_long_form(const json_t *json)
{
    return json_is_string(json_object_get(json, "name")) &&
           json_is_object(json_object_get(json, "attributes")) && !json_object_get(json, "type");
}

static int fail_long_form(struct json_reader *reader, const char *name)
{
    static const char *const examples[] = {"\"low\": 0, \"high\": 1", "\"low\": 0, \"high\": 10",
                                           "\"choices\": [\"a\", \"b\"]"}; /* enum distribution_type */
    const char *type = problem_nearest(name, type_names);
    size_t i = DISTRIBUTION_FLOAT;

    while (type && type_names[i] != type)
        i++;
    return json_read_fail(
        reader, "name", "this is Optuna's long form; the short one is wanted, such as {\"type\": \"%s\", %s}",
        type_names[i], examples[i]);
}

/* Where the type is missing, another key may stand in its place. */
static int fail_type(struct json_reader *reader)
{
    static const char *const keys[] = {"low", "high", "log", "step", "choices"}; /* of any type */

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        (void)json_read_has(reader, keys[i]);
    return json_reader_close(reader);
}

int distribution_read(struct distribution *distribution, json_t *json, const char *path,
                      struct problem *problem)
{
    /* enum distribution_type */
    static int (*const readers[])(struct distribution *, struct json_reader *) = {read_float, read_int,
                                                                                  read_categorical};
    struct json_reader reader;

    *distribution = (struct distribution){};
    json_reader_open(&reader, json, path, problem);
    if (json_object_get(json, "when"))
        return json_read_fail(&reader, "when",
                              "conditional parameters are not supported by this version; leave \"when\" out");

    if (is_long_form(json))
        return fail_long_form(&reader, json_string_value(json_object_get(json, "name")));

    int type = json_read_choice(&reader, "type", type_names, -1);

    if (type < 0)
        return fail_type(&reader);
    distribution->type = (enum distribution_type)type;
    return readers[type](distribution, &reader);
}

void distribution_deinit(struct distribution *distribution)
{
    json_decref(distribution->choices);
    *distribution = (struct distribution){};
}

json_t *distribution_to_json(const struct distribution *distribution)
{
    json_t *json = json_object();
    bool is_int = distribution->type == DISTRIBUTION_INT;

    json_object_set_new(json, "type", json_string(type_names[distribution->type]));
    if (distribution->type == DISTRIBUTION_CATEGORICAL) {
        json_object_set_new(json, "choices", json_deep_copy(distribution->choices));
        return json;
    }

    const struct {
        const char *key;
        double value;
    } members[] = {{"low", distribution->low}, {"high", distribution->high}, {"step", distribution->step}};

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (i < 2 || members[i].value > 0)
            json_object_set_new(json, members[i].key,
                                is_int ? json_integer((json_int_t)members[i].value)
                                       : json_real(members[i].value));
    json_object_set_new(json, "log", json_boolean(distribution->is_log));
    return json;
}

static bool is_on_step(const struct distribution *distribution, double value)
{
    if (distribution->type != DISTRIBUTION_FLOAT)
        return value == trunc(value) &&
               ((int64_t)value - (int64_t)distribution->low) % (int64_t)distribution->step == 0;
    if (distribution->step == 0)
        return true;

    double n_steps = (value - distribution->low) / distribution->step;
    double largest = fmax(fabs(distribution->low), fabs(distribution->high));

    return fabs(n_steps - nearbyint(n_steps)) <
           STEP_TOLERANCE + ROUNDING * (fabs(n_steps) + largest / distribution->step);
}

bool distribution_contains(const struct distribution *distribution, double value)
{
    return value >= distribution->low && value <= distribution->high && is_on_step(distribution, value);
}

bool distribution_is_single(const struct distribution *distribution)
{
    return distribution->low == distribution->high;
}

bool distribution_is_compatible(const struct distribution *a, const struct distribution *b)
{
    if (a->type != b->type || a->is_log != b->is_log || a->n_choices != b->n_choices)
        return false;
    for (size_t i = 0; i < a->n_choices; i++)
        if (!is_same_choice(json_array_get(a->choices, i), json_array_get(b->choices, i)))
            return false;
    return true;
}

int distribution_value_from_json(const struct distribution *distribution, json_t *json, double *value,
                                 const char *path, struct problem *problem)
{
    BUFFER_AUTO struct buffer expected = {};
    struct json_writer writer;
    bool is_number = json_is_number(json) && distribution->type != DISTRIBUTION_CATEGORICAL;

    *value = is_number ? json_number_value(json) : NAN;
    if (distribution->type == DISTRIBUTION_CATEGORICAL && !json_is_object(json) && !json_is_array(json))
        *value = (double)find_choice(distribution, json);
    if (distribution_contains(distribution, *value))
        return 0;

    json_auto_t *range = distribution_to_json(distribution);

    json_writer_init(&writer, &expected);
    json_put_value(&writer, range);
    return problem_set(problem, PROBLEM_INVALID, path, "%s is no value of this parameter, which is %s", path,
                       buffer_text(&expected));
}

void distribution_put_value(const struct distribution *distribution, double value, struct json_writer *writer)
{
    if (distribution->type == DISTRIBUTION_CATEGORICAL)
        json_put_value(writer, value >= 0 && value < (double)distribution->n_choices
                                   ? json_array_get(distribution->choices, (size_t)value)
                                   : NULL);
    else if (distribution->type == DISTRIBUTION_INT && fabs(value) <= MAX_INT)
        json_put_int(writer, (int64_t)value);
    else
        json_put_double(writer, value);
}
