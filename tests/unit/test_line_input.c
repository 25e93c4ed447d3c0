/* SPDX-License-Identifier: MIT */
/* Lines from a pipe, whatever pieces they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/xgboost/line_input.h"

static struct line_input input;
static int write_fd;

static int setup(void **unused)
{
    (void)unused;
    int fds[2];
    if (pipe(fds) < 0)
        return -1;
    input = (struct line_input){.fd = fds[0], .max_line_bytes = 100};
    write_fd = fds[1];
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    close(input.fd);
    close(write_fd);
    line_input_deinit(&input);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(write(write_fd, text, strlen(text)), strlen(text));
}

static void assert_line(const char *expected)
{
    char *line;
    size_t size;
    assert_int_equal(line_input_next(&input, false, &line, &size), LINE_READY);
    assert_string_equal(line, expected);
    assert_int_equal(size, strlen(expected));
}

static void assert_status(enum line_status expected, bool may_wait)
{
    char *line;
    size_t size;
    assert_int_equal(line_input_next(&input, may_wait, &line, &size), expected);
}

/* Two lines in one write, one line in two, nothing where none is whole. */
static void test_pieces(void **unused)
{
    (void)unused;
    assert_status(LINE_NONE, false);
    put("one\ntwo\nthr");
    assert_line("one");
    assert_line("two");
    assert_status(LINE_NONE, false);
    put("ee\n\n");
    assert_line("three");
    assert_line("");
    assert_status(LINE_NONE, false);
}

/* The end comes after the last whole line; a piece of one is dropped. */
static void test_end(void **unused)
{
    (void)unused;
    put("one\ntw");
    close(write_fd);
    assert_line("one");
    assert_status(LINE_END, false);
    assert_status(LINE_END, true);
    write_fd = dup(0);
}

/* A line without end does not grow without end. */
static void test_too_long(void **unused)
{
    (void)unused;
    char text[102];
    memset(text, 'x', 101);
    text[101] = '\0';
    put("short\n");
    put(text);
    assert_line("short");
    assert_status(LINE_END, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
