/* SPDX-License-Identifier: MIT */
/*
 * The Parzen estimator of TPE: a mixture of product kernels, one for each observed trial and one for the
 * prior.
 *
 * Kernels are kept as Optuna 5 defines them (bandwidths from the neighbours in each dimension, ties in the
 * order of (value, trial number)). A change moves two neighbours' bandwidths in each dimension and nothing
 * else, once there are about a hundred observations; everything cached is a function of the present set, so
 * it has the same bits however the set came about.
 *
 * The struct is open to parzen_*.c and their tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sampler/mixture_sum.h"
#include "daemon/sampler/parzen_dimension.h"
#include "proto/space.h"

#define PARZEN_PRIOR_SLOT 0

struct parzen {
    size_t n_dimensions;
    struct parzen_dimension *dimensions;
    size_t n_continuous; /* columns, padded to a multiple of MIXTURE_UNROLL */
    size_t n_discrete, n_categorical;
    size_t stride;
    double prior_weight;

    size_t n_kernels;    /* in place, the prior not counted */
    size_t n_pending;    /* inserted, and waiting for parzen_settle() */
    size_t n_slots;      /* in use or free */
    size_t capacity;     /* of slots */
    uint32_t *by_number; /* [n_kernels + n_pending] slots in ascending trial number, then those pending */
    uint32_t *
        *by_value; /* [n_dimensions][n_kernels] slots in ascending (mu, trial number); NULL if categorical */
    uint32_t *leaving; /* [n_leaving] slots still in place, to be taken out at parzen_settle() */
    size_t n_leaving;
    uint32_t *free_slots;
    size_t n_free;
    bool has_new_floor; /* the least bandwidth has changed: all are to be looked at */

    /* by slot */
    int64_t *numbers;
    double *mu;             /* [slot * stride + column]; categorical: the choice */
    double *inverse_sigma;  /* [slot * stride + column] */
    double *log_normalizer; /* [slot * n_dimensions + dimension] */
    double *row_normalizer; /* sum of the row's; NaN while it is out of date */
};

/* Over these parameters of the space, which must have more than one value each. */
[[nodiscard]] struct parzen *parzen_new(const struct space *space, const size_t *params, size_t n_params,
                                        double prior_weight);
void parzen_free(struct parzen *parzen); /* NULL is fine */

/* Has the trial all parameters of this estimator? */
bool parzen_covers(const struct parzen *parzen, const double *params);
/* Both take effect at parzen_settle(). A trial that does not have all parameters is passed over. A number is
 * inserted once, unless it was removed before; it is not removed before it has been settled. */
void parzen_insert(struct parzen *parzen, int64_t number, const double *params);
void parzen_remove(struct parzen *parzen, int64_t number);
void parzen_settle(struct parzen *parzen);

/* Probability of one choice under a kernel that saw it, and of one that it did not see. */
struct parzen_choice {
    double hit, miss;
};
struct parzen_choice parzen_choice(const struct parzen *parzen, const struct parzen_dimension *dimension);

/* The weights in trial-number order, before they are divided by their total: a ramp, then ones, then the
 * prior's. */
struct parzen_weights {
    size_t n_ramp;
    double ramp_start, ramp_slope;
    double total;
};
struct parzen_weights parzen_weights(const struct parzen *parzen);
double parzen_weight(const struct parzen_weights *weights, size_t rank);

size_t parzen_size_bytes(const struct parzen *parzen);
