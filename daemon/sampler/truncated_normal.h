/* SPDX-License-Identifier: MIT */
/* The normal distribution between two bounds: masses and quantiles that stay accurate in the far tails. */
#pragma once

#include "daemon/sampler/real.h"

/*
 * log of the standard normal mass between a and b, a < b; accurate for any cell: far in a tail (1e300 sigmas
 * away it is still finite), a whole range, or one so narrow that differences of the distribution function
 * would cancel.
 *
 * With Q(z) = erfcx(z / sqrt 2) e^(-z^2/2) / 2 the mass of z > 0 beyond: on one side of 0 it is Q(a) - Q(b),
 * from which e^(-a^2/2) is taken out; around 0 it is 1 - Q(-a) - Q(b). Narrow cells go by the density at
 * their middle and its even derivatives.
 */
static inline double normal_log_mass(double a, double b)
{
    double width = b - a, middle = 0.5 * (a + b);
    double near = middle < 0 ? -b : a, far = middle < 0 ? -a : b; /* mirrored: far > 0, |near| <= far */
    double half_near2 = 0.5 * near * near, half_far2 = 0.5 * far * far;
    double near_tail = 0.5 * real_erfcx(fabs(near) * REAL_SQRT_HALF) * real_exp(near < 0 ? -half_near2 : 0);
    double far_tail = 0.5 * real_erfcx(far * REAL_SQRT_HALF) *
                      real_exp(near < 0 ? -half_far2 : -0.5 * (far - near) * (far + near));
    double mass = near < 0 ? 1 - near_tail - far_tail : near_tail - far_tail;
    double taken_out = near < 0 ? 0 : half_near2;

    double m2 = middle * middle, w2 = width * width;
    double derivatives =
        (m2 - 1) / 24 + w2 * (((m2 - 6) * m2 + 3) / 1920 + w2 * ((((m2 - 15) * m2 + 45) * m2 - 15) / 322560));
    double narrow = width * (1 + w2 * derivatives);
    int is_narrow = width * (1 + fabs(middle)) < 0.05;

    mass = is_narrow ? narrow : mass;
    taken_out = is_narrow ? 0.5 * m2 + REAL_LOG_SQRT_2PI : taken_out;
    return real_log(mass) - taken_out;
}

/* Inverse of the standard normal distribution function, 0 < p < 1. */
double normal_quantile(double p);
/* The z with Q(z) = e^log_p: the same for upper tails too small for a double, log_p <= log 1/2. */
double normal_upper_quantile(double log_p);
/* The point z in [a, b], a < b, below which the share q of the mass between them lies; 0 <= q < 1. */
double truncated_normal_quantile(double q, double a, double b);
