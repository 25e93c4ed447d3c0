/* SPDX-License-Identifier: MIT */
/* The sum over a mixture's kernels; MIXTURE_FUNCTIONS names the variant that is compiled. */
#include "daemon/sampler/mixture_sum.h"

#include <stdbool.h>

#include "daemon/sampler/truncated_normal.h"

/* A kernel this far (in nats) under the largest term of every lane is left out: e^-46 is 1e-20 of it. */
#define NEGLIGIBLE 46.0

/* Loops over lanes have a constant length and no branch: they become SIMD code. */
#define EACH_LANE(lane) for (size_t lane = 0; lane < MIXTURE_LANES; lane++)

static void add_continuous(double *restrict log_density, const double *restrict x, const double *restrict mu,
                           const double *restrict inverse_sigma)
{
    EACH_LANE(lane)
    {
        double z0 = (x[lane] - mu[0]) * inverse_sigma[0];
        double z1 = (x[lane + MIXTURE_LANES] - mu[1]) * inverse_sigma[1];
        double z2 = (x[lane + 2 * MIXTURE_LANES] - mu[2]) * inverse_sigma[2];
        double z3 = (x[lane + 3 * MIXTURE_LANES] - mu[3]) * inverse_sigma[3];

        log_density[lane] -= 0.5 * ((z0 * z0 + z1 * z1) + (z2 * z2 + z3 * z3));
    }
}

static void log_masses(double *restrict log_mass, const double *restrict left, const double *restrict right,
                       double mu, double inverse_sigma)
{
    EACH_LANE(lane)
    log_mass[lane] = normal_log_mass((left[lane] - mu) * inverse_sigma, (right[lane] - mu) * inverse_sigma);
}

static void add(double *restrict log_density, const double *restrict term)
{
    EACH_LANE(lane)
    log_density[lane] += term[lane];
}

static void add_categorical(double *restrict log_density, const double *restrict choice, double own,
                            double log_hit, double log_miss)
{
    EACH_LANE(lane)
    log_density[lane] += choice[lane] == own ? log_hit : log_miss;
}

static bool is_negligible(const double *restrict log_density, const double *restrict reference)
{
    uint64_t n_near = 0;

    EACH_LANE(lane)
    n_near += log_density[lane] > reference[lane] - NEGLIGIBLE;
    return n_near == 0;
}

/* False where the kernel is negligible. Each dimension can only lower what the normalizers begin with, so
 * that shows early; the costly ones come last. */
static bool kernel_log_density(double *restrict log_density, const struct mixture_total *total,
                               const struct mixture_rows *rows, const struct mixture_points *points,
                               size_t slot)
{
    const double *mu = rows->mu + slot * rows->stride,
                 *inverse_sigma = rows->inverse_sigma + slot * rows->stride;
    const double *discrete_mu = mu + rows->n_continuous, *choice = discrete_mu + rows->n_discrete;
    double log_normalizer = rows->log_normalizer[slot], computed[MIXTURE_LANES];

    EACH_LANE(lane)
    log_density[lane] = log_normalizer;
    for (size_t d = 0; d < rows->n_categorical; d++)
        add_categorical(log_density, points->categorical + d * MIXTURE_LANES, choice[d], rows->log_hit[d],
                        rows->log_miss[d]);
    for (size_t d = 0; d < rows->n_continuous; d += MIXTURE_UNROLL) {
        add_continuous(log_density, points->continuous + d * MIXTURE_LANES, mu + d, inverse_sigma + d);
        if (is_negligible(log_density, total->reference))
            return false;
    }
    for (size_t d = 0; d < rows->n_discrete; d++) {
        const double *term = computed;

        if (rows->tables && rows->tables[d].row)
            term = rows->tables[d].log_mass + rows->tables[d].row[slot] * MIXTURE_LANES;
        else
            log_masses(computed, points->left + d * MIXTURE_LANES, points->right + d * MIXTURE_LANES,
                       discrete_mu[d], inverse_sigma[rows->n_continuous + d]);
        add(log_density, term);
        if (is_negligible(log_density, total->reference))
            return false;
    }
    return true;
}

/* The reference is each lane's largest term so far, so that nothing overflows and the largest does not
 * vanish. */
static void add_term(struct mixture_total *restrict total, const double *restrict log_density, double weight)
{
    EACH_LANE(lane)
    {
        double above = log_density[lane] - total->reference[lane];
        double ratio = real_exp(-fabs(above)), sum = total->sum[lane];

        total->sum[lane] = above > 0 ? sum * ratio + weight : sum + weight * ratio;
        total->reference[lane] = above > 0 ? log_density[lane] : total->reference[lane];
    }
}

static void add_rows(struct mixture_total *total, const struct mixture_rows *rows,
                     const struct mixture_points *points)
{
    double log_density[MIXTURE_LANES];

    for (size_t i = 0; i < rows->n_rows; i++)
        if (kernel_log_density(log_density, total, rows, points, rows->slots[i]))
            add_term(total, log_density,
                     i < rows->n_ramp ? rows->ramp_start + (double)i * rows->ramp_slope : rows->weight);
}

const struct mixture_functions MIXTURE_FUNCTIONS = {.add_rows = add_rows, .log_masses = log_masses};
