/* SPDX-License-Identifier: MIT */
/* The inside of the TPE sampler, for tests and benches. */
#pragma once

#include "daemon/sampler/parzen.h"

struct tpe_estimators {
    const struct parzen *below, *above; /* borrowed, settled */
};

/* Those that the last suggestion was made with; `subspace` is 0, or the parameter's index where each is
 * sampled alone (parameters with a single value not counted). */
struct tpe_estimators tpe_estimators(const void *state, size_t subspace);

/* Another build of the inner loop than the one chosen for this CPU. */
void tpe_use_functions(void *state, const struct mixture_functions *functions);
