/* SPDX-License-Identifier: MIT */
/* The TPE sampler's estimators, for tests that compare them with Optuna's. */
#pragma once

#include "daemon/sampler/parzen.h"

struct tpe_estimators {
    const struct parzen *below, *above; /* borrowed, settled */
};

/* Those that the last suggestion was made with; `subspace` is 0, or the parameter's index where each is
 * sampled alone (parameters with a single value not counted). */
struct tpe_estimators tpe_estimators(const void *state, size_t subspace);
