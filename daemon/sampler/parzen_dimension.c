/* SPDX-License-Identifier: MIT */
/* One dimension of a Parzen estimator. */
#include "daemon/sampler/parzen_dimension.h"

#include "daemon/sampler/real.h"

double parzen_dimension_scale(const struct parzen_dimension *dimension, double value)
{
    return dimension->is_log ? real_log(value) : value;
}

void parzen_dimension_init(struct parzen_dimension *dimension, const struct distribution *distribution,
                           size_t param)
{
    double half_step = distribution->step / 2;

    *dimension =
        (struct parzen_dimension){.param = param,
                                  .kind = distribution->step > 0 ? PARZEN_DISCRETE : PARZEN_CONTINUOUS,
                                  .is_log = distribution->is_log,
                                  .low = distribution->low,
                                  .high = distribution->high,
                                  .step = distribution->step,
                                  .n_choices = distribution->n_choices};
    if (distribution->type == DISTRIBUTION_CATEGORICAL)
        dimension->kind = PARZEN_CATEGORICAL;
    dimension->lower = parzen_dimension_scale(dimension, distribution->low - half_step);
    dimension->upper = parzen_dimension_scale(dimension, distribution->high + half_step);
}
