/* SPDX-License-Identifier: MIT */
/* Reads a CSV file into a table: header, count of lines, then each field straight to its place. */
#include "worker/xgboost/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/memory.h"
#include "proto/problem.h"
#include "worker/xgboost/csv_number.h"

struct span {
    const char *begin, *end;
};

struct csv_parser {
    const char *name; /* of the file */
    const char *next; /* not read yet */
    const char *end;  /* of the last line; *end is a line end or NUL */
    char delimiter;
    bool has_header;
    size_t n_columns;
    size_t label_column;
    char **column_names; /* owned, NULL-terminated */
    float **columns;     /* owned array; where each column's values go */
    size_t row;
    struct failure *failure;
};

#define EXCERPT_SIZE 44
#define LOOKED_AT 4096 /* bytes of the file in which no NUL may be */

/* At most 40 characters of the user's text, harmless in a message: a control or non-ASCII byte is written
 * '?'. */
static const char *excerpt(char out[EXCERPT_SIZE], struct span text)
{
    size_t size = 0;
    for (const char *p = text.begin; p < text.end && size < 40; p++)
        out[size++] = *p >= ' ' && *p <= '~' ? *p : '?';
    strcpy(out + size, text.end - text.begin > 40 ? "..." : "");
    return out;
}

static struct span span_of(const char *text)
{
    return (struct span){text, text + strlen(text)};
}

static bool is_line_end(const struct csv_parser *parser, const char *p)
{
    return p == parser->end || *p == '\n' || (*p == '\r' && p[1] == '\n');
}

static struct span trim(struct span text)
{
    while (text.begin < text.end && (*text.begin == ' ' || *text.begin == '\t'))
        text.begin++;
    while (text.begin < text.end && (text.end[-1] == ' ' || text.end[-1] == '\t'))
        text.end--;
    return text;
}

/* The field at `begin`, without spaces and quotes around it. `*stop` is the delimiter or line end behind it.
 */
static struct span field_at(const struct csv_parser *parser, const char *begin, const char **stop)
{
    const char *p = begin;
    bool is_quoted = false;
    for (; !is_line_end(parser, p) && (is_quoted || *p != parser->delimiter); p++)
        if (*p == '"')
            is_quoted = !is_quoted;
    *stop = p;
    struct span field = trim((struct span){begin, p});
    if (field.end - field.begin >= 2 && *field.begin == '"' && field.end[-1] == '"')
        field = trim((struct span){field.begin + 1, field.end - 1});
    return field;
}

static const char *after_line_end(const char *stop)
{
    return *stop == '\r' ? stop + 2 : stop + 1;
}

/* A field of a header: "" inside quotes is one quote. */
static char *name_from(struct span field)
{
    char *name = memory_strndup(field.begin, (size_t)(field.end - field.begin));
    char *out = name;
    for (const char *p = name; *p; p++) {
        *out++ = *p;
        if (p[0] == '"' && p[1] == '"')
            p++;
    }
    *out = '\0';
    return name;
}

static size_t count_fields(const struct csv_parser *parser, const char *p)
{
    size_t n_fields = 1;
    for (field_at(parser, p, &p); !is_line_end(parser, p); field_at(parser, p + 1, &p))
        n_fields++;
    return n_fields;
}

static bool is_number(struct span field)
{
    float number;
    return csv_number_read(field.begin, *field.end, &number) == field.end;
}

static void index_to_text(char text[24], size_t index)
{
    snprintf(text, 24, "%zu", index);
}

/* Takes the names from the first line, and whether they are data: numbers only, but not the 0, 1, 2… by which
 * pandas names columns that have no names. Returns where the line stops. */
static const char *read_names(struct csv_parser *parser)
{
    bool is_numeric = true, is_enumeration = true;
    const char *begin = parser->next, *stop = begin;
    for (size_t i = 0; i < parser->n_columns; i++, begin = stop + 1) {
        struct span field = field_at(parser, begin, &stop);
        parser->column_names[i] = name_from(field);
        is_numeric = is_numeric && is_number(field);
        char index[24];
        index_to_text(index, i);
        is_enumeration = is_enumeration && strcmp(index, parser->column_names[i]) == 0;
    }
    parser->has_header = !is_numeric || is_enumeration;
    return stop;
}

