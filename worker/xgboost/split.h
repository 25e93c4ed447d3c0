/* SPDX-License-Identifier: MIT */
/*
 * Which rows train and which validate: a function of the number of rows, the share and the seed, the same
 * everywhere.
 *
 * As in scikit-learn, ceil(test_size * n_rows) rows validate. They are chosen by selection sampling (Knuth,
 * TAOCP 2, algorithm 3.4.2 S), every choice equally likely, with SplitMix64 started at the seed as the
 * generator. Each side keeps the file's order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/xgboost/failure.h"

struct split {
    size_t n_rows;
    size_t n_train;         /* at least 1, at most n_rows - 1 */
    uint8_t *is_validation; /* owned; one byte a row */
};

/* 0 < test_size < 1. 0, or -1 with `failure` where a side would be empty or memory is short. */
[[nodiscard]] int split_init(struct split *split, size_t n_rows, double test_size, uint64_t seed,
                             struct failure *failure);
void split_deinit(struct split *split);

/* Reorders one column in place: first the rows that train, then those that validate. `scratch` holds
 * n_rows - n_train floats. */
void split_column(const struct split *split, float *column, float *scratch);
