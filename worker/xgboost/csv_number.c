/* SPDX-License-Identifier: MIT */
/* Decimal text to float for numbers of any length, exact in every case. */
#include "worker/xgboost/csv_number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#define MAX_EXACT_POWER 22     /* 10^22 is the largest power of ten that a double holds exactly */
#define MAX_MANTISSA_DIGITS 19 /* 10^19 - 1 is the most that fits 64 bits */

const double csv_powers_of_ten[MAX_EXACT_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* The digits that begin at `text`, appended to `*mantissa` (which may wrap: the caller counts them). */
static inline const char *read_digits(const char *text, uint64_t *mantissa)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t bytes, non_digits;
    while (non_digits = csv_find_non_digits(bytes = csv_load_eight(text)), non_digits == 0) {
        *mantissa = *mantissa * 100000000 + csv_join_digits(bytes);
        text += 8;
    }
    unsigned n_bits = (unsigned)__builtin_ctzll(non_digits) & 0x38;
    if (n_bits > 0)
        *mantissa = *mantissa * powers[n_bits / 8] + csv_join_digits(bytes << (64 - n_bits));
    return text + n_bits / 8;
}

/* The exponent behind 'e', bounded so that it cannot overflow; NULL where there is no digit. */
static const char *read_exponent(const char *text, int64_t *exponent)
{
    bool is_negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (!is_digit(*text))
        return NULL;
    int e = 0;
    for (; is_digit(*text); text++)
        if (e < 100000)
            e = 10 * e + (*text - '0');
    *exponent += is_negative ? -e : e;
    return text;
}

/* Is the nearest float to every double within four steps of `number` the same? The error of two roundings is
 * under two steps, so only values that close to the middle between two floats need more care. */
static bool float_is_certain(double number)
{
    enum { DROPPED_BITS = 52 - 23 };
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint64_t dropped = bits & ((1u << DROPPED_BITS) - 1);
    uint64_t middle = 1u << (DROPPED_BITS - 1);
    return dropped - (middle - 4) > 8;
}

const char *csv_number_read_any(const char *text, float *number)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0;
    const char *digits = text + (*text == '-' || *text == '+');
    const char *p = read_digits(digits, &mantissa);
    ptrdiff_t n_digits = p - digits;
    if (*p == '.') {
        const char *fraction = ++p;
        p = read_digits(p, &mantissa);
        n_digits += p - fraction;
        exponent = fraction - p;
    }
    if (n_digits == 0)
        return NULL;
    if ((*p == 'e' || *p == 'E') && !(p = read_exponent(p + 1, &exponent)))
        return NULL;

    if (n_digits <= MAX_MANTISSA_DIGITS && exponent >= -MAX_EXACT_POWER && exponent <= MAX_EXACT_POWER) {
        double value = exponent < 0 ? (double)mantissa / csv_powers_of_ten[-exponent]
                                    : (double)mantissa * csv_powers_of_ten[exponent];
        /* One rounding where the mantissa is exact: that is the nearest double. */
        if (mantissa <= (UINT64_C(1) << 53) || float_is_certain(value)) {
            *number = (float)(*text == '-' ? -value : value);
            return p;
        }
    }
    *number = (float)strtod(text, NULL);
    return p;
}
