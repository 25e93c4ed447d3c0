/* SPDX-License-Identifier: MIT */
/* Candidates drawn from a Parzen estimator. */
#pragma once

#include "daemon/sampler/parzen.h"

/*
 * values[dimension * n_candidates + candidate]: values of the space inside their distributions. Which kernel
 * a candidate comes from is one draw (under `name_hash`) for all dimensions; where in it, one for each
 * dimension (under the parameter's own name). The estimator is settled.
 */
void parzen_sample(const struct parzen *parzen, const struct space *space, uint64_t seed, int64_t number,
                   uint64_t name_hash, size_t n_candidates, double *values);
