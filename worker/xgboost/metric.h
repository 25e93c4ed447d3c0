/* SPDX-License-Identifier: MIT */
/* Evaluation metrics: which way is better, and our own arithmetic for the common ones. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is a larger value of this XGBoost metric better? Names may carry a parameter ("ndcg@10", "map@5-"). */
bool metric_is_maximized(const char *name);

/* Can metric_compute() do this metric, from what the library predicts, for this XGBoost objective? */
bool metric_is_computed(const char *name, const char *objective);

/* The metric of `n` predictions; computed in double. NaN where it is not defined (auc of one class). */
double metric_compute(const char *name, const float *predictions, const float *labels, size_t n);
