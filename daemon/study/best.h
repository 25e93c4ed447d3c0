/* SPDX-License-Identifier: MIT */
/* The best trial, or the Pareto front, kept up as trials finish. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/study/trials.h"
#include "proto/spec.h"

/* Zeroed is empty. */
struct best {
    size_t n_numbers, capacity;
    int64_t *numbers; /* owned, ascending; at most one with a single direction */
};

void best_deinit(struct best *best);
/* A feasible COMPLETE trial has come. Costs O(front). */
void best_add(struct best *best, const struct spec *spec, const struct trials *trials,
              const struct trial *trial);
bool best_has(const struct best *best, int64_t number);
