/* SPDX-License-Identifier: MIT */
/* Settings from defaults, a file and the command line, driven by one table. */
#include "proto/options.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/problem.h"
#include "proto/require.h"

#define HELP_COLUMN 30
#define HELP_WIDTH 98
#define MAX_ROWS 64
#define MAX_LINE 4096 /* of the file, in bytes, where inih lets us choose */

/* Where a value comes from; a later source replaces what an earlier one said. */
enum source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_COMMAND_LINE };

struct options_reader {
    const struct option_row *rows;
    char *target;
    enum source sources[MAX_ROWS]; /* of each row's present value */
    char *error;
    size_t error_size;
    bool has_failed;
    /* the file */
    const char *path;
    FILE *stream;
    int line;
};

/* Keeps the first error. Returns -1. */
__attribute__((format(printf, 3, 4))) static int fail(struct options_reader *reader, enum source source,
                                                      const char *format, ...)
{
    BUFFER_AUTO struct buffer place = {};
    char what[512];
    va_list arguments;

    if (reader->has_failed)
        return -1;
    reader->has_failed = true;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (source == SOURCE_FILE)
        buffer_printf(&place, "%s:%d: ", reader->path, reader->line);
    snprintf(reader->error, reader->error_size, "%s%s", buffer_text(&place), what);
    return -1;
}

/* max_idle_s is --max-idle-s on the command line. */
static void put_name(struct buffer *out, const char *name, enum source source)
{
    if (source != SOURCE_COMMAND_LINE) {
        buffer_append_text(out, name);
        return;
    }
    buffer_append_text(out, "--");
    for (; *name; name++)
        buffer_append_char(out, *name == '_' ? '-' : *name);
}

/* ---- one value ---- */

static void clear(const struct option_row *row, void *member)
{
    if (row->type == OPTION_TEXT) {
        char **text = member;

        free(*text);
        *text = NULL;
    } else if (row->type == OPTION_LIST) {
        struct option_list *list = member;

        for (size_t i = 0; i < list->n_items; i++)
            free(list->items[i]);
        free(list->items);
        *list = (struct option_list){};
    }
}

/* The parsers give NULL, or what the value must be. `expected` is theirs to use. */
typedef const char *parse_fn(const struct option_row *row, const char *text, void *member,
                             struct buffer *expected);

static const char *parse_text(const struct option_row *row, const char *text, void *member, struct buffer *)
{
    clear(row, member);
    *(char **)member = *text ? memory_strdup(text) : NULL;
    return NULL;
}

static const char *parse_int(const struct option_row *row, const char *text, void *member,
                             struct buffer *expected)
{
    char *end;
    long long number = strtoll(text, &end, 10); /* one that does not fit is the largest, and out of bounds */

    if (end != text && !*end && (double)number >= row->low && (double)number <= row->high) {
        *(int64_t *)member = number;
        return NULL;
    }
    buffer_printf(expected, "a whole number from %.15g to %.15g", row->low, row->high);
    return buffer_text(expected);
}

static const char *parse_number(const struct option_row *row, const char *text, void *member,
                                struct buffer *expected)
{
    char *end;
    double number = strtod(text, &end);

    if (end != text && !*end && number >= row->low && number <= row->high) {
        *(double *)member = number;
        return NULL;
    }
    buffer_printf(expected, "a number from %.15g to %.15g", row->low, row->high);
    return buffer_text(expected);
}

static const char *parse_bool(const struct option_row *, const char *text, void *member, struct buffer *)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *(bool *)member = i % 2;
            return NULL;
        }
    return "yes or no";
}

static void put_choices(const struct option_row *row, struct buffer *out)
{
    for (int i = 0; row->choices[i]; i++)
        buffer_printf(out, "%s%s", i == 0 ? "" : row->choices[i + 1] ? ", " : " or ", row->choices[i]);
}

static const char *parse_choice(const struct option_row *row, const char *text, void *member,
                                struct buffer *expected)
{
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(text, row->choices[i]) == 0) {
            *(int *)member = i;
            return NULL;
        }
    put_choices(row, expected);
    return buffer_text(expected);
}

