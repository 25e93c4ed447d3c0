/* SPDX-License-Identifier: MIT */
/* How fast the CSV reader is on one core: MB/s for three kinds of numeric text, the best of 50 runs each. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/buffer.h"
#include "worker/xgboost/csv.h"
#include "worker/xgboost/csv_number.h"

#define TEXT_BYTES (8u << 20)
#define N_RUNS 50
#define N_COLUMNS 12

static uint64_t state = 42;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

/* Like the wine data: few digits, of several lengths. */
static void put_short(struct buffer *text)
{
    buffer_printf(text, "%.*f", uniform() < 0.7 ? 1 : 4, 20 * uniform());
}

static void put_six_digits(struct buffer *text)
{
    buffer_printf(text, "%.6g", 1000 * (uniform() - 0.5));
}

/* printf's "%f". */
static void put_six_decimals(struct buffer *text)
{
    buffer_printf(text, "%f", 10 * (uniform() - 0.5));
}

/* What numpy writes for doubles. */
static void put_full(struct buffer *text)
{
    buffer_printf(text, "%.17g", uniform() - 0.5);
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void measure(const char *name, void (*put)(struct buffer *))
{
    struct buffer text = {0};
    buffer_append_text(&text, "c0;c1;c2;c3;c4;c5;c6;c7;c8;c9;c10;c11\n");
    while (text.size < TEXT_BYTES)
        for (int column = 0; column < N_COLUMNS; column++) {
            put(&text);
            buffer_append_char(&text, column + 1 < N_COLUMNS ? ';' : '\n');
        }
    static const char padding[1 + CSV_NUMBER_PADDING];
    size_t size_bytes = text.size;
    buffer_append(&text, padding, sizeof padding);

    const struct csv_options options = {.delimiter = ';', .label_index = N_COLUMNS - 1};
    double best_s = 1e9;
    for (int run = 0; run < N_RUNS; run++) {
        struct csv_table table;
        struct failure failure = {0};
        double start_s = now_s();
        if (csv_read_text(&table, text.data, size_bytes, name, &options, &failure) < 0) {
            fprintf(stderr, "%s\n", failure.reason);
            exit(EXIT_FAILURE);
        }
        double took_s = now_s() - start_s;
        best_s = took_s < best_s ? took_s : best_s;
        csv_table_deinit(&table);
    }
    printf("| %-27s | %4.0f |\n", name, (double)size_bytes / best_s / 1e6);
    buffer_deinit(&text);
}

int main(void)
{
    puts("The CSV reader on one core, 12 columns, the best of 50 runs.\n");
    puts("| numbers                     | MB/s |\n|---|---|");
    measure("short (7.4, 0.9978)", put_short);
    measure("six digits (-123.456)", put_six_digits);
    measure("six decimals (-1.234567)", put_six_decimals);
    measure("17 digits (0.1234...)", put_full);
}
