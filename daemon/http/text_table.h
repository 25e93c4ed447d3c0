/* SPDX-License-Identifier: MIT */
/* A table of plain text: columns as wide as their widest cell, within a limit. */
#pragma once

#include <stddef.h>

#include "proto/buffer.h"

#define TEXT_TABLE_MAX_COLUMNS 12
#define TEXT_TABLE_MAX_WIDTH 40 /* characters */

/* Zeroed, with n_columns set, is empty. */
struct text_table {
    size_t n_columns;
    unsigned right; /* bit of each column that is aligned to the right */
    size_t n_cells, n_cut;
    char **cells;                          /* owned */
    size_t widths[TEXT_TABLE_MAX_COLUMNS]; /* in characters */
};

/* The next cell, row by row. Control characters become '?': the text may come from anywhere. Of what is
 * longer than TEXT_TABLE_MAX_WIDTH the middle is left out, which n_cut counts. */
void text_table_add(struct text_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Two spaces between columns, none at a line's end. */
void text_table_put(const struct text_table *table, struct buffer *out);
void text_table_deinit(struct text_table *table);

#define TEXT_TABLE_AUTO __attribute__((cleanup(text_table_deinit)))
