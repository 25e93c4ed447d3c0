/* SPDX-License-Identifier: MIT */
/* The CSV reader: what it accepts, what it refuses, and the words it refuses with. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "worker/xgboost/csv.h"
#include "worker/xgboost/csv_number.h"

static struct csv_table table;
static struct failure failure;

/* ---- what goes wrong around the reader */

static const char *written_to; /* this file, as soon as something is read from it */
static size_t no_memory_from;  /* so many bytes at once are not to be had; 0: all are */

ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
    ssize_t got = __real_read(fd, bytes, size > 4 ? 4 : size);
    if (written_to) {
        FILE *file = fopen(written_to, "a");
        assert_non_null(file);
        fputs("3,4\n", file);
        fclose(file);
    }
    return got;
}

void *__wrap_malloc(size_t size)
{
    if (no_memory_from == 0 || size < no_memory_from)
        return __real_malloc(size);
    errno = ENOMEM;
    return NULL;
}

static int read_with(const char *text, struct csv_options options)
{
    csv_table_deinit(&table);
    failure = (struct failure){0};
    size_t size = strlen(text);
    char *padded = calloc(1, size + 1 + CSV_NUMBER_PADDING);
    memcpy(padded, text, size);
    int status = csv_read_text(&table, padded, size, "wine.csv", &options, &failure);
    free(padded);
    return status;
}

/* The label is the column `y`. */
static int read_text(const char *text)
{
    return read_with(text, (struct csv_options){.delimiter = ',', .label_name = "y"});
}

static void assert_refused(const char *text, const char *reason)
{
    assert_int_equal(read_text(text), -1);
    assert_string_equal(failure.reason, reason);
    assert_int_equal(failure.kind, FAILURE_OBJECTIVE);
    assert_null(table.features);
}

static void assert_table(size_t n_rows, size_t n_features, const float *features, const float *labels)
{
    assert_int_equal(table.n_rows, n_rows);
    assert_int_equal(table.n_features, n_features);
    for (size_t i = 0; i < n_rows * n_features; i++)
        assert_true(isnan(features[i]) ? isnan(table.features[i]) : table.features[i] == features[i]);
    assert_memory_equal(table.labels, labels, n_rows * sizeof *labels);
}

static int teardown(void **unused)
{
    (void)unused;
    csv_table_deinit(&table);
    return 0;
}

/* Rows become columns, the label goes apart wherever it stands. */
static void test_layout(void **unused)
{
    (void)unused;
    static const float features[] = {1, 4, 3, 6}, labels[] = {2, 5};
    assert_int_equal(read_text("a,y,b\n1,2,3\n4,5,6\n"), 0);
    assert_table(2, 2, features, labels);
    assert_string_equal(table.feature_names[0], "a");
    assert_string_equal(table.feature_names[1], "b");
}

/* LF and CRLF, with and without the last line's end, a byte order mark, blank lines at the end: the same
 * table. */
static void test_line_ends(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "a,y\n1,2\n3,4\n",         "a,y\n1,2\n3,4",   "a,y\r\n1,2\r\n3,4\r\n",
        "a,y\r\n1,2\r\n3,4",       "a,y\n1,2\r\n3,4", "\xef\xbb\xbf\x61,y\n1,2\n3,4",
        "a,y\n1,2\n3,4\n\n\r\n\n",
    };
    static const float features[] = {1, 3}, labels[] = {2, 4};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(read_text(texts[i]), 0);
        assert_table(2, 1, features, labels);
        assert_string_equal(table.feature_names[0], "a");
    }
}

/* Names and numbers in quotes, with delimiters and doubled quotes inside, and spaces around. */
static void test_quotes_and_spaces(void **unused)
{
    (void)unused;
    static const float features[] = {1, -2.5f}, labels[] = {3};
    assert_int_equal(read_text("\"fixed, \"\"total\"\"\" , b ,\"y\"\n \"1\" ,\t-2.5 , 3 \n"), 0);
    assert_table(1, 2, features, labels);
    assert_string_equal(table.feature_names[0], "fixed, \"total\"");
    assert_string_equal(table.feature_names[1], "b");
}

