/* SPDX-License-Identifier: MIT */
/* Unit tests of options: file, command line, their order, --help and the sample file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/options.h"

struct config {
    char *config, *token_file;
    struct option_list listen;
    int64_t slots;
    double lease_s;
    bool is_quiet, help;
    int level;
};

static const char *const levels[] = {"error", "info", "debug", NULL};

static const struct option_row rows[] = {
    {"config", "FILE", OPTION_TEXT, offsetof(struct config, config), .is_command_line_only = true,
     .help = "read settings from FILE"},
    {"listen", "ADDR:PORT", OPTION_LIST, offsetof(struct config, listen), .default_text = "127.0.0.1:8090",
     .help = "address to serve HTTP on; port 0 takes a free one, and many more words that do not fit one "
             "line of help"},
    {"token_file", "FILE", OPTION_TEXT, offsetof(struct config, token_file), .is_reloadable = true,
     .help = "file of tokens"},
    {"slots", "N", OPTION_INT, offsetof(struct config, slots), .default_text = "1", .low = 1, .high = 64,
     .help = "trials at a time"},
    {"max_lease_seconds_of_all", "S", OPTION_NUMBER, offsetof(struct config, lease_s), .default_text = "60",
     .low = 0.5, .high = 100, .unit = "s", .help = "how long"},
    {"quiet", NULL, OPTION_BOOL, offsetof(struct config, is_quiet), .help = "say less"},
    {"level", "LEVEL", OPTION_CHOICE, offsetof(struct config, level), .default_text = "info",
     .choices = levels, .help = "how much to log"},
    {"help", NULL, OPTION_BOOL, offsetof(struct config, help), .is_command_line_only = true,
     .help = "this text"},
    {NULL}};

static char path[] = "/tmp/test_options.XXXXXX";
static char error[300];

static int set_up(void **)
{
    int file = mkstemp(path);

    return file < 0 ? -1 : close(file);
}

static int tear_down(void **)
{
    return unlink(path);
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Reads the file's text (NULL: no file) and up to four arguments. */
static int read_options(struct config *config, const char *file_text, const char *a, const char *b,
                        const char *c, const char *d)
{
    const char *argv[] = {"program", a, b, c, d, NULL};
    int argc = 1;

    while (argv[argc])
        argc++;
    if (file_text)
        write_file(file_text);
    *config = (struct config){};
    error[0] = '\0';
    return options_read(rows, config, argc, (char **)argv, file_text ? path : NULL, error, sizeof error);
}

#define assert_reads(...)              \
    do {                               \
        if (read_options(__VA_ARGS__)) \
            fail_msg("%s", error);     \
    } while (0)

/* Without file and arguments everything is as the table says. */
static void test_defaults(void **)
{
    struct config config;

    assert_reads(&config, NULL, NULL, NULL, NULL, NULL);
    assert_int_equal(config.listen.n_items, 1);
    assert_string_equal(config.listen.items[0], "127.0.0.1:8090");
    assert_null(config.token_file);
    assert_int_equal(config.slots, 1);
    assert_true(config.lease_s == 60);
    assert_false(config.is_quiet);
    assert_int_equal(config.level, 1);
    options_deinit(rows, &config);
    options_deinit(rows, &config); /* safe twice */
}

/* The file replaces defaults; sections, comments and indents are no matter; a list is a repeated key. */
static void test_file(void **)
{
    struct config config;

    assert_reads(&config,
                 "# comment\n[any]\nslots=2 ; both\n token_file = a b \nlisten = x:1\nlisten = y:2\n"
                 "max_lease_seconds_of_all = 0.5\nquiet = on\nlevel = debug\n",
                 NULL, NULL, NULL, NULL);
    assert_int_equal(config.slots, 2);
    assert_string_equal(config.token_file, "a b");
    assert_int_equal(config.listen.n_items, 2);
    assert_string_equal(config.listen.items[1], "y:2");
    assert_true(config.lease_s == 0.5);
    assert_true(config.is_quiet);
    assert_int_equal(config.level, 2);
    options_deinit(rows, &config);
}

