/* SPDX-License-Identifier: MIT */
/* Unit tests of log lines: format, levels, control characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/log.h"

static char captured[16384];

/* Points stderr at a fresh file and gives back what it was. */
static int begin_capture(void)
{
    int old = dup(STDERR_FILENO);
    FILE *file = tmpfile();

    assert_non_null(file);
    dup2(fileno(file), STDERR_FILENO);
    fclose(file);
    return old;
}

static const char *end_capture(int old)
{
    ssize_t size = pread(STDERR_FILENO, captured, sizeof captured - 1, 0);

    assert_true(size >= 0);
    captured[size] = '\0';
    dup2(old, STDERR_FILENO);
    close(old);
    return captured;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", text, pattern);
    regfree(&regex);
}

/* Before log_open() lines are plain: level, message, newline. */
static void test_plain(void **)
{
    int old = begin_capture();

    log_warning("disk is nearly full free_bytes=%d", 12);
    assert_string_equal(end_capture(old), "warning: disk is nearly full free_bytes=12\n");
}

/* In a file a line begins with the UTC time and the program's name. */
static void test_time(void **)
{
    unsetenv("JOURNAL_STREAM");
    int old = begin_capture();

    log_open("studyd");
    log_info("listening");
    assert_matches(
        end_capture(old),
        "^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z studyd info: listening\n$");
}

/* Sets JOURNAL_STREAM to stderr's device, and its inode or another. */
static void set_journal(unsigned long long inode_offset)
{
    struct stat status;
    char stream[64];

    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             status.st_ino + inode_offset);
    setenv("JOURNAL_STREAM", stream, 1);
}

/* Where JOURNAL_STREAM names our stderr, lines carry the journal's priority instead. */
static void test_journal(void **)
{
    int old = begin_capture();

    set_journal(0);
    log_open("studyd");
    log_error("gone");
    log_info("back");
    assert_string_equal(end_capture(old), "<3>error: gone\n<6>info: back\n");
}

/* An inherited JOURNAL_STREAM that names another file changes nothing. */
static void test_foreign_journal(void **)
{
    int old = begin_capture();

    set_journal(1);
    log_open("studyd");
    log_info("here");
    assert_matches(end_capture(old), "Z studyd info: here\n$");
}

/* errno survives a log line, even one that cannot be written. */
static void test_errno(void **)
{
    int old = begin_capture(), unwritable = open("/dev/null", O_RDONLY);

    dup2(unwritable, STDERR_FILENO);
    close(unwritable);
    errno = ENOENT;
    log_info("lost");
    assert_int_equal(errno, ENOENT);
    dup2(old, STDERR_FILENO);
    close(old);
}

/* What a peer sends cannot begin a line of its own. */
static void test_control_characters(void **)
{
    int old = begin_capture();

    log_info("reason=\"%s\"", "a\nerror: forged\r\x1b[31m\x7f é");
    assert_matches(end_capture(old), "reason=\"a\\\\nerror: forged\\\\x0d\\\\x1b\\[31m\\\\x7f é\"\n$");
}

/* A line too long is cut and still ends with one newline, even if all of it must be escaped. */
static void test_long_line(void **)
{
    char text[9000];
    int old = begin_capture();

    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    end_capture(old);
    assert_true(strlen(captured) > 3000 && strlen(captured) < 5000);
    assert_ptr_equal(strchr(captured, '\n'), captured + strlen(captured) - 1);
}

/* Lines below the level are not written. */
static void test_levels(void **)
{
    int old = begin_capture();

    log_debug("unseen");
    log_set_level(LOG_LEVEL_WARNING);
    log_info("unseen");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("seen");
    assert_matches(end_capture(old), "^[^\n]*debug: seen\n$");
}

/* A quoted value can be read back: quotes and backslashes in it are escaped; a long one is cut, and still
 * closed. */
static void test_quoted(void **)
{
    char text[LOG_QUOTED_SIZE + 100];

    assert_string_equal(LOG_QUOTED(""), "\"\"");
    assert_string_equal(LOG_QUOTED("no \"x\" in C:\\"), "\"no \\\"x\\\" in C:\\\\\"");
    for (size_t n_plain = 0; n_plain < 2; n_plain++) {
        memset(text, '"', sizeof text - 1);
        memset(text, 'x', n_plain);
        text[sizeof text - 1] = '\0';

        const char *quoted = LOG_QUOTED(text);
        size_t length = strlen(quoted);

        assert_in_range(length, LOG_QUOTED_SIZE - 3, LOG_QUOTED_SIZE - 1);
        assert_int_equal((length - n_plain) % 2, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_quoted),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_foreign_journal),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