/* Every spelling of a missing value, in the middle and at the end of a line. */
static void test_missing_values(void **unused)
{
    (void)unused;
    static const char *const words[] = {"",     "NA",   "n/a",  "NaN", "nan",  "-nan",
                                        "null", "NULL", "None", "?",   "\"\"", " "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[64];
        snprintf(text, sizeof text, "a,y,b\n%s,2,%s\n7,5,8\n", words[i], words[i]);
        static const float features[] = {NAN, 7, NAN, 8}, labels[] = {2, 5};
        assert_int_equal(read_text(text), 0);
        assert_table(2, 2, features, labels);
    }
}

/* Other delimiters; a label by index. */
static void test_options(void **unused)
{
    (void)unused;
    static const float features[] = {1, 4, 2, 5}, labels[] = {3, 6};
    assert_int_equal(
        read_with("a;b;c\n1;2;3\n4;5;6", (struct csv_options){.delimiter = ';', .label_index = 2}), 0);
    assert_table(2, 2, features, labels);
    assert_int_equal(
        read_with("a\tb\tc\n1\t2\t3\n4\t5\t6", (struct csv_options){.delimiter = '\t', .label_index = 2}), 0);
    assert_table(2, 2, features, labels);
    assert_int_equal(
        read_with("a b c\n1 2 3\n4 5 6", (struct csv_options){.delimiter = ' ', .label_index = 2}), 0);
    assert_table(2, 2, features, labels);
    assert_int_equal(read_with("a,b\n1,2", (struct csv_options){.delimiter = ',', .label_index = 2}), -1);
    assert_string_equal(failure.reason, "label 2 is outside wine.csv, which has columns 0 to 1");
}

/* A first line of numbers is data, unless it counts 0, 1, 2. */
static void test_no_header(void **unused)
{
    (void)unused;
    static const float features[] = {1, 3}, labels[] = {2, 4}, counted[] = {3};
    const struct csv_options options = {.delimiter = ',', .label_index = 1};
    assert_int_equal(read_with("1,2\n3,4\n", options), 0);
    assert_table(2, 1, features, labels);
    assert_string_equal(table.feature_names[0], "0");
    assert_int_equal(read_with("0,1\n3,4\n", options), 0);
    assert_table(1, 1, counted, labels + 1);
    assert_refused("1,2\n3,4\n",
                   "wine.csv has no header (its first line holds numbers only), so there is no column "
                   "\"y\"; give the label as an index from 0");
}

/* What is wrong, where, and in which words. */
static void test_refusals(void **unused)
{
    (void)unused;
    assert_refused("", "wine.csv is empty");
    assert_refused("\n\n", "wine.csv is empty");
    assert_refused("a,y\n", "wine.csv holds a header and no data");
    assert_refused("a,y", "wine.csv holds a header and no data");
    assert_refused("\na,y\n1,2\n", "wine.csv, line 1 is empty; the columns' names are expected");
    assert_refused("y\n1\n", "wine.csv has one column; a label and at least one feature are needed");
    assert_refused("a;y\n1;2\n",
                   "wine.csv has one column when it is split at \",\"; its first line holds \";\": set "
                   "\"delimiter\": \";\" in the objective");
    assert_refused("a,b\n1,2\n", "wine.csv has no column \"y\"; its last one is \"b\"");
    assert_refused("a,y,y\n1,2,3\n", "wine.csv has 2 columns named \"y\"; give the label as an index from 0");
    assert_refused("a,y\n1,2\n1\n", "wine.csv, line 3 has 1 field, line 1 has 2");
    assert_refused("a,y\n1,2\n1,2,3\n", "wine.csv, line 3 has 3 fields, line 1 has 2");
    assert_refused("a,y\n1,2\n\n3,4\n", "wine.csv, line 3 is empty; blank lines may only stand at the end");
    assert_refused("a,y\n1,2\nred,4\n", "wine.csv, line 3, column 1 (\"a\"): \"red\" is not a number");
    assert_refused("a,y\n1,2\n1.5x,4\n", "wine.csv, line 3, column 1 (\"a\"): \"1.5x\" is not a number");
    assert_refused("a,y\n0x10,2\n", "wine.csv, line 2, column 1 (\"a\"): \"0x10\" is not a number");
    assert_refused("a,y\n1,\n",
                   "wine.csv, line 2, column 2 (\"y\"): \"\" is a missing label; remove the line");
    assert_refused("a,y\n-inf,2\n",
                   "wine.csv, line 2, column 1 (\"a\"): \"-inf\" is infinite, which XGBoost refuses; "
                   "an empty field is a missing value");
    assert_refused("a,y\n1e39,2\n",
                   "wine.csv, line 2, column 1 (\"a\"): \"1e39\" is too large for a 32-bit float");
}