/* The command line replaces the file, lists as a whole; both ways to give a value are read. */
static void test_command_line(void **)
{
    static const char text[] = "slots = 2\nlisten = x:1\nlisten = y:2\nquiet = yes\ntoken_file = t\n";
    struct config config;

    assert_reads(&config, text, "--listen=z:3", "--slots", "64", "--quiet=no");
    assert_int_equal(config.listen.n_items, 1);
    assert_string_equal(config.listen.items[0], "z:3");
    assert_int_equal(config.slots, 64);
    assert_false(config.is_quiet);
    options_deinit(rows, &config);

    assert_reads(&config, text, "--quiet", "--listen", "a=b", "--token-file=");
    assert_true(config.is_quiet);
    assert_string_equal(config.listen.items[0], "a=b");
    assert_null(config.token_file);
    options_deinit(rows, &config);
}

/* --config names the file, which must then be there; the default file may be absent; --help reads none. */
static void test_config_file(void **)
{
    struct config config;
    char *const with_default[] = {"program", NULL};

    write_file("slots = 7\n");
    assert_reads(&config, NULL, "--config", path, NULL, NULL);
    assert_int_equal(config.slots, 7);
    options_deinit(rows, &config);

    assert_int_equal(
        options_read(rows, &config, 1, (char **)with_default, "/nowhere/x.conf", error, sizeof error), 0);
    options_deinit(rows, &config);

    assert_int_equal(read_options(&config, NULL, "--config=/nowhere/x.conf", NULL, NULL, NULL), -1);
    assert_string_equal(error, "cannot read /nowhere/x.conf: No such file or directory");
    options_deinit(rows, &config);

    assert_reads(&config, NULL, "--help", "--config=/nowhere/x.conf", NULL, NULL);
    assert_true(config.help);
    options_deinit(rows, &config);
}

