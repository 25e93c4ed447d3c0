/* SPDX-License-Identifier: MIT */
/* Lines from a pipe: waited for between trials, looked for between rounds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/buffer.h"

enum line_status { LINE_NONE, LINE_READY, LINE_END };

struct line_input {
    int fd;                /* borrowed */
    size_t max_line_bytes; /* a longer line ends the input */
    size_t taken_bytes;    /* of `bytes`: the line given last */
    bool is_at_end;
    struct buffer bytes;
};

/* The next line, without its newline and NUL-terminated; borrowed until the next call. LINE_NONE only where
 * `may_wait` is false and no whole line is there. A last line without newline is dropped: its writer died. */
[[nodiscard]] enum line_status line_input_next(struct line_input *input, bool may_wait, char **line,
                                               size_t *size);
void line_input_deinit(struct line_input *input);
