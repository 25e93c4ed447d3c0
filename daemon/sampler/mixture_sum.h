/* SPDX-License-Identifier: MIT */
/*
 * The inner loop of TPE: sums over all kernels of a mixture, for 24 points at a time, one SIMD lane a point.
 *
 * mixture_sum.c is compiled three times on x86-64, for any CPU, for those with AVX2 and with AVX-512; all
 * agree bit for bit, and mixture_functions_choose() takes the fastest that runs here. Sums go in the order of
 * the rows.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MIXTURE_LANES 24
#define MIXTURE_UNROLL \
    4 /* continuous dimensions are padded to a multiple; mu and inverse_sigma are 0 there */

/* Log masses of the points' cells in one discrete dimension, for kernels of which many are alike. */
struct mixture_table {
    const uint32_t *row;    /* [slot] which row is the kernel's; NULL: no table, compute each */
    const double *log_mass; /* [row * MIXTURE_LANES + lane] */
};

/* Borrowed from a mixture. Coordinates of one kernel lie together, `stride` apart from the next one's, in the
 * order continuous (padded), discrete, categorical. */
struct mixture_rows {
    size_t n_rows;
    const uint32_t *slots; /* [n_rows] which kernels, in the order of the sum */
    size_t stride;
    size_t n_continuous; /* padded */
    size_t n_discrete, n_categorical;
    const double *mu; /* categorical: the choice */
    const double *inverse_sigma;
    const double *log_normalizer;       /* [slot] all dimensions together */
    const struct mixture_table *tables; /* [n_discrete], or NULL for none */
    const double *log_hit;              /* [n_categorical] log probability of the kernel's own choice */
    const double *log_miss;             /* [n_categorical] of each other one */
    /* The weight of row i is ramp_start + i * ramp_slope before n_ramp, and `weight` from there. */
    size_t n_ramp;
    double ramp_start, ramp_slope, weight;
};

/* Where to evaluate: [dimension * MIXTURE_LANES + lane], on the scale of the kernels. */
struct mixture_points {
    const double *continuous;   /* padded dimensions are 0 */
    const double *left, *right; /* discrete: the ends of the point's cell */
    const double *categorical;  /* the choice */
};

/* sum[lane] * e^reference[lane] is the weighted sum so far; the reference is -infinity (and the sum 0) at
 * first. */
struct mixture_total {
    double reference[MIXTURE_LANES];
    double sum[MIXTURE_LANES];
};

struct mixture_functions {
    void (*add_rows)(struct mixture_total *total, const struct mixture_rows *rows,
                     const struct mixture_points *points);
    /* The row of a table: log masses of the cells under one kernel, not normalized. */
    void (*log_masses)(double log_mass[MIXTURE_LANES], const double left[MIXTURE_LANES],
                       const double right[MIXTURE_LANES], double mu, double inverse_sigma);
};

extern const struct mixture_functions mixture_baseline;
#ifdef __x86_64__
extern const struct mixture_functions mixture_avx2, mixture_avx512;
#endif
#define MIXTURE_MAX_BUILDS 3
/* Those that run on this CPU, the fastest first. Returns their number. */
size_t mixture_functions_list(const struct mixture_functions *list[MIXTURE_MAX_BUILDS]);
const struct mixture_functions *mixture_functions_choose(void);
