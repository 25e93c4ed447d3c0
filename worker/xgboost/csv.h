/* SPDX-License-Identifier: MIT */
/*
 * CSV files of numbers into one column-major float32 table, the form that XGBoost reads without a copy.
 *
 * One record a line; LF or CRLF; a UTF-8 byte order mark and a missing last newline are fine; blank lines
 * only at the end. The first line holds the names, quoted or not; a first line of numbers only is data
 * (unless it is 0, 1, 2…, which is how pandas names unnamed columns). An empty field, NA, N/A, NaN, null,
 * None (in any case) and ? are missing values: NaN. Everything else must be a finite number.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "worker/xgboost/failure.h"

#define CSV_MAX_COLUMNS 1000000

struct csv_options {
    char delimiter;         /* no letter, digit, quote, sign, point or line end */
    const char *label_name; /* borrowed; NULL: by index */
    size_t label_index;     /* from 0 */
};

struct csv_table {
    size_t n_rows;
    size_t n_features;    /* columns without the label's */
    char **feature_names; /* owned, in the file's order; "0", "1"… where the file has no header */
    float *features;      /* owned; feature f of row r is features[f * n_rows + r] */
    float *labels;        /* owned; never NaN */
};

/* 0, or -1 with `failure` naming file, line and column; the table is then empty. */
[[nodiscard]] int csv_read_file(struct csv_table *table, const char *path, const struct csv_options *options,
                                struct failure *failure);
/* The same from memory; 1 + CSV_NUMBER_PADDING zero bytes must follow the text. `name` stands for the file in
 * errors. */
[[nodiscard]] int csv_read_text(struct csv_table *table, const char *text, size_t size, const char *name,
                                const struct csv_options *options, struct failure *failure);
void csv_table_deinit(struct csv_table *table); /* safe on a zeroed table */
