/* SPDX-License-Identifier: MIT */
/* A study's `objective` as this runner reads it: which data, which split, which metric, which fixed
 * parameters. */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "worker/xgboost/failure.h"

struct objective {
    char *data;       /* path of the CSV file */
    char delimiter;   /* "," */
    char *label_name; /* or NULL: by index */
    size_t label_index;
    double test_size;    /* 0.2; between 0 and 1 */
    uint64_t split_seed; /* 42 */
    char *metric;        /* or NULL: XGBoost's default for its objective */
    int report_every;    /* 10; rounds between reports */
    json_t *params;      /* owned object: fixed XGBoost parameters; may be empty */
};

/* 0, or -1 with `failure` naming the key, what was wrong and what would be right. Deinit either way. */
[[nodiscard]] int objective_read(struct objective *objective, json_t *json, struct failure *failure);
void objective_deinit(struct objective *objective);
/* The table of keys, as --help shows it. */
void objective_put_help(struct buffer *out);
