/* SPDX-License-Identifier: MIT */
/*
 * What a runner says outside the protocol: lines of the worker's log, and the runner's last words.
 *
 * A line that begins with a level ("error: ") is logged at that level, else as info. A runner that prints
 * without end does not fill the disk: of each second's lines the first hundred are logged, and the rest are
 * counted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"

#define RUNNER_LOG_LAST_WORDS 3
#define RUNNER_LOG_WORDS_BYTES 160 /* of each */

/* Zeroed by the caller, but for the label. */
struct runner_log {
    const char *label;        /* the slot's name; borrowed */
    uint64_t second_began_ms; /* on the loop's clock */
    unsigned n_lines;         /* logged in this second */
    unsigned long n_dropped;  /* and not said yet */
    char last_words[RUNNER_LOG_LAST_WORDS][RUNNER_LOG_WORDS_BYTES];
    size_t n_last_words; /* ever; the newest is at (n - 1) % RUNNER_LOG_LAST_WORDS */
};

/* A line of any length; a long one is logged in pieces. */
void runner_log_put(struct runner_log *log, uint64_t now_ms, const char *line, size_t size);
/* Logs how many lines were dropped. */
void runner_log_end(struct runner_log *log);
/* "; its last words: … | …", or nothing. */
void runner_log_put_last_words(const struct runner_log *log, struct buffer *out);
