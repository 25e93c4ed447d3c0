/* SPDX-License-Identifier: MIT */
/* The CSV reader: the first byte chooses delimiter and label, the rest is the file. Other forms of the same
 * file give the same table, and each number is the one that strtod() finds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"
#include "worker/xgboost/csv.h"
#include "worker/xgboost/csv_number.h"

static bool read_text(struct csv_table *table, const struct buffer *text, const struct csv_options *options)
{
    struct failure failure = {};
    MEMORY_AUTO char *padded = memory_array(text->size + 1 + CSV_NUMBER_PADDING, 1);

    memcpy(padded, buffer_text(text), text->size);

    bool is_read = csv_read_text(table, padded, text->size, "data.csv", options, &failure) == 0;

    require(is_read || (failure.is_set && failure.reason[0]));
    return is_read;
}

static bool is_same_float(float a, float b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void require_same(const struct csv_table *a, const struct csv_table *b)
{
    require(a->n_rows == b->n_rows && a->n_features == b->n_features);
    for (size_t i = 0; i < a->n_rows * a->n_features; i++)
        require(is_same_float(a->features[i], b->features[i]));
    for (size_t i = 0; i < a->n_rows; i++)
        require(a->labels[i] == b->labels[i]);
    for (size_t i = 0; i < a->n_features; i++)
        require(strcmp(a->feature_names[i], b->feature_names[i]) == 0);
}

static void check_variant(const struct csv_table *table, const struct buffer *text,
                          const struct csv_options *options)
{
    struct csv_table other;

    require(read_text(&other, text, options));
    require_same(table, &other);
    csv_table_deinit(&other);
}

static void check_file(const struct csv_table *table, const struct buffer *text,
                       const struct csv_options *options)
{
    struct failure failure = {};
    struct csv_table other;
    char path[FUZZ_PATH_SIZE];

    fuzz_put_file(buffer_text(text), text->size, path);
    require(csv_read_file(&other, path, options, &failure) == 0);
    require_same(table, &other);
    csv_table_deinit(&other);
}

/* The same with CRLF, where each line ends with LF alone. */
static void check_crlf(const struct csv_table *table, const struct buffer *text,
                       const struct csv_options *options)
{
    BUFFER_AUTO struct buffer crlf = {};

    if (memchr(text->data, '\r', text->size))
        return;
    for (size_t i = 0; i < text->size; i++)
        buffer_append(&crlf, text->data[i] == '\n' ? "\r\n" : &text->data[i], text->data[i] == '\n' ? 2 : 1);
    check_variant(table, &crlf, options);
}

/* Each field in quotes, where there are none. */
static void check_quoted(const struct csv_table *table, const struct buffer *text,
                         const struct csv_options *options)
{
    BUFFER_AUTO struct buffer quoted = {};
    size_t size = text->size;

    if (strpbrk(text->data, "\"\r") || strlen(text->data) != size ||
        strncmp(text->data, "\xef\xbb\xbf", 3) == 0)
        return;
    while (size > 0 && text->data[size - 1] == '\n')
        size--;
    buffer_append_char(&quoted, '"');
    for (size_t i = 0; i < size; i++) {
        bool is_end = text->data[i] == '\n' || text->data[i] == options->delimiter;

        buffer_append(&quoted, is_end ? "\"" : "", is_end);
        buffer_append_char(&quoted, text->data[i]);
        buffer_append(&quoted, is_end ? "\"" : "", is_end);
    }
    buffer_append_char(&quoted, '"');
    check_variant(table, &quoted, options);
}

/* A plain number at the file's end, where a reader could look too far. */
static void check_number(const struct buffer *text, char delimiter)
{
    size_t size = 0;
    float number;

    while (size < text->size && size < 40 && memchr("+-.0123456789eE", text->data[text->size - 1 - size], 15))
        size++;
    if (size == 0)
        return;

    MEMORY_AUTO char *padded = memory_array(size + 1 + CSV_NUMBER_PADDING, 1);

    memcpy(padded, text->data + text->size - size, size);

    char *expected_end;
    float expected = (float)strtod(padded, &expected_end);
    const char *end = csv_number_read_any(padded, &number);

    if (!end)
        return;
    require(end <= padded + size);
    if (end == expected_end)
        require(is_same_float(number, expected));

    /* The quick way, with and without what it looks for behind the number. */
    for (int i = 0; i < 2; i++) {
        float quick;
        char kept = *end;

        padded[end - padded] = i ? delimiter : kept;
        const char *quick_end = csv_number_read(padded, delimiter, &quick);
        padded[end - padded] = kept;
        require(i == 0 || (quick_end == end && is_same_float(quick, number)));
    }
}

static void check_all(const struct buffer *text, const struct csv_options *options)
{
    struct csv_table table;
    BUFFER_AUTO struct buffer more = {};

    check_number(text, options->delimiter);
    if (!read_text(&table, text, options))
        return;
    require(table.n_rows > 0 && table.n_features > 0);
    for (size_t i = 0; i < table.n_rows; i++)
        require(isfinite(table.labels[i]));
    for (size_t i = 0; i < table.n_rows * table.n_features; i++)
        require(!isinf(table.features[i]));
    check_file(&table, text, options);
    check_crlf(&table, text, options);
    check_quoted(&table, text, options);
    buffer_append(&more, text->data, text->size);
    buffer_append_text(&more, "\n\n");
    check_variant(&table, &more, options);
    csv_table_deinit(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char delimiters[] = ",;\t|";
    BUFFER_AUTO struct buffer text = {};

    if (size < 2)
        return 0;

    struct csv_options options = {.delimiter = delimiters[data[0] % 4],
                                  .label_name = data[0] & 4 ? "y" : NULL,
                                  .label_index = data[0] >> 3 & 3};

    buffer_append(&text, data + 1, size - 1);
    check_all(&text, &options);
    return 0;
}