/* One column means most of the time that another delimiter was meant. */
static int fail_single_column(const struct csv_parser *parser)
{
    static const char likely[] = ",;\t|";
    const char *line = parser->column_names[0];
    const char *other = strpbrk(line, likely);
    if (!other)
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "%s has one column; a label and at least one feature are needed", parser->name);
    char found[] = {*other, '\0'};
    return failure_set(
        parser->failure, FAILURE_OBJECTIVE,
        "%s has one column when it is split at \"%c\"; its first line holds \"%s\": set \"delimiter\": "
        "\"%s\" in the objective",
        parser->name, parser->delimiter, *other == '\t' ? "\\t" : found, *other == '\t' ? "\\t" : found);
}

static int read_header(struct csv_parser *parser)
{
    if (is_line_end(parser, parser->next))
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "%s, line 1 is empty; the columns' names are expected", parser->name);
    size_t n_columns = count_fields(parser, parser->next);
    if (n_columns > CSV_MAX_COLUMNS)
        return failure_set(parser->failure, FAILURE_OBJECTIVE, "%s has %zu columns; at most %d can be read",
                           parser->name, n_columns, CSV_MAX_COLUMNS);
    parser->n_columns = n_columns;
    parser->column_names = memory_array(n_columns + 1, sizeof *parser->column_names);
    const char *stop = read_names(parser);
    if (n_columns == 1)
        return fail_single_column(parser);
    if (parser->has_header) {
        parser->next = stop == parser->end ? stop : after_line_end(stop);
        return 0;
    }
    for (size_t i = 0; i < n_columns; i++) {
        char index[24];
        index_to_text(index, i);
        free(parser->column_names[i]);
        parser->column_names[i] = memory_strdup(index);
    }
    return 0;
}

static int find_label_by_name(struct csv_parser *parser, const char *label)
{
    size_t n_found = 0;
    for (size_t i = 0; i < parser->n_columns; i++)
        if (strcmp(parser->column_names[i], label) == 0) {
            parser->label_column = i;
            n_found++;
        }
    if (n_found == 1)
        return 0;
    if (n_found > 1)
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "%s has %zu columns named \"%s\"; give the label as an index from 0", parser->name,
                           n_found, label);
    if (!parser->has_header)
        return failure_set(
            parser->failure, FAILURE_OBJECTIVE,
            "%s has no header (its first line holds numbers only), so there is no column \"%s\"; give "
            "the label as an index from 0",
            parser->name, label);
    const char *nearest = problem_nearest(label, (const char *const *)parser->column_names);
    char text[EXCERPT_SIZE];
    return failure_set(
        parser->failure, FAILURE_OBJECTIVE, "%s has no column \"%s\"; %s \"%s\"", parser->name, label,
        nearest ? "did you mean" : "its last one is",
        excerpt(text, span_of(nearest ? nearest : parser->column_names[parser->n_columns - 1])));
}

static int find_label(struct csv_parser *parser, const struct csv_options *options)
{
    if (options->label_name)
        return find_label_by_name(parser, options->label_name);
    if (options->label_index >= parser->n_columns)
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "label %zu is outside %s, which has columns 0 to %zu", options->label_index,
                           parser->name, parser->n_columns - 1);
    parser->label_column = options->label_index;
    return 0;
}

/* Lines are short: comparing every byte, which compilers do 16 at a time, beats a memchr() for each line. */
static size_t count_lines(const char *begin, const char *end)
{
    size_t n_lines = 1;
    while (begin < end) {
        size_t n = end - begin < 255 ? (size_t)(end - begin) : 255;
        uint8_t n_here = 0;
        for (size_t i = 0; i < n; i++)
            n_here += begin[i] == '\n';
        n_lines += n_here;
        begin += n;
    }
    return n_lines;
}

/* The table's memory, by the size of the user's data: its lack is reported. */
static int allocate(struct csv_parser *parser, struct csv_table *table)
{
    size_t n_values, size_bytes;
    if (__builtin_mul_overflow(table->n_rows, table->n_features, &n_values) ||
        __builtin_mul_overflow(n_values, sizeof(float), &size_bytes) ||
        !(table->features = malloc(size_bytes)) || !(table->labels = malloc(table->n_rows * sizeof(float))))
        return failure_set(parser->failure, FAILURE_OOM, "%s: not enough memory for %zu rows of %zu columns",
                           parser->name, table->n_rows, parser->n_columns);
    return 0;
}

/* Hands the names to the table and notes where each column's values go. */
static void place_columns(struct csv_parser *parser, struct csv_table *table)
{
    table->feature_names = memory_array(table->n_features, sizeof *table->feature_names);
    parser->columns = memory_array(parser->n_columns, sizeof *parser->columns);
    size_t feature = 0;
    for (size_t i = 0; i < parser->n_columns; i++) {
        if (i == parser->label_column) {
            parser->columns[i] = table->labels;
            continue;
        }
        parser->columns[i] = table->features + feature * table->n_rows;
        table->feature_names[feature++] = memory_strdup(parser->column_names[i]);
    }
}

