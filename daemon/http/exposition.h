/* SPDX-License-Identifier: MIT */
/* Writes metrics in Prometheus' text format, version 0.0.4. */
#pragma once

#include <stddef.h>

#include "proto/buffer.h"
#include "proto/histogram.h"

#define EXPOSITION_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metric_label {
    const char *name, *value; /* the value: any UTF-8 */
};

/* The head of a metric: its samples follow it. `type` is gauge, counter or histogram. */
void exposition_begin(struct buffer *out, const char *name, const char *type, const char *help);
void exposition_sample(struct buffer *out, const char *name, const struct metric_label *labels,
                       size_t n_labels, double value);
/* All lines of a histogram, in seconds. */
void exposition_histogram(struct buffer *out, const char *name, const struct metric_label *labels,
                          size_t n_labels, const struct histogram *histogram);
/* Head and sample of a metric without labels. */
void exposition_single(struct buffer *out, const char *name, const char *type, const char *help,
                       double value);
