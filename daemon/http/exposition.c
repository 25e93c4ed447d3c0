/* SPDX-License-Identifier: MIT */
/* Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "daemon/http/exposition.h"

#include <math.h>
#include <stdio.h>

#include "proto/json_write.h"

void exposition_begin(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_escaped(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            buffer_append_text(out, "\\n");
        else if (*text == '"' || *text == '\\')
            buffer_printf(out, "\\%c", *text);
        else
            buffer_append_char(out, *text);
    }
}

static void put_value(struct buffer *out, double value)
{
    char text[JSON_NUMBER_SIZE] = "NaN";

    if (isinf(value))
        snprintf(text, sizeof text, value > 0 ? "+Inf" : "-Inf");
    else if (!isnan(value))
        json_format_double(text, value);
    buffer_append_text(out, text);
    buffer_append_char(out, '\n');
}

/* `suffix` extends the name, `bound` is a histogram's last label or NULL. */
static void put_line(struct buffer *out, const char *name, const char *suffix,
                     const struct metric_label *labels, size_t n_labels, const char *bound, double value)
{
    const char *before = "{";

    buffer_printf(out, "%s%s", name, suffix);
    for (size_t i = 0; i < n_labels; i++) {
        buffer_printf(out, "%s%s=\"", before, labels[i].name);
        put_escaped(out, labels[i].value);
        buffer_append_char(out, '"');
        before = ",";
    }
    if (bound)
        buffer_printf(out, "%sle=\"%s\"", before, bound);
    buffer_append_text(out, n_labels || bound ? "} " : " ");
    put_value(out, value);
}

void exposition_sample(struct buffer *out, const char *name, const struct metric_label *labels,
                       size_t n_labels, double value)
{
    put_line(out, name, "", labels, n_labels, NULL, value);
}

void exposition_histogram(struct buffer *out, const char *name, const struct metric_label *labels,
                          size_t n_labels, const struct histogram *histogram)
{
    uint64_t n = 0;
    char bound[32];

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        n += histogram->buckets[i];
        snprintf(bound, sizeof bound, "%g", histogram_bounds_s[i]);
        put_line(out, name, "_bucket", labels, n_labels, bound, (double)n);
    }
    put_line(out, name, "_bucket", labels, n_labels, "+Inf", (double)histogram->n);
    put_line(out, name, "_sum", labels, n_labels, NULL, (double)histogram->sum_ns * 1e-9);
    put_line(out, name, "_count", labels, n_labels, NULL, (double)histogram->n);
}

void exposition_single(struct buffer *out, const char *name, const char *type, const char *help, double value)
{
    exposition_begin(out, name, type, help);
    exposition_sample(out, name, NULL, 0, value);
}