/* A long or binary field is cut to 40 characters and made harmless. */
static void test_excerpt(void **unused)
{
    (void)unused;
    assert_refused("a,y\nx\x01\xff"
                   "3456789012345678901234567890123456789012345,2\n",
                   "wine.csv, line 2, column 1 (\"a\"): \"x??3456789012345678901234567890123456789...\" is "
                   "not a number");
}

/* A label that is nearly there is suggested. */
static void test_nearest_label(void **unused)
{
    (void)unused;
    assert_int_equal(
        read_with("pH,quality\n1,2\n", (struct csv_options){.delimiter = ',', .label_name = "Quality"}), -1);
    assert_string_equal(failure.reason, "wine.csv has no column \"Quality\"; did you mean \"quality\"");
}

/* A file that is not there, and one that is no file. */
static void test_files(void **unused)
{
    (void)unused;
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    failure = (struct failure){0};
    assert_int_equal(csv_read_file(&table, "/nonexistent/wine.csv", &options, &failure), -1);
    assert_string_equal(failure.reason, "cannot open /nonexistent/wine.csv: No such file or directory");
    failure = (struct failure){0};
    assert_int_equal(csv_read_file(&table, "/dev/null", &options, &failure), -1);
    assert_string_equal(failure.reason, "/dev/null is not a file; \"data\" must be the path of a CSV file");
}

static char path[] = "/tmp/test_csv.XXXXXX";

/* A file with this text, or a FIFO without a writer. */
static void make_file(const char *text)
{
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    if (text) {
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    } else {
        unlink(path);
        assert_int_equal(mkfifo(path, 0600), 0);
    }
    close(fd);
}

static int read_file(void)
{
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    csv_table_deinit(&table);
    failure = (struct failure){0};
    int status = csv_read_file(&table, path, &options, &failure);
    unlink(path);
    return status;
}

/* A file is read whole, in as many pieces as it comes. */
static void test_pieces(void **unused)
{
    (void)unused;
    static const float features[] = {1, 3}, labels[] = {2, 4};
    make_file("a,y\n1,2\n3,4\n");
    assert_int_equal(read_file(), 0);
    assert_table(2, 1, features, labels);
}

/* A FIFO is refused, not waited for; so is a directory. */
static void test_no_files(void **unused)
{
    (void)unused;
    make_file(NULL);
    assert_int_equal(read_file(), -1);
    assert_non_null(strstr(failure.reason, " is not a file; "));
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    failure = (struct failure){0};
    assert_int_equal(csv_read_file(&table, "/tmp", &options, &failure), -1);
    assert_string_equal(failure.reason, "/tmp is not a file; \"data\" must be the path of a CSV file");
}

