/* SPDX-License-Identifier: MIT */
/* How long something takes, counted in buckets, as Prometheus wants it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 14

/* The upper bounds of the buckets in seconds, ascending, each included; what is above the last is counted by
 * `n` alone. */
extern const double histogram_bounds_s[HISTOGRAM_BUCKETS];

/* Zeroed is empty. */
struct histogram {
    uint64_t n, sum_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS]; /* each without those below it */
};

void histogram_add(struct histogram *histogram, uint64_t ns);