static const char *parse_item(const struct option_row *row, const char *text, void *member, struct buffer *)
{
    struct option_list *list = member;

    if (!*text)
        return row->argument;
    list->items = memory_resize(list->items, list->n_items + 1, sizeof list->items[0]);
    list->items[list->n_items++] = memory_strdup(text);
    return NULL;
}

static int set_value(struct options_reader *reader, size_t i, const char *text, enum source source)
{
    static parse_fn *const parsers[] = {
        [OPTION_TEXT] = parse_text, [OPTION_INT] = parse_int,       [OPTION_NUMBER] = parse_number,
        [OPTION_BOOL] = parse_bool, [OPTION_CHOICE] = parse_choice, [OPTION_LIST] = parse_item};
    const struct option_row *row = &reader->rows[i];
    void *member = reader->target + row->offset;
    BUFFER_AUTO struct buffer name = {}, expected = {};

    put_name(&name, row->name, source);
    if (source == SOURCE_FILE && reader->sources[i] == SOURCE_FILE && row->type != OPTION_LIST)
        return fail(reader, source, "%s stands here a second time; leave one out", buffer_text(&name));
    if (reader->sources[i] != source)
        clear(row, member);
    reader->sources[i] = source;

    const char *wanted = parsers[row->type](row, text, member, &expected);

    return wanted ? fail(reader, source, "%s must be %s, and is \"%.80s\"", buffer_text(&name), wanted, text)
                  : 0;
}

/* The row's index, or -1 with the error set. `name` is as in the file. */
static int find_row(struct options_reader *reader, const char *name, enum source source)
{
    const char *names[MAX_ROWS + 1] = {};
    BUFFER_AUTO struct buffer text = {};
    size_t n_names = 0;

    for (int i = 0; reader->rows[i].name; i++) {
        if (source == SOURCE_FILE && reader->rows[i].is_command_line_only)
            continue;
        if (strcmp(reader->rows[i].name, name) == 0)
            return i;
        names[n_names++] = reader->rows[i].name;
    }

    const char *nearest = problem_nearest(name, names);

    buffer_append_text(&text, source == SOURCE_FILE ? "unknown key " : "unknown option ");
    put_name(&text, name, source);
    if (nearest) {
        buffer_append_text(&text, "; did you mean ");
        put_name(&text, nearest, source);
        buffer_append_char(&text, '?');
    } else {
        buffer_append_text(&text, "; --help lists all");
    }
    return fail(reader, source, "%s", buffer_text(&text));
}

/* ---- the file ---- */

/* inih's way to get a line: counts them, refuses one that does not fit, of which inih would make two, and
 * takes off the indent, by which inih would continue the line before. */
static char *get_line(char *line, int size, void *context)
{
    struct options_reader *reader = context;
    char *got = fgets(line, size, reader->stream);

    if (!got)
        return NULL;
    reader->line++;
    if (!strchr(line, '\n') && !feof(reader->stream))
        fail(reader, SOURCE_FILE, "the line is longer than %d bytes", size - 2);
    memmove(line, line + strspn(line, " \t"), strlen(line + strspn(line, " \t")) + 1);
    return reader->has_failed ? NULL : got;
}

static int take_pair(void *context, const char *, const char *name, const char *value)
{
    struct options_reader *reader = context;
    int i = find_row(reader, name, SOURCE_FILE);

    return i >= 0 && set_value(reader, (size_t)i, value, SOURCE_FILE) == 0;
}

static int read_file(struct options_reader *reader, const char *path, bool may_be_absent)
{
    reader->path = path;
    reader->stream = fopen(path, "re");
    if (!reader->stream && may_be_absent && errno == ENOENT)
        return 0;
    if (!reader->stream)
        return fail(reader, SOURCE_DEFAULT, "cannot read %s: %s", path, strerror(errno));

#ifdef HAVE_INI_MAX_LINE
    ini_max_line = MAX_LINE;
#endif
    int bad_line = ini_parse_stream(get_line, reader, take_pair, reader);

    if (bad_line != 0 && !reader->has_failed) {
        reader->line = bad_line;
        fail(reader, SOURCE_FILE, "neither \"key = value\" nor \"[section]\" nor a comment (# or ;)");
    }
    fclose(reader->stream);
    return reader->has_failed ? -1 : 0;
}

