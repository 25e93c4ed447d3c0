/* SPDX-License-Identifier: MIT */
/*
 * The data sets of this process: read and split once, binned once for each max_bin, kept for the trials that
 * follow.
 *
 * The table is one column-major buffer whose training rows stand before its validation rows, so both are
 * views of it: the same strides, another first row.
 */
#pragma once

#include <stdint.h>

#include "worker/xgboost/csv.h"
#include "worker/xgboost/objective.h"
#include "worker/xgboost/xgboost_library.h"

#define DATASET_MAX_MATRICES 8 /* distinct max_bin kept at a time */

struct matrix_pair {
    int64_t max_bin; /* 0: not binned, for the tree methods that want the values */
    uint64_t last_use;
    xgboost_matrix train, validation; /* owned; NULL: the place is free */
};

struct dataset {
    char *key; /* owned; file, delimiter, label and split as text; NULL: not loaded */
    uint64_t last_use;
    struct csv_table table;
    size_t n_train, n_validation;
    uint64_t fingerprint; /* of the values and the split: FNV-1a over the floats; 0: not computed yet */
    uint64_t n_uses;
    struct matrix_pair matrices[DATASET_MAX_MATRICES];
};

/* Zeroed, it is empty. Two data sets at most: a worker may serve two studies in turn. */
struct dataset_cache {
    uint64_t n_uses;
    struct dataset datasets[2];
};

/* The objective's data set, loaded if it is not there or the file has changed: borrowed, valid until the next
 * call. NULL with `failure`. */
struct dataset *dataset_open(struct dataset_cache *cache, const struct xgboost_library *library,
                             const struct objective *objective, struct failure *failure);
void dataset_cache_deinit(struct dataset_cache *cache, const struct xgboost_library *library);

/* Its matrices with these bins (0: not binned): borrowed, valid until the next call. NULL with `failure`. */
const struct matrix_pair *dataset_get_matrices(struct dataset *dataset, const struct xgboost_library *library,
                                               int64_t max_bin, int nthread, struct failure *failure);

/* Of the validation rows. */
const float *dataset_validation_labels(const struct dataset *dataset);
uint64_t dataset_fingerprint(struct dataset *dataset);
