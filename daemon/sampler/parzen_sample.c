/* SPDX-License-Identifier: MIT */
/* Candidates drawn from a Parzen estimator. */
#include "daemon/sampler/parzen_sample.h"

#include <math.h>

#include "daemon/sampler/philox.h"
#include "daemon/sampler/truncated_normal.h"

static double clip(double x, double low, double high)
{
    return x > high ? high : x > low ? x : low;
}

/* The slot below whose cumulated weight u lies; the prior is the last. */
static uint32_t pick_kernel(const struct parzen *parzen, const struct parzen_weights *weights, double u)
{
    double left = u * weights->total;

    for (size_t i = 0; i < parzen->n_kernels; i++) {
        left -= parzen_weight(weights, i);
        if (left < 0)
            return parzen->by_number[i];
    }
    return PARZEN_PRIOR_SLOT;
}

/* The choices before the kernel's own share one probability, those behind it too. */
static double draw_choice(const struct parzen *parzen, const struct parzen_dimension *dimension,
                          uint32_t slot, double u)
{
    double last = (double)dimension->n_choices - 1;

    if (slot == PARZEN_PRIOR_SLOT)
        return clip(floor(u * (last + 1)), 0, last);

    struct parzen_choice probability = parzen_choice(parzen, dimension);
    double own = parzen->mu[slot * parzen->stride + dimension->column];
    double before = own * probability.miss;

    if (u < before)
        return clip(floor(u / probability.miss), 0, last);
    if (u < before + probability.hit)
        return own;
    return clip(own + 1 + floor((u - before - probability.hit) / probability.miss), 0, last);
}

static double draw_number(const struct parzen *parzen, const struct parzen_dimension *dimension,
                          uint32_t slot, double u)
{
    size_t coordinate = slot * parzen->stride + dimension->column;
    double mu = parzen->mu[coordinate], inverse_sigma = parzen->inverse_sigma[coordinate];
    double z = truncated_normal_quantile(u, (dimension->lower - mu) * inverse_sigma,
                                         (dimension->upper - mu) * inverse_sigma);
    double value = dimension->is_log ? real_exp(mu + z / inverse_sigma) : mu + z / inverse_sigma;

    if (dimension->kind == PARZEN_DISCRETE)
        value = dimension->low + rint((value - dimension->low) / dimension->step) * dimension->step;
    return clip(value, dimension->low, dimension->high);
}

void parzen_sample(const struct parzen *parzen, const struct space *space, uint64_t seed, int64_t number,
                   uint64_t name_hash, size_t n_candidates, double *values)
{
    struct parzen_weights weights = parzen_weights(parzen);
    struct draw_key kernel_key = {
        .seed = seed, .number = number, .name_hash = name_hash, .purpose = DRAW_TPE_KERNEL};
    struct draw_key quantile_key = {.seed = seed, .number = number, .purpose = DRAW_TPE_QUANTILE};

    for (size_t candidate = 0; candidate < n_candidates; candidate++) {
        uint32_t slot = pick_kernel(parzen, &weights, draw_uniform(&kernel_key, (uint32_t)candidate));

        for (size_t d = 0; d < parzen->n_dimensions; d++) {
            const struct parzen_dimension *dimension = &parzen->dimensions[d];

            quantile_key.name_hash = space->params[dimension->param].name_hash;

            double u = draw_uniform(&quantile_key, (uint32_t)candidate);

            values[d * n_candidates + candidate] = dimension->kind == PARZEN_CATEGORICAL
                                                       ? draw_choice(parzen, dimension, slot, u)
                                                       : draw_number(parzen, dimension, slot, u);
        }
    }
}
