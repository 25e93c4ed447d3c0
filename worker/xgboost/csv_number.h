/* SPDX-License-Identifier: MIT */
/*
 * Decimal text to float, as pandas and numpy read it: the nearest double, then the nearest float to that.
 *
 * A number is an optional sign, digits with at most one point, an optional exponent ("1", "-.5", "2.",
 * "1e-3"): no spaces, no hexadecimal, no "inf" or "nan". Too large a number gives an infinity.
 *
 * Rounding twice (decimal to double to float) differs from strtof() for about one in 10^9 texts of 17 digits.
 * It is done on purpose: it is what every other reader in front of XGBoost does, so a model sees the same
 * features.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* So many bytes behind the text's end must be readable, whatever they hold: sixteen characters are looked at.
 */
#define CSV_NUMBER_PADDING 16

/* Ten to the power of 0 to 22: all that a double holds exactly. */
extern const double csv_powers_of_ten[23];

/* Any number at `text`: where it ends, or NULL where there is none. It must be followed by a character that
 * is no part of a number (NUL, a newline). */
const char *csv_number_read_any(const char *text, float *number);

/* Eight characters, the first in the lowest byte, each less '0': a digit's byte is its value. */
static inline uint64_t csv_load_eight(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return le64toh(word) ^ 0x3030303030303030;
}

/* The highest bit of each byte that is no digit. */
static inline uint64_t csv_find_non_digits(uint64_t bytes)
{
    return (((bytes & 0x7f7f7f7f7f7f7f7f) + 0x7676767676767676) | bytes) & 0x8080808080808080;
}

/* The number that eight digits make: pairs, then fours, then all eight are added up. */
static inline uint32_t csv_join_digits(uint64_t digits)
{
    digits = (digits * 10 + (digits >> 8)) & 0x00ff00ff00ff00ff;
    digits = (digits * 100 + (digits >> 16)) & 0x0000ffff0000ffff;
    return (uint32_t)(digits * 10000 + (digits >> 32));
}

/* The highest bit of the first byte that is `wanted`; what stands above it means nothing. 0: there is none.
 */
static inline uint64_t csv_find_char(uint64_t bytes, char wanted)
{
    uint64_t difference = bytes ^ 0x0101010101010101 * ((uint8_t)wanted ^ 0x30);
    return (difference - 0x0101010101010101) & ~difference & 0x8080808080808080;
}

/* Takes the point out of characters whose last one is in the highest byte. How many digits stand behind it;
 * -1 where there is no point, -2 where there is something else. */
static inline int csv_remove_point(uint64_t *bytes)
{
    uint64_t point = csv_find_non_digits(*bytes) >> 7;
    if (point == 0)
        return -1;
    uint64_t in_front = point - 1, behind = -(point << 8);
    unsigned n_behind = (unsigned)__builtin_clzll(point) / 8;
    if ((point & in_front) != 0 || ((*bytes >> (56 - 8 * n_behind)) & 0xff) != ('.' ^ 0x30))
        return -2;
    *bytes = (*bytes & in_front) << 8 | (*bytes & behind);
    return (int)n_behind;
}

/*
 * Numbers without sign and exponent, in two lengths. Their end is found by looking for `stop`, which is
 * expected behind them, and not for the last digit: so the processor can begin with the next field while it
 * still works on this one.
 */

/* One of at most seven characters, or NULL. */
static inline const char *csv_number_read_short(const char *text, char stop, float *number)
{
    uint64_t bytes = csv_load_eight(text);
    uint64_t stops = csv_find_char(bytes, stop);
    if (stops == 0)
        return NULL;
    unsigned n_bits = (unsigned)__builtin_ctzll(stops) & 0x38;
    if (n_bits == 0)
        return NULL;
    bytes <<= 64 - n_bits; /* the last character is in the highest byte, zeros are in front of the first */
    int n_behind = csv_remove_point(&bytes);
    if (n_behind < -1 || (n_behind == 0 && n_bits == 8))
        return NULL;
    *number = (float)(csv_join_digits(bytes) / csv_powers_of_ten[n_behind > 0 ? n_behind : 0]);
    return text + n_bits / 8;
}

/* One of eight to fifteen characters, or NULL. So many digits are exact in a double. */
static inline const char *csv_number_read_medium(const char *text, char stop, float *number)
{
    uint64_t stops = csv_find_char(csv_load_eight(text + 8), stop);
    if (stops == 0)
        return NULL;
    unsigned n_bits = (unsigned)__builtin_ctzll(stops) & 0x38;
    uint64_t head = n_bits > 0 ? csv_load_eight(text) << (64 - n_bits) : 0;
    uint64_t tail = csv_load_eight(text + n_bits / 8);
    int behind_in_head = csv_remove_point(&head), behind_in_tail = csv_remove_point(&tail);
    if (behind_in_head < -1 || behind_in_tail < -1 || (behind_in_head >= 0 && behind_in_tail >= 0))
        return NULL;
    uint64_t mantissa = csv_join_digits(head) * UINT64_C(100000000) + csv_join_digits(tail);
    int n_behind = behind_in_head >= 0 ? 8 + behind_in_head : 0;
    if (behind_in_tail >= 0) {
        mantissa = csv_join_digits(head) * UINT64_C(10000000) + csv_join_digits(tail);
        n_behind = behind_in_tail;
    }
    *number = (float)((double)(int64_t)mantissa / csv_powers_of_ten[n_behind]);
    return text + 8 + n_bits / 8;
}

static inline const char *csv_number_read_unsigned(const char *text, char stop, float *number)
{
    const char *end = csv_number_read_short(text, stop, number);
    return end ? end : csv_number_read_medium(text, stop, number);
}

/* The number at `text`, most likely with `stop` behind it: where it ends, or NULL where there is none. */
static inline const char *csv_number_read(const char *text, char stop, float *number)
{
    const char *end;
    if (*text != '-')
        end = csv_number_read_unsigned(text, stop, number);
    else if ((end = csv_number_read_unsigned(text + 1, stop, number)))
        *number = -*number;
    return end ? end : csv_number_read_any(text, number);
}
