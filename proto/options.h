/* SPDX-License-Identifier: MIT */
/*
 * Settings from a file and a command line, driven by one table: one row a key gives parsing, checks, --help,
 * the sample file and the reload rule.
 *
 *     struct option_row rows[] = {
 *         {"listen", "ADDR:PORT", OPTION_LIST, offsetof(struct config, listen),
 *          .default_text = "127.0.0.1:8090", .help = "address to serve HTTP on; port 0 takes a free one"},
 *         ...
 *         {NULL}};
 *
 * A key in the file is the option's name with underscores (max_idle_s), on the command line with dashes
 * (--max-idle-s). The file is INI (inih): sections are allowed and ignored; '#' or ';' begins a comment, ';'
 * behind a space also within a line. A value on the command line replaces the file's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,   /* char *, owned; NULL where not given and without default, or given as "" */
    OPTION_INT,    /* int64_t in [low, high] */
    OPTION_NUMBER, /* double in [low, high] */
    OPTION_BOOL, /* bool: yes, no, true, false, on, off, 1, 0; on the command line `--name` or `--name=no` */
    OPTION_CHOICE, /* int: index into `choices` */
    OPTION_LIST,   /* struct option_list: one item a line, the key repeated; the command line's list replaces
                      the file's */
};

struct option_list {
    size_t n_items;
    char **items; /* owned */
};

struct option_row {
    const char *name;     /* as in the file, with underscores; NULL ends the table */
    const char *argument; /* what --help calls the value: "ADDR:PORT" */
    enum option_type type;
    size_t offset; /* of the member in the caller's struct */
    const char *default_text;
    double low, high;           /* INT, NUMBER: the bounds, always given */
    const char *const *choices; /* CHOICE, NULL-terminated */
    bool is_reloadable;         /* taken over by SIGHUP; else a change is reported and waits for a restart */
    bool is_command_line_only;  /* --check-config, --version: no key of the file */
    const char *unit;           /* "s", "bytes"; or NULL */
    const char *help;           /* one sentence */
};

/* Fills `target` (zeroed by the caller): defaults, then the file named by --config or `default_file` (which
 * may be absent, or NULL), then the command line. 0; or -1 with `error` (size bytes) saying file, line and
 * key, what was wrong, and the nearest known name. `--name VALUE` and `--name=VALUE` are both read. With
 * --help or --version the file is not read. options_deinit() afterwards either way. */
[[nodiscard]] int options_read(const struct option_row *rows, void *target, int argc, char **argv,
                               const char *default_file, char *error, size_t error_size);
void options_deinit(const struct option_row *rows, void *target);
/* For a reload: does this row's member have the same value in both structs? Exchange it between them. */
bool option_equal(const struct option_row *row, const void *a, const void *b);
void option_swap(const struct option_row *row, void *a, void *b);
/* The --help text, the sample configuration file, from the same rows. */
struct buffer;
void options_put_help(const struct option_row *rows, struct buffer *out);
void options_put_sample(const struct option_row *rows, struct buffer *out);
