/* SPDX-License-Identifier: MIT */
/* Doubles as JSON: the shortest text that reads back equal, and strings for what JSON has no number for. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/json_write.h"
#include "proto/require.h"

/* digits[0].digits[1..] times ten to the exponent. */
struct decimal {
    char digits[24];
    int n_digits;
    int exponent;
};

/* The nearest decimal of so many digits; does it read back as `number`? */
static bool try_digits(struct decimal *decimal, double number, int n_digits)
{
    char text[40];

    snprintf(text, sizeof text, "%.*e", n_digits - 1, number);

    char *e = strchr(text, 'e');

    decimal->exponent = atoi(e + 1);
    decimal->digits[0] = text[0];
    if (n_digits > 1)
        memcpy(decimal->digits + 1, text + 2, (size_t)n_digits - 1);
    decimal->n_digits = n_digits;
    return strtod(text, NULL) == number;
}

/* Just above a power of two doubles lie twice as far apart as below: there the next decimal up may read back
 * where the nearest, which lies below, does not. */
static bool try_next_up(struct decimal *decimal, double number)
{
    char text[40];
    int last = decimal->n_digits - 1;

    if (decimal->digits[last] == '9')
        return false;
    decimal->digits[last]++;
    snprintf(text, sizeof text, "%c.%.*se%d", decimal->digits[0], last, decimal->digits + 1,
             decimal->exponent);
    return strtod(text, NULL) == number;
}

static bool is_power_of_two(double number)
{
    int exponent;

    return frexp(number, &exponent) == 0.5;
}

/* Up to 15 digits survive the way through a double, so the nearest 15 digits hold every shorter answer
 * followed by zeros. That does not hold for subnormal numbers, which have fewer bits. */
static void find_shortest(struct decimal *decimal, double number)
{
    bool is_found = false;

    for (int n = number < 0x1p-1022 ? 1 : 15; !is_found && n <= 17; n++)
        is_found = try_digits(decimal, number, n) ||
                   (n == 16 && is_power_of_two(number) && try_next_up(decimal, number));
    require(is_found);
    while (decimal->n_digits > 1 && decimal->digits[decimal->n_digits - 1] == '0')
        decimal->n_digits--;
}

/* Whole numbers and few digits behind the point, which is most of what we print: m / 10^k, both exact, is
 * rounded correctly, and with m below 10^15 no other decimal is as short. */
static bool find_quickly(struct decimal *decimal, double number)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

    if (number >= 1e9 || number < 1e-4)
        return false;
    for (int k = 0; k < 7; k++) {
        double scaled = nearbyint(number * powers[k]);

        if (scaled / powers[k] != number)
            continue;

        decimal->n_digits = snprintf(decimal->digits, sizeof decimal->digits, "%lld", (long long)scaled);
        decimal->exponent = decimal->n_digits - 1 - k;
        while (decimal->n_digits > 1 && decimal->digits[decimal->n_digits - 1] == '0')
            decimal->n_digits--;
        return true;
    }
    return false;
}

static int put_decimal(char *text, const struct decimal *decimal)
{
    const char *digits = decimal->digits;
    int n = decimal->n_digits, exponent = decimal->exponent;

    if (exponent < -4 || exponent >= 16)
        return sprintf(text, n > 1 ? "%c.%.*se%c%02d" : "%c%.*se%c%02d", digits[0], n - 1, digits + 1,
                       exponent < 0 ? '-' : '+', abs(exponent));
    if (exponent < 0)
        return sprintf(text, "0.%.*s%.*s", -exponent - 1, "000", n, digits);
    if (n <= exponent + 1)
        return sprintf(text, "%.*s%.*s.0", n, digits, exponent + 1 - n, "0000000000000000");
    return sprintf(text, "%.*s.%.*s", exponent + 1, digits, n - exponent - 1, digits + exponent + 1);
}

int json_format_double(char text[JSON_NUMBER_SIZE], double number)
{
    struct decimal decimal;
    char *start = text;

    require(isfinite(number));
    if (signbit(number)) {
        *text++ = '-';
        number = -number;
    }
    if (number == 0)
        decimal = (struct decimal){.digits = "0", .n_digits = 1};
    else if (!find_quickly(&decimal, number))
        find_shortest(&decimal, number);
    text += put_decimal(text, &decimal);
    return (int)(text - start);
}

/* To the last byte: Optuna's texts may hold NUL. */
static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && json_string_length(value) == strlen(text) &&
           strcmp(json_string_value(value), text) == 0;
}

int json_to_double(const json_t *value, double *number)
{
    if (json_is_number(value))
        *number = json_number_value(value);
    else if (is_text(value, "NaN"))
        *number = NAN;
    else if (is_text(value, "Infinity"))
        *number = INFINITY;
    else if (is_text(value, "-Infinity"))
        *number = -INFINITY;
    else
        return -1;
    return 0;
}

json_t *json_from_double(double number)
{
    if (isfinite(number))
        return json_real(number);
    return json_string(isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
}