/* ---- the command line ---- */

struct argument {
    int row;
    const char *value;
};

/* Reads argv[*at] and, where it takes one from there, its value. */
static int read_argument(struct options_reader *reader, int argc, char **argv, int *at,
                         struct argument *argument)
{
    const char *text = argv[(*at)++];

    if (strncmp(text, "--", 2) != 0 || !text[2])
        return fail(reader, SOURCE_COMMAND_LINE, "\"%s\" is no option; --help lists them", text);

    const char *equals = strchr(text, '=');
    MEMORY_AUTO char *name = memory_strndup(text + 2, equals ? (size_t)(equals - text - 2) : strlen(text));

    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    argument->row = find_row(reader, name, SOURCE_COMMAND_LINE);
    if (argument->row < 0)
        return -1;

    const struct option_row *row = &reader->rows[argument->row];

    if (equals)
        argument->value = equals + 1;
    else if (row->type == OPTION_BOOL)
        argument->value = "yes";
    else if (*at < argc)
        argument->value = argv[(*at)++];
    else
        return fail(reader, SOURCE_COMMAND_LINE, "%s needs a value: %s %s", text, text, row->argument);
    return 0;
}

static int set_defaults(struct options_reader *reader)
{
    size_t n_rows = 0;

    while (reader->rows[n_rows].name)
        n_rows++;
    require(n_rows <= MAX_ROWS);
    for (size_t i = 0; i < n_rows; i++)
        if (reader->rows[i].default_text &&
            set_value(reader, i, reader->rows[i].default_text, SOURCE_DEFAULT))
            return -1;
    return 0;
}

static int read_all(struct options_reader *reader, int argc, char **argv, const char *default_file)
{
    MEMORY_AUTO struct argument *arguments = memory_array((size_t)argc + 1, sizeof arguments[0]);
    const char *file = default_file;
    bool asks_only = false;
    int n_arguments = 0;

    for (int at = 1; at < argc; n_arguments++) {
        if (read_argument(reader, argc, argv, &at, &arguments[n_arguments]))
            return -1;

        const char *name = reader->rows[arguments[n_arguments].row].name;

        if (strcmp(name, "config") == 0)
            file = arguments[n_arguments].value;
        asks_only |= strcmp(name, "help") == 0 || strcmp(name, "version") == 0;
    }
    if (set_defaults(reader) || (file && !asks_only && read_file(reader, file, file == default_file)))
        return -1;
    for (int i = 0; i < n_arguments; i++)
        if (set_value(reader, (size_t)arguments[i].row, arguments[i].value, SOURCE_COMMAND_LINE))
            return -1;
    return 0;
}

int options_read(const struct option_row *rows, void *target, int argc, char **argv, const char *default_file,
                 char *error, size_t error_size)
{
    struct options_reader reader = {.rows = rows, .target = target, .error = error, .error_size = error_size};

    return read_all(&reader, argc, argv, default_file);
}

void options_deinit(const struct option_row *rows, void *target)
{
    for (; rows->name; rows++)
        clear(rows, (char *)target + rows->offset);
}

/* ---- two readings ---- */

static const size_t member_sizes[] = {
    [OPTION_TEXT] = sizeof(char *),   [OPTION_INT] = sizeof(int64_t),
    [OPTION_NUMBER] = sizeof(double), [OPTION_BOOL] = sizeof(bool),
    [OPTION_CHOICE] = sizeof(int),    [OPTION_LIST] = sizeof(struct option_list)};

