/* SPDX-License-Identifier: MIT */
/* Unit tests of growable buffers and of memory that cannot fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/require.h"

/* A zeroed buffer is empty text, and taking it gives a string all the same. */
static void test_empty(void **)
{
    struct buffer buffer = {};

    assert_string_equal(buffer_text(&buffer), "");
    MEMORY_AUTO char *text = buffer_take(&buffer);
    assert_string_equal(text, "");
    buffer_deinit(&buffer);
}

/* Appended pieces stand one behind the other, with a NUL behind them at every size. */
static void test_append(void **)
{
    BUFFER_AUTO struct buffer buffer = {};

    for (size_t i = 0; i < 1000; i++) {
        buffer_append_char(&buffer, (char)('a' + i % 26));
        assert_int_equal(buffer.size, i + 1);
        assert_int_equal(buffer.data[i + 1], '\0');
        assert_true(buffer.capacity > buffer.size);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(buffer.data[i], 'a' + i % 26);
    buffer_append(&buffer, "\0x", 2);
    assert_int_equal(buffer.size, 1002);
}

/* printf fits texts of any length, those that just fill the spare room included. */
static void test_printf(void **)
{
    char filler[300];

    memset(filler, 'x', sizeof filler);
    for (int length = 0; length < 300; length++) {
        BUFFER_AUTO struct buffer buffer = {};

        buffer_append_text(&buffer, "<");
        buffer_printf(&buffer, "%.*s", length, filler);
        buffer_append_text(&buffer, ">");
        assert_int_equal(buffer.size, length + 2);
        assert_int_equal(strlen(buffer.data), length + 2);
        assert_int_equal(buffer.data[length + 1], '>');
    }
}

/* Consuming takes from the front, and more than there is empties. */
static void test_consume(void **)
{
    BUFFER_AUTO struct buffer buffer = {};

    buffer_append_text(&buffer, "line one\nline two\n");
    buffer_consume(&buffer, 9);
    assert_string_equal(buffer_text(&buffer), "line two\n");
    buffer_consume(&buffer, 100);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer.size, 0);
}

/* Clearing keeps the memory; taking gives it away. */
static void test_clear_and_take(void **)
{
    BUFFER_AUTO struct buffer buffer = {};

    buffer_append_text(&buffer, "old");
    const char *data = buffer.data;
    buffer_clear(&buffer);
    buffer_append_text(&buffer, "new");
    assert_ptr_equal(buffer.data, data);
    MEMORY_AUTO char *text = buffer_take(&buffer);
    assert_string_equal(text, "new");
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
}

/* New memory is zeroed, nothing gives something to free, and copies of text are whole or cut as asked. */
static void test_memory(void **)
{
    MEMORY_AUTO char *zeroed = memory_array(100, 3), *none = memory_new(0), *empty = memory_array(0, 8);

    for (int i = 0; i < 300; i++)
        assert_int_equal(zeroed[i], 0);
    assert_non_null(none);
    assert_non_null(empty);
    assert_null(memory_strdup(NULL));

    MEMORY_AUTO char *whole = memory_strdup("text"), *cut = memory_strndup("text", 2),
                     *more = memory_strndup("text", 9);

    assert_string_equal(whole, "text");
    assert_string_equal(cut, "te");
    assert_string_equal(more, "text");
    zeroed[0] = 7;
    zeroed = memory_resize(zeroed, 1000, 2);
    assert_int_equal(zeroed[0], 7);
}

static int wait_for_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* not the sanitizer's report */
        close(STDERR_FILENO);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void overflow_product(void)
{
    free(memory_resize(NULL, SIZE_MAX / 2, 3));
}

/* A product beyond size_t ends the process instead of wrapping round. */
static void test_overflow_ends(void **)
{
    int status = wait_for_child(overflow_product);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void break_invariant(void)
{
    require(getpid() == 0);
}

/* A broken invariant aborts, in every build. */
static void test_require_aborts(void **)
{
    int status = wait_for_child(break_invariant);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_append),
        cmocka_unit_test(test_printf),         cmocka_unit_test(test_consume),
        cmocka_unit_test(test_clear_and_take), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_overflow_ends),  cmocka_unit_test(test_require_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