static int fail_at(const struct csv_parser *parser, size_t column, struct span field, const char *what)
{
    char name[EXCERPT_SIZE], text[EXCERPT_SIZE];
    return failure_set(parser->failure, FAILURE_OBJECTIVE, "%s, line %zu, column %zu (\"%s\"): \"%s\" %s",
                       parser->name, parser->row + 1 + parser->has_header, column + 1,
                       excerpt(name, span_of(parser->column_names[column])), excerpt(text, field), what);
}

static int fail_count(const struct csv_parser *parser, const char *line)
{
    size_t line_number = parser->row + 1 + parser->has_header;
    if (is_line_end(parser, line))
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "%s, line %zu is empty; blank lines may only stand at the end", parser->name,
                           line_number);
    size_t n_fields = count_fields(parser, line);
    return failure_set(parser->failure, FAILURE_OBJECTIVE, "%s, line %zu has %zu field%s, line 1 has %zu",
                       parser->name, line_number, n_fields, n_fields == 1 ? "" : "s", parser->n_columns);
}

static bool is_one_of(struct span field, const char *const *words)
{
    size_t size = (size_t)(field.end - field.begin);
    for (; *words; words++)
        if (strlen(*words) == size && strncasecmp(*words, field.begin, size) == 0)
            return true;
    return false;
}

static bool is_missing(struct span field)
{
    static const char *const words[] = {"", "?", "na", "n/a", "nan", "-nan", "null", "none", NULL};
    return is_one_of(field, words);
}

static bool is_infinity(struct span field)
{
    static const char *const words[] = {"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity", NULL};
    return is_one_of(field, words);
}

/* A field that is not just a number and the expected character behind it: spaces, quotes, missing values,
 * CRLF, the file's end, and everything wrong. Gives where the field stops, or NULL with the failure set. */
static const char *read_odd_field(struct csv_parser *parser, const char *line, const char *begin,
                                  size_t column, float *value)
{
    const char *stop;
    struct span field = field_at(parser, begin, &stop);
    if (is_line_end(parser, stop) != (column + 1 == parser->n_columns)) {
        fail_count(parser, line);
        return NULL;
    }
    if (is_missing(field)) {
        if (column == parser->label_column) {
            fail_at(parser, column, field, "is a missing label; remove the line");
            return NULL;
        }
        *value = NAN;
        return stop;
    }
    if (is_infinity(field)) {
        fail_at(parser, column, field,
                "is infinite, which XGBoost refuses; an empty field is a missing value");
        return NULL;
    }
    if (csv_number_read(field.begin, *field.end, value) != field.end) {
        fail_at(parser, column, field, "is not a number");
        return NULL;
    }
    if (isinf(*value)) {
        fail_at(parser, column, field, "is too large for a 32-bit float");
        return NULL;
    }
    return stop;
}

static int read_line(struct csv_parser *parser)
{
    const char *line = parser->next, *p = line;
    float **columns = parser->columns;
    size_t n_columns = parser->n_columns, row = parser->row;
    char delimiter = parser->delimiter;
    for (size_t column = 0; column < n_columns; column++) {
        float value;
        char expected = column + 1 < n_columns ? delimiter : '\n';
        const char *stop = csv_number_read(p, expected, &value);
        if (__builtin_expect(!stop || *stop != expected || isinf(value), 0) &&
            !(stop = read_odd_field(parser, line, p, column, &value)))
            return -1;
        columns[column][row] = value;
        p = stop + 1;
    }
    parser->next = p[-1] == '\r' ? p + 1 : p;
    return 0;
}

/* Everything behind the header. */
static int read_rows(struct csv_parser *parser, struct csv_table *table)
{
    if (parser->next >= parser->end)
        return failure_set(parser->failure, FAILURE_OBJECTIVE, "%s holds a header and no data", parser->name);
    table->n_rows = count_lines(parser->next, parser->end);
    table->n_features = parser->n_columns - 1;
    if (allocate(parser, table) < 0)
        return -1;
    place_columns(parser, table);
    for (; parser->row < table->n_rows; parser->row++)
        if (read_line(parser) < 0)
            return -1;
    return 0;
}