/* An error in the file names file, line and key; what is right is said. */
static void test_file_errors(void **)
{
    static const char *const cases[][2] = {
        {"\n\nlisten = a\nslot = 3\n", ":4: unknown key slot; did you mean slots?"},
        {"lease = 3\n", ":1: unknown key lease; --help lists all"},
        {"config = x\n", ":1: unknown key config"},
        {"token-file = x\n", ":1: unknown key token-file; did you mean token_file?"},
        {"slots = 0\n", ":1: slots must be a whole number from 1 to 64, and is \"0\""},
        {"slots = 2x\n", ":1: slots must be a whole number from 1 to 64, and is \"2x\""},
        {"slots =\n", ":1: slots must be a whole number"},
        {"slots = 99999999999999999999\n", ":1: slots must be a whole number"},
        {"max_lease_seconds_of_all = nan\n", ":1: max_lease_seconds_of_all must be a number from 0.5 to 100"},
        {"quiet = maybe\n", ":1: quiet must be yes or no, and is \"maybe\""},
        {"level = loud\n", ":1: level must be error, info or debug, and is \"loud\""},
        {"listen =\n", ":1: listen must be ADDR:PORT, and is \"\""},
        {"slots = 1\n\nslots = 2\n", ":3: slots stands here a second time; leave one out"},
        {"slots = 1\nnonsense\n", ":2: neither \"key = value\" nor"},
        {"[open\nslots = 1\n", ":1: neither"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;

        assert_int_equal(read_options(&config, cases[i][0], NULL, NULL, NULL, NULL), -1);
        if (strncmp(error, path, strlen(path)) != 0 || !strstr(error, cases[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], error, cases[i][1]);
        options_deinit(rows, &config);
    }
}

/* A long line is read whole or refused, never split in two. */
static void test_long_line(void **)
{
    BUFFER_AUTO struct buffer text = {};
    struct config config;

    buffer_printf(&text, "token_file = %01000d\n", 0);
    assert_reads(&config, buffer_text(&text), NULL, NULL, NULL, NULL);
    assert_int_equal(strlen(config.token_file), 1000);
    options_deinit(rows, &config);

    buffer_clear(&text);
    buffer_printf(&text, "slots = 1\ntoken_file = %09000d\n", 0);
    assert_int_equal(read_options(&config, buffer_text(&text), NULL, NULL, NULL, NULL), -1);
    assert_non_null(strstr(error, ":2: the line is longer than"));
    options_deinit(rows, &config);
}

/* Errors on the command line speak of options as they are typed. */
static void test_command_line_errors(void **)
{
    static const char *const cases[][3] = {
        {"--slot", "3", "unknown option --slot; did you mean --slots?"},
        {"--tokenfile=x", NULL, "unknown option --tokenfile; did you mean --token-file?"},
        {"--xyzzy", NULL, "unknown option --xyzzy; --help lists all"},
        {"--slots", NULL, "--slots needs a value: --slots N"},
        {"--slots=65", NULL, "--slots must be a whole number from 1 to 64, and is \"65\""},
        {"--quiet", "yes", "\"yes\" is no option; --help lists them"},
        {"-q", NULL, "\"-q\" is no option; --help lists them"},
        {"--", NULL, "\"--\" is no option; --help lists them"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;

        assert_int_equal(read_options(&config, NULL, cases[i][0], cases[i][1], NULL, NULL), -1);
        assert_string_equal(error, cases[i][2]);
        options_deinit(rows, &config);
    }
}

/* Two readings are compared and exchanged row by row, whatever the row's type. */
static void test_equal_and_swap(void **)
{
    static const char before[] =
        "listen = a\nlisten = b\ntoken_file = t\nslots = 2\nquiet = no\nlevel = error\n";
    static const char after[] =
        "listen = a\nlisten = c\nmax_lease_seconds_of_all = 7\nquiet = yes\nlevel = debug\n";
    struct config running, same, fresh;

    assert_reads(&running, before, NULL, NULL, NULL, NULL);
    assert_reads(&same, before, NULL, NULL, NULL, NULL);
    assert_reads(&fresh, after, NULL, NULL, NULL, NULL);
    for (const struct option_row *row = rows; row->name; row++) {
        assert_true(option_equal(row, &running, &same));
        assert_int_equal(option_equal(row, &running, &fresh), row->is_command_line_only);
        option_swap(row, &running, &fresh);
        assert_true(option_equal(row, &fresh, &same));
    }
    assert_string_equal(running.listen.items[1], "c");
    assert_null(running.token_file);
    assert_true(running.lease_s == 7);
    options_deinit(rows, &running);
    options_deinit(rows, &same);
    options_deinit(rows, &fresh);
}

/* --help has every option with what it takes, in lines of at most 98 columns. */
static void test_help(void **)
{
    BUFFER_AUTO struct buffer out = {};

    options_put_help(rows, &out);
    assert_string_equal(
        buffer_text(&out),
        "  --config FILE               read settings from FILE\n"
        "  --listen ADDR:PORT          address to serve HTTP on; port 0 takes a free one, and many more\n"
        "                              words that do not fit one line of help (may be repeated; default\n"
        "                              127.0.0.1:8090)\n"
        "  --token-file FILE           file of tokens\n"
        "  --slots N                   trials at a time (1 to 64; default 1)\n"
        "  --max-lease-seconds-of-all S\n"
        "                              how long (0.5 to 100 s; default 60)\n"
        "  --quiet                     say less\n"
        "  --level LEVEL               how much to log (error, info or debug; default info)\n"
        "  --help                      this text\n");
}

/* The sample file holds every key of the file, and read as it is changes nothing. */
static void test_sample(void **)
{
    BUFFER_AUTO struct buffer out = {};
    struct config config;

    options_put_sample(rows, &out);
    assert_non_null(
        strstr(buffer_text(&out), "\n# file of tokens (read again on SIGHUP)\n#token_file = FILE\n"));
    assert_non_null(strstr(buffer_text(&out), "\n# say less\n#quiet = no\n"));
    assert_non_null(strstr(buffer_text(&out), "\n# trials at a time (1 to 64)\n#slots = 1\n"));
    assert_null(strstr(buffer_text(&out), "config ="));
    assert_reads(&config, buffer_text(&out), NULL, NULL, NULL, NULL);
    assert_int_equal(config.slots, 1);
    options_deinit(rows, &config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_config_file),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_command_line_errors),
        cmocka_unit_test(test_equal_and_swap),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_sample),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
