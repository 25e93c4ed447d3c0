/* SPDX-License-Identifier: MIT */
/* The number reader against strtod(): one and a half million texts, and the edges of each of its paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/xgboost/csv_number.h"

static uint64_t state = 1;

static uint64_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 11;
}

static uint32_t bits_of(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* `text` with `stop` behind it must read as strtod() does, to the bit and to the character. */
static void check(const char *text, char stop)
{
    char padded[128 + CSV_NUMBER_PADDING] = {0};
    size_t size = strlen(text);
    memcpy(padded, text, size);
    padded[size] = stop;
    float number = -1;
    const char *end = csv_number_read(padded, stop, &number);
    float expected = (float)strtod(text, NULL);
    if (end != padded + size || bits_of(number) != bits_of(expected))
        fail_msg("\"%s\": read %.9g, expected %.9g", text, (double)number, (double)expected);
}

static void put_digits(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *text++ = (char)('0' + draw() % 10);
    *text = '\0';
}

/* Digits, point, digits of every length, with and without sign and exponent. */
static void test_random_decimals(void **unused)
{
    (void)unused;
    for (int i = 0; i < 500000; i++) {
        char text[96], part[40];
        size_t n_int = draw() % 12, n_fraction = draw() % 14;
        put_digits(part, n_int);
        int size = sprintf(text, "%s%s", draw() % 2 ? "-" : "", part);
        put_digits(part, n_fraction + (n_int == 0));
        if (n_fraction > 0 || n_int == 0 || draw() % 2)
            size += sprintf(text + size, ".%s", part);
        if (draw() % 4 == 0)
            sprintf(text + size, "e%d", (int)(draw() % 80) - 45);
        check(text, draw() % 2 ? ';' : '\n');
    }
}

/* What numpy writes for doubles: 17 digits, so the mantissa does not fit a double. */
static void test_random_doubles(void **unused)
{
    (void)unused;
    for (int i = 0; i < 500000; i++) {
        char text[64];
        sprintf(text, "%.17g", ((double)draw() / 0x1p52 - 1) * (double)(1 + draw() % 100000));
        check(text, ',');
    }
}

/* Texts within one double of the middle between two floats, where rounding twice shows. */
static void test_float_middles(void **unused)
{
    (void)unused;
    for (int i = 0; i < 500000; i++) {
        char text[64];
        uint64_t bits = (uint64_t)(1023 - 20 + draw() % 40) << 52 | (draw() & 0x7fffff) << 29;
        bits += 0x10000000 + draw() % 3 - 1;
        double middle;
        memcpy(&middle, &bits, sizeof middle);
        sprintf(text, "%.*g", draw() % 2 ? 17 : 19, middle);
        check(text, ',');
    }
}

/* The ends of each path: short, long, exact, certain, handed to strtod(). */
static void test_edges(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "12345678",
        "1234567",
        "123456.7",
        "1.23456",
        "-1.23456",
        "-123456",
        ".5",
        "-.5",
        "5.",
        "-5.",
        "+5",
        "+.5",
        "1e5",
        "1E5",
        "1e-5",
        "1e+05",
        "00000000000000000000001",
        "0.00000000000000000000001",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "3.4028234663852886e38",
        "3.4028235677973366e38",
        "1e39",
        "-1e39",
        "1e400",
        "1e-400",
        "1.4e-45",
        "1e-45",
        "1.1754943508222875e-38",
        "1e100000000000000",
        "1e-100000000000000",
        "0e400",
        "0.1000000000000000055511151231257827021181583404541015625",
        "123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check(texts[i], ';');
        check(texts[i], '\n');
        check(texts[i], '\0');
    }
}

/* What is no number, and where a number ends before the stop. */
static void test_not_numbers(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"",    "-",   "+",   ".",   "-.",  "e5",  "1e",
                                        "1e+", "nan", "inf", "--1", "+-1", "abc", " 1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char padded[32] = {0};
        sprintf(padded, "%s;", texts[i]);
        float number;
        if (csv_number_read(padded, ';', &number))
            fail_msg("\"%s\" was read as a number", texts[i]);
    }
    static const struct {
        const char *text;
        ptrdiff_t size;
    } partly[] = {{"1.2.3;", 3}, {"1-2;", 1},    {"1,5;", 1},  {"0x10;", 1},
                  {"12 ;", 2},   {"1.5abc;", 3}, {"3.1/4;", 3}};
    for (size_t i = 0; i < sizeof partly / sizeof *partly; i++) {
        char padded[32] = {0};
        strcpy(padded, partly[i].text);
        float number;
        assert_int_equal(csv_number_read(padded, ';', &number) - padded, partly[i].size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_decimals), cmocka_unit_test(test_random_doubles),
        cmocka_unit_test(test_float_middles),   cmocka_unit_test(test_edges),
        cmocka_unit_test(test_not_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
