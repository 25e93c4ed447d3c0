/* SPDX-License-Identifier: MIT */
/* Quantiles of the normal distribution, whole and truncated: Wichura's algorithm AS 241 (PPND16). */
#include "daemon/sampler/truncated_normal.h"

#include <stddef.h>

#define CENTRAL_HALF_WIDTH 0.425
#define TAIL_SPLIT 5.0
#define TAIL_END 27.0 /* AS 241 holds to here: sqrt(-log p) of the smallest double */
#define N_NEWTON 4
#define SQRT_HALF_PI 1.2533141373155002512

static double evaluate(const double coefficients[8], double x)
{
    double sum = coefficients[7];

    for (size_t i = 7; i-- > 0;)
        sum = sum * x + coefficients[i];
    return sum;
}

/* q = p - 1/2, |q| <= 0.425 */
static double central_quantile(double q)
{
    static const double numerator[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2,
                                        1.9715909503065514427e+3, 1.3731693765509461125e+4,
                                        4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                        3.3430575583588128105e+4, 2.5090809287301226727e+3};
    static const double denominator[8] = {1.0,
                                          4.2313330701600911252e+1,
                                          6.8718700749205790830e+2,
                                          5.3941960214247511077e+3,
                                          2.1213794301586595867e+4,
                                          3.9307895800092710610e+4,
                                          2.8729085735721942674e+4,
                                          5.2264952788528545610e+3};
    double r = CENTRAL_HALF_WIDTH * CENTRAL_HALF_WIDTH - q * q;

    return q * evaluate(numerator, r) / evaluate(denominator, r);
}

/* r = sqrt(-log of the tail's mass) */
static double near_tail_quantile(double r)
{
    static const double numerator[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                        5.76949722146069140550e0,  3.64784832476320460504e0,
                                        1.27045825245236838258e0,  2.41780725177450611770e-1,
                                        2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double denominator[8] = {1.0,
                                          2.05319162663775882187e0,
                                          1.67638483018380384940e0,
                                          6.89767334985100004550e-1,
                                          1.48103976427480074590e-1,
                                          1.51986665636164571966e-2,
                                          5.47593808499534494600e-4,
                                          1.05075007164441684324e-9};

    return evaluate(numerator, r - 1.6) / evaluate(denominator, r - 1.6);
}

static double far_tail_quantile(double r)
{
    static const double numerator[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                        1.78482653991729133580e0,  2.96560571828504891230e-1,
                                        2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                        2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double denominator[8] = {1.0,
                                          5.99832206555887937690e-1,
                                          1.36929880922735805310e-1,
                                          1.48753612908506148525e-2,
                                          7.86869131145613259100e-4,
                                          1.84631831751005468180e-5,
                                          1.42151175831644588870e-7,
                                          2.04426310338993978564e-15};

    return evaluate(numerator, r - 5.0) / evaluate(denominator, r - 5.0);
}

/* log of the upper tail's mass, z >= 0 */
static double log_upper_mass(double z)
{
    return real_log(0.5 * real_erfcx(z * REAL_SQRT_HALF)) - 0.5 * z * z;
}

/* Beyond the doubles: the leading term of the tail's expansion, made exact by Newton steps on log Q. */
static double remote_tail_quantile(double log_p)
{
    double z = sqrt(-2 * log_p);

    for (int i = 0; i < N_NEWTON; i++)
        z += (log_upper_mass(z) - log_p) * SQRT_HALF_PI * real_erfcx(z * REAL_SQRT_HALF);
    return z;
}

double normal_upper_quantile(double log_p)
{
    double r = sqrt(-log_p), q = 0.5 - real_exp(log_p);

    if (q <= CENTRAL_HALF_WIDTH)
        return central_quantile(q);
    if (r <= TAIL_SPLIT)
        return near_tail_quantile(r);
    return r <= TAIL_END ? far_tail_quantile(r) : remote_tail_quantile(log_p);
}

double normal_quantile(double p)
{
    double q = p - 0.5;

    if (fabs(q) <= CENTRAL_HALF_WIDTH)
        return central_quantile(q);
    return q < 0 ? -normal_upper_quantile(real_log(p)) : normal_upper_quantile(real_log1p(-p));
}

/* NaN (the quantile of an empty tail) becomes `low`. */
static double clip(double x, double low, double high)
{
    return x > high ? high : x > low ? x : low;
}

/* 0 < a: all in logarithms, for Q(a) itself may be too small for a double. */
static double right_quantile(double q, double a, double b)
{
    double log_beyond_a = log_upper_mass(a);
    double share = real_exp(normal_log_mass(a, b) - log_beyond_a); /* of what lies beyond a */

    return clip(normal_upper_quantile(log_beyond_a + real_log1p(-q * clip(share, 0, 1))), a, b);
}

/* z >= 0 */
static double upper_mass(double z)
{
    return 0.5 * real_erfcx(z * REAL_SQRT_HALF) * real_exp(-0.5 * z * z);
}

/* a <= 0 <= b: counted from the nearer end, so that nothing cancels. */
static double central_truncated_quantile(double q, double a, double b)
{
    double beyond_a = upper_mass(-a), beyond_b = upper_mass(b), mass = 1 - beyond_a - beyond_b;
    double below = beyond_a + q * mass, above = beyond_b + (1 - q) * mass;

    return clip(below < above ? normal_quantile(below) : -normal_quantile(above), a, b);
}

double truncated_normal_quantile(double q, double a, double b)
{
    if (a > 0)
        return right_quantile(q, a, b);
    return b < 0 ? -right_quantile(q > 0 ? 1 - q : 1 - 0x1p-53, -b, -a) : central_truncated_quantile(q, a, b);
}
