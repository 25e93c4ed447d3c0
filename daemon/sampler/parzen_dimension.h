/* SPDX-License-Identifier: MIT */
/* One dimension of a Parzen estimator: a parameter's range on the scale of the kernels. */
#pragma once

#include <stddef.h>

#include "proto/space.h"

enum parzen_kind { PARZEN_CONTINUOUS, PARZEN_DISCRETE, PARZEN_CATEGORICAL, PARZEN_N_KINDS };

struct parzen_dimension {
    size_t param; /* index into a trial's params */
    enum parzen_kind kind;
    size_t column; /* of a kernel's row */
    bool is_log;
    double low, high, step; /* the distribution's */
    double lower, upper;    /* the kernels' range: on their scale, by half a step wider at both ends */
    size_t n_choices;       /* categorical only */
};

void parzen_dimension_init(struct parzen_dimension *dimension, const struct distribution *distribution,
                           size_t param);
/* A value of the parameter on the scale of the kernels. */
double parzen_dimension_scale(const struct parzen_dimension *dimension, double value);