static bool text_equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool list_equal(const struct option_list *a, const struct option_list *b)
{
    if (a->n_items != b->n_items)
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (!text_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

bool option_equal(const struct option_row *row, const void *a, const void *b)
{
    const char *left = (const char *)a + row->offset, *right = (const char *)b + row->offset;

    if (row->type == OPTION_TEXT)
        return text_equal(*(char *const *)left, *(char *const *)right);
    if (row->type == OPTION_LIST)
        return list_equal((const struct option_list *)left, (const struct option_list *)right);
    return memcmp(left, right, member_sizes[row->type]) == 0;
}

void option_swap(const struct option_row *row, void *a, void *b)
{
    char *left = (char *)a + row->offset, *right = (char *)b + row->offset;
    char kept[sizeof(struct option_list)];

    memcpy(kept, left, member_sizes[row->type]);
    memcpy(left, right, member_sizes[row->type]);
    memcpy(right, kept, member_sizes[row->type]);
}

/* ---- help and sample ---- */

/* "help (note; note)": what a row says about itself. */
static void put_description(const struct option_row *row, bool is_sample, struct buffer *out)
{
    const char *separator = " (";

    buffer_append_text(out, row->help);
    if (row->type == OPTION_CHOICE) {
        buffer_append_text(out, separator);
        put_choices(row, out);
        separator = "; ";
    }
    if (row->type == OPTION_INT || row->type == OPTION_NUMBER) {
        buffer_printf(out, "%s%.15g to %.15g%s%s", separator, row->low, row->high, row->unit ? " " : "",
                      row->unit ? row->unit : "");
        separator = "; ";
    }
    if (row->type == OPTION_LIST) {
        buffer_printf(out, "%smay be repeated", separator);
        separator = "; ";
    }
    if (row->default_text && !is_sample && row->type != OPTION_BOOL) {
        buffer_printf(out, "%sdefault %s", separator, row->default_text);
        separator = "; ";
    }
    if (row->is_reloadable && is_sample) {
        buffer_printf(out, "%sread again on SIGHUP", separator);
        separator = "; ";
    }
    if (separator[0] == ';')
        buffer_append_char(out, ')');
}

/* Words from `column` on, each further line behind `indent`. */
static void put_wrapped(struct buffer *out, const char *text, size_t column, const char *indent)
{
    size_t start = column;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (column > start && column + 1 + length > HELP_WIDTH) {
            buffer_printf(out, "\n%s", indent);
            column = start;
        } else if (column > start) {
            buffer_append_char(out, ' ');
            column++;
        }
        buffer_append(out, text, length);
        column += length;
        text += length + (text[length] == ' ');
    }
    buffer_append_char(out, '\n');
}

void options_put_help(const struct option_row *rows, struct buffer *out)
{
    char indent[HELP_COLUMN + 1];

    snprintf(indent, sizeof indent, "%*s", HELP_COLUMN, "");
    for (; rows->name; rows++) {
        BUFFER_AUTO struct buffer left = {}, description = {};

        buffer_append_text(&left, "  ");
        put_name(&left, rows->name, SOURCE_COMMAND_LINE);
        if (rows->type != OPTION_BOOL)
            buffer_printf(&left, " %s", rows->argument);
        put_description(rows, false, &description);
        if (left.size + 2 > HELP_COLUMN)
            buffer_printf(out, "%s\n%s", buffer_text(&left), indent);
        else
            buffer_printf(out, "%-*s", HELP_COLUMN, buffer_text(&left));
        put_wrapped(out, buffer_text(&description), HELP_COLUMN, indent);
    }
}

void options_put_sample(const struct option_row *rows, struct buffer *out)
{
    for (; rows->name; rows++) {
        BUFFER_AUTO struct buffer description = {};
        const char *value = rows->default_text          ? rows->default_text
                            : rows->type == OPTION_BOOL ? "no"
                                                        : rows->argument;

        if (rows->is_command_line_only)
            continue;
        put_description(rows, true, &description);
        buffer_append_text(out, "# ");
        put_wrapped(out, buffer_text(&description), 2, "# ");
        buffer_printf(out, "#%s = %s\n\n", rows->name, value);
    }
}
