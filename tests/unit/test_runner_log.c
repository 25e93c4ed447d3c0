/* SPDX-License-Identifier: MIT */
/* Unit tests of a runner's log lines: levels, pieces, how many are let through, the last words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/runner_log.h"

static char captured[100000];

static int begin_capture(void)
{
    char path[] = "/tmp/test_runner_log.XXXXXX";
    int file = mkstemp(path), old = dup(STDERR_FILENO);

    assert_true(file >= 0 && old >= 0);
    unlink(path);
    assert_true(dup2(file, STDERR_FILENO) >= 0);
    close(file);
    return old;
}

static const char *end_capture(int old)
{
    ssize_t size = pread(STDERR_FILENO, captured, sizeof captured - 1, 0);

    assert_true(size >= 0 && dup2(old, STDERR_FILENO) >= 0);
    close(old);
    captured[size] = '\0';
    return captured;
}

static void put(struct runner_log *log, uint64_t now_ms, const char *line)
{
    runner_log_put(log, now_ms, line, strlen(line));
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text += strlen(what);
    }
    return n;
}

/* A line's level is what it begins with; any other line is info. */
static void test_levels(void **)
{
    struct runner_log log = {.label = "0"};
    int old = begin_capture();

    put(&log, 5000, "error: no room");
    put(&log, 5000, "warning: little room");
    put(&log, 5000, "info: some room");
    put(&log, 5000, "errors are none");
    assert_string_equal(end_capture(old),
                        "error: no room slot=0\nwarning: little room slot=0\ninfo: some room slot=0\n"
                        "info: errors are none slot=0\n");
}

/* A hundred lines a second; how many more there were is said in the next second, and at the end. */
static void test_limit(void **)
{
    struct runner_log log = {.label = "0"};
    int old = begin_capture();

    for (int i = 0; i < 1000; i++)
        put(&log, 5000 + (uint64_t)i / 2, "rubbish");
    put(&log, 6000, "later");
    for (int i = 0; i < 101; i++)
        put(&log, 6001, "more");
    runner_log_end(&log);
    runner_log_end(&log);

    const char *text = end_capture(old);

    assert_int_equal(count(text, "info: rubbish slot=0\n"), 100);
    assert_int_equal(count(text, "info: more slot=0\n"), 99);
    assert_non_null(strstr(text, "warning: 900 more lines dropped slot=0\ninfo: later slot=0\n"));
    assert_non_null(strstr(text, "warning: 2 more lines dropped slot=0\n"));
    assert_int_equal(count(text, "dropped"), 2);
}

/* The last three lines are remembered, also those that were dropped. */
static void test_last_words(void **)
{
    struct runner_log log = {.label = "0"};
    BUFFER_AUTO struct buffer words = {};
    int old = begin_capture();

    runner_log_put_last_words(&log, &words);
    assert_int_equal(words.size, 0);
    for (int i = 0; i < 200; i++)
        put(&log, 5000, "rubbish");
    put(&log, 5000, "a");
    put(&log, 5000, "b");
    end_capture(old);
    runner_log_put_last_words(&log, &words);
    assert_string_equal(buffer_text(&words), "; its last words: rubbish | a | b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_last_words)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