static int read_table(struct csv_parser *parser, struct csv_table *table, const struct csv_options *options)
{
    if (parser->next == parser->end)
        return failure_set(parser->failure, FAILURE_OBJECTIVE, "%s is empty", parser->name);
    size_t size = (size_t)(parser->end - parser->next);
    if (memchr(parser->next, '\0', size < LOOKED_AT ? size : LOOKED_AT))
        return failure_set(parser->failure, FAILURE_OBJECTIVE,
                           "%s is no text (UTF-16, Parquet, compressed?); CSV as ASCII or UTF-8 is read",
                           parser->name);
    if (read_header(parser) < 0 || find_label(parser, options) < 0)
        return -1;
    return read_rows(parser, table);
}

static void parser_deinit(struct csv_parser *parser)
{
    for (size_t i = 0; i < parser->n_columns; i++)
        free(parser->column_names[i]);
    free(parser->column_names);
    free(parser->columns);
}

int csv_read_text(struct csv_table *table, const char *text, size_t size, const char *name,
                  const struct csv_options *options, struct failure *failure)
{
    *table = (struct csv_table){0};
    size_t bom_size = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (size > bom_size && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    struct csv_parser parser = {.name = name,
                                .next = text + bom_size,
                                .end = text + size,
                                .delimiter = options->delimiter,
                                .failure = failure};
    int status = read_table(&parser, table, options);
    parser_deinit(&parser);
    if (status < 0)
        csv_table_deinit(table);
    return status;
}

void csv_table_deinit(struct csv_table *table)
{
    for (size_t i = 0; table->feature_names && i < table->n_features; i++)
        free(table->feature_names[i]);
    free(table->feature_names);
    free(table->features);
    free(table->labels);
    *table = (struct csv_table){0};
}

static int fail_system(struct failure *failure, const char *path, const char *what)
{
    return failure_set(failure, errno == ENOMEM ? FAILURE_OOM : FAILURE_OBJECTIVE, "%s %s: %s", what, path,
                       strerror(errno));
}

/* Half of an old file and half of a new one, or a part of one that is still being written, is no data. */
static int check_unchanged(int fd, const char *path, const struct stat *before, size_t size,
                           struct failure *failure)
{
    struct stat now;
    if (fstat(fd, &now) < 0)
        return fail_system(failure, path, "cannot read");
    if (size == (size_t)now.st_size && before->st_size == now.st_size &&
        before->st_mtim.tv_sec == now.st_mtim.tv_sec && before->st_mtim.tv_nsec == now.st_mtim.tv_nsec)
        return 0;
    return failure_set(failure, FAILURE_OBJECTIVE,
                       "%s was written to while it was read; write to another file and rename it", path);
}

/* The file's bytes and a NUL. Read, not mapped: a file that shrinks meanwhile must not end the process. */
static char *read_bytes(int fd, const char *path, size_t *size, struct failure *failure)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        fail_system(failure, path, "cannot read");
        return NULL;
    }
    if (!S_ISREG(status.st_mode)) {
        failure_set(failure, FAILURE_OBJECTIVE, "%s is not a file; \"data\" must be the path of a CSV file",
                    path);
        return NULL;
    }
    size_t wanted = (size_t)status.st_size;
    char *bytes = malloc(wanted + 1 + CSV_NUMBER_PADDING);
    if (!bytes) {
        fail_system(failure, path, "cannot read");
        return NULL;
    }
    ssize_t got = 1;
    for (*size = 0; *size < wanted && got > 0; *size += (size_t)got)
        if ((got = read(fd, bytes + *size, wanted - *size)) < 0) {
            fail_system(failure, path, "cannot read");
            free(bytes);
            return NULL;
        }
    if (check_unchanged(fd, path, &status, *size, failure) < 0) {
        free(bytes);
        return NULL;
    }
    memset(bytes + *size, 0, 1 + CSV_NUMBER_PADDING);
    return bytes;
}

/* study-worker has followed all links, and allowed what they lead to: a link that is on the way now was put
 * there since. Nor is a FIFO waited for that nobody writes to. */
static int open_data(const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
    return open(path, flags | O_NOFOLLOW); /* a kernel before 5.6, or one that is told not to */
}

int csv_read_file(struct csv_table *table, const char *path, const struct csv_options *options,
                  struct failure *failure)
{
    *table = (struct csv_table){0};
    int fd = open_data(path);
    if (fd < 0)
        return fail_system(failure, path, "cannot open");
    size_t size;
    char *bytes = read_bytes(fd, path, &size, failure);
    close(fd);
    if (!bytes)
        return -1;
    int status = csv_read_text(table, bytes, size, path, options, failure);
    free(bytes);
    return status;
}
