/* SPDX-License-Identifier: MIT */
/* Counts durations. */
#include "proto/histogram.h"

const double histogram_bounds_s[HISTOGRAM_BUCKETS] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                      0.1,    0.25,  0.5,    1,     2.5,  10,    60};

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    size_t i = 0;

    while (i < HISTOGRAM_BUCKETS && (double)ns > histogram_bounds_s[i] * 1e9)
        i++;
    if (i < HISTOGRAM_BUCKETS)
        histogram->buckets[i]++;
    histogram->n++;
    histogram->sum_ns += ns;
}
