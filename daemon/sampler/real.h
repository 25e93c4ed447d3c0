/* SPDX-License-Identifier: MIT */
/*
 * exp, log and erfc of our own: the same bits on every machine, which libm does not promise (glibc's results
 * depend on the CPU). IEEE double arithmetic without contraction, no branches, no tables: a loop over an
 * array of arguments becomes SIMD code that computes the same bits as one call.
 *
 * Errors against mpmath (tests/unit/test_real.c): exp and log under 1 ulp, the others under 1e-14 relative.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "-ffast-math reorders sums: suggestions would hang on the compiler"
#endif

#define REAL_LN2_HIGH 0x1.62e42fefa3800p-1 /* ln 2 with 11 trailing zero bits, so that k * it is exact */
#define REAL_LN2_LOW 0x1.ef35793c76730p-45
#define REAL_LOG_SQRT_2PI 0x1.d67f1c864beb5p-1
#define REAL_SQRT_HALF 0x1.6a09e667f3bcdp-1

/* Adding this rounds to a whole number, which then stands in the low bits (|x| < 2^51). */
#define REAL_ROUNDER 0x1.8p52

static inline uint64_t real_to_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double real_from_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x. Results below 2^-1022 are 0. */
static inline double real_exp(double x)
{
    double clipped = x < -708.5 ? -708.5 : x > 709.7 ? 709.7 : x;
    double shifted = clipped * 0x1.71547652b82fep0 + REAL_ROUNDER;
    double n = shifted - REAL_ROUNDER;
    double r = clipped - n * REAL_LN2_HIGH - n * REAL_LN2_LOW; /* |r| <= ln 2 / 2 */
    double p = 1.0 / 6227020800;                               /* Taylor: 1/13!, ... */

    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;

    double mantissa = 1 + (r + r * r * p);
    double result = real_from_bits(real_to_bits(mantissa) + (real_to_bits(shifted) << 52));

    result = x < -708.3 ? 0 : result;
    return x > 709.7 ? HUGE_VAL : result;
}

/* Natural logarithm of x > 0; of 0 it is -infinity. */
static inline double real_log(double x)
{
    double normal = x < 0x1p-1022 ? x * 0x1p54 : x;
    uint64_t biased = real_to_bits(normal) - 0x3fe6a09e667f3bcd +
                      0x3ff0000000000000; /* so that m is in [sqrt 1/2, sqrt 2) */
    uint64_t exponent = biased >> 52;     /* of 2, plus 1023 */
    double m = real_from_bits((biased & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd);
    double k = real_from_bits(exponent | 0x4330000000000000) - (0x1p52 + 1023) - (x < 0x1p-1022 ? 54 : 0);
    double f = m - 1, s = f / (2 + f), z = s * s; /* log m = 2 atanh s */
    double p = 2.0 / 23;

    p = p * z + 2.0 / 21;
    p = p * z + 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;

    double half =
        0.5 * f * f; /* 2s = f - f s, and f s = f^2/2 - s f^2/2: the large part of the sum stays exact */
    double result = k * REAL_LN2_HIGH - ((half - (s * (half + p * z) + k * REAL_LN2_LOW)) - f);

    result = x == 0 ? -HUGE_VAL : result;
    return x == HUGE_VAL ? HUGE_VAL : result;
}

/* log(1 + x), x > -1. */
static inline double real_log1p(double x)
{
    double u = 1 + x;

    return real_log(u) + (x - (u - 1)) / u;
}

/*
 * Scaled complementary error function e^(x^2) erfc(x), x >= 0, down to its tail 1/(x sqrt pi) without
 * underflow. (1 + 2x) times it is a smooth function of t = (x - 4)/(x + 4) in [-1, 1): one polynomial, the
 * Chebyshev expansion of degree 23 in powers of t.
 */
static inline double real_erfcx(double x)
{
    double t = (x - 4) / (x + 4);
    double p = 0x1.ffeb28f8a7c30p-31;

    p = p * t + 0x1.b09c53938c643p-30;
    p = p * t - 0x1.a83c2ea8364c9p-27;
    p = p * t - 0x1.1943d94f86a0bp-26;
    p = p * t + 0x1.c8b87aa039fb6p-24;
    p = p * t + 0x1.3199f76ac5e29p-24;
    p = p * t - 0x1.b8d249727cce8p-21;
    p = p * t + 0x1.3ffd566b4c798p-22;
    p = p * t + 0x1.7ef6b7a31e6a9p-18;
    p = p * t - 0x1.78a6e4120d43dp-17;
    p = p * t - 0x1.995385e20c3b6p-16;
    p = p * t + 0x1.3be128d9104c4p-13;
    p = p * t - 0x1.a1df5db3b79f4p-13;
    p = p * t - 0x1.8d4aaa511de6ap-11;
    p = p * t + 0x1.49c672e0029c2p-8;
    p = p * t - 0x1.0962386e0ee02p-6;
    p = p * t + 0x1.3079edf51fc68p-5;
    p = p * t - 0x1.0fb06dfee117cp-4;
    p = p * t + 0x1.7fee004e1e9dcp-4;
    p = p * t - 0x1.9ddb23c3e0f9fp-4;
    p = p * t + 0x1.16ecefcfa4d42p-4;
    p = p * t + 0x1.f7f5df66fc232p-7;
    p = p * t - 0x1.1df1ad154a287p-3;
    p = p * t + 0x1.3ba5916e9fd7fp+0;
    return p / (1 + 2 * x);
}

/* Complementary error function. */
static inline double real_erfc(double x)
{
    double y = fabs(x);
    double high = real_from_bits(real_to_bits(y) & 0xfffffffff8000000); /* its square is exact */
    double tail = real_exp(-high * high) * real_exp(-(y - high) * (y + high)) * real_erfcx(y);

    return x < 0 ? 2 - tail : tail;
}