/* A link that has come into the path since it was allowed is not followed, wherever it is. */
static void test_links(void **unused)
{
    (void)unused;
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    char dir[] = "/tmp/test_csv.XXXXXX", link[60], below[120];
    make_file("x,y\n1,2\n");
    assert_non_null(mkdtemp(dir));
    snprintf(link, sizeof link, "%s/link", dir);
    assert_int_equal(symlink(path, link), 0);
    failure = (struct failure){0};
    assert_int_equal(csv_read_file(&table, link, &options, &failure), -1);
    assert_non_null(strstr(failure.reason, "symbolic links"));
    unlink(link);
    assert_int_equal(symlink("/tmp", link), 0);
    snprintf(below, sizeof below, "%s/%s", link, strrchr(path, '/') + 1);
    failure = (struct failure){0};
    assert_int_equal(csv_read_file(&table, below, &options, &failure), -1);
    assert_non_null(strstr(failure.reason, "symbolic links"));
    unlink(link);
    rmdir(dir);
    assert_int_equal(read_file(), 0); /* the same file, by its own name */
}

/* A file that changes while it is read is no data: neither the old nor the new. */
static void test_written_to(void **unused)
{
    (void)unused;
    make_file("a,y\n1,2\n");
    written_to = path;
    assert_int_equal(read_file(), -1);
    written_to = NULL;
    assert_non_null(strstr(failure.reason, " was written to while it was read; write to another file"));
    assert_int_equal(failure.kind, FAILURE_OBJECTIVE);
}

/* Something else than text: UTF-16, say. */
static void test_no_text(void **unused)
{
    (void)unused;
    static const char text[32] = "\xff\xfe"
                                 "a\0,\0y\0\n\0001\0,\0002\0";
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    failure = (struct failure){0};
    assert_int_equal(csv_read_text(&table, text, 14, "wine.csv", &options, &failure), -1);
    assert_string_equal(failure.reason,
                        "wine.csv is no text (UTF-16, Parquet, compressed?); CSV as ASCII or UTF-8 is read");
}

/* Memory for the bytes, or for the table, that cannot be had is a failure of its own class. */
static void test_no_memory(void **unused)
{
    (void)unused;
    char text[6000] = "a,y\n";
    for (size_t size = 4; size + 5 < sizeof text; size += 4)
        strcpy(text + size, "1,2\n");
    make_file(text);
    no_memory_from = 5000;
    assert_int_equal(read_file(), -1);
    assert_int_equal(failure.kind, FAILURE_OOM);
    char *padded = calloc(1, sizeof text + 1 + CSV_NUMBER_PADDING);
    const struct csv_options options = {.delimiter = ',', .label_name = "y"};
    strcpy(padded, text);
    failure = (struct failure){0};
    assert_int_equal(csv_read_text(&table, padded, strlen(text), "wine.csv", &options, &failure), -1);
    no_memory_from = 0;
    free(padded);
    assert_string_equal(failure.reason, "wine.csv: not enough memory for 1498 rows of 2 columns");
    assert_int_equal(failure.kind, FAILURE_OOM);
}

/* A reason that is too long is cut between two characters: it goes out as JSON. */
static void test_long_reason(void **unused)
{
    (void)unused;
    for (int shift = 0; shift < 4; shift++) {
        char label[3000] = "xxx";
        for (size_t i = (size_t)shift; i + 4 < sizeof label; i += 3)
            strcpy(label + i, "\xe2\x82\xac");
        assert_int_equal(read_with("a,b\n1,2\n", (struct csv_options){.delimiter = ',', .label_name = label}),
                         -1);
        json_t *json = json_string(failure.reason);
        assert_non_null(json);
        json_decref(json);
    }
}

/* Every byte of a small file replaced by every other: an answer or a refusal, never a crash (with ASan). */
static void test_damaged_files(void **unused)
{
    (void)unused;
    char text[] = "a,\"y\"\r\n1.5,2\n-3,NA\n4,1e3";
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int byte = 1; byte < 256; byte++) {
            char kept = text[at];
            text[at] = (char)byte;
            if (read_text(text) < 0)
                assert_true(failure.is_set);
            text[at] = kept;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_quotes_and_spaces),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_no_header),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_excerpt),
        cmocka_unit_test(test_nearest_label),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_no_files),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_written_to),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_long_reason),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
