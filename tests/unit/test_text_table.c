/* SPDX-License-Identifier: MIT */
/* Unit tests of plain-text tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/http/text_table.h"

static void assert_text(const struct text_table *table, const char *expected)
{
    BUFFER_AUTO struct buffer out = {};

    text_table_put(table, &out);
    assert_string_equal(buffer_text(&out), expected);
}

/* Columns are as wide as their widest cell, left or right, and no line ends in spaces. */
static void test_alignment(void **)
{
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 3, .right = 2};

    text_table_add(&table, "NAME");
    text_table_add(&table, "N");
    text_table_add(&table, "END");
    text_table_add(&table, "%s", "wine");
    text_table_add(&table, "%d", 100);
    text_table_add(&table, "%s", "");
    text_table_add(&table, "x");
    text_table_add(&table, "7");
    text_table_add(&table, "z");
    assert_text(&table, "NAME    N  END\n"
                        "wine  100\n"
                        "x       7  z\n");
}

/* Widths count characters, not bytes. */
static void test_utf8(void **)
{
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 2};

    text_table_add(&table, "\xe6\x97\xa5\xe6\x9c\xac");
    text_table_add(&table, "|");
    text_table_add(&table, "abc");
    text_table_add(&table, "|");
    assert_text(&table, "\xe6\x97\xa5\xe6\x9c\xac   |\nabc  |\n");
}

/* A name cannot move the cursor, or forge a line. */
static void test_control_characters(void **)
{
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 1};

    text_table_add(&table, "a\nb\x1b[2J\x7f|\xc2\x9b"
                           "2J\xc2\x80|\xc2\xa0\xc2");
    assert_text(&table, "a?b?[2J?|??2J??|\xc2\xa0\xc2\n");
}

/* Of a long text the head and the tail are left, whole characters each; other columns stay where they are. */
static void test_long_cells(void **)
{
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 2};

    text_table_add(&table, "%s", "0123456789012345678901234567890123456789");
    text_table_add(&table, "|");
    assert_int_equal(table.n_cut, 0);
    text_table_add(&table, "%s", "01234567890123456789012345678901234567890");
    text_table_add(&table, "|");
    assert_int_equal(table.n_cut, 1);
    text_table_add(&table, "%0512d\xc3\xa9", 7);
    text_table_add(&table, "|");
    text_table_add(&table, "%s", "x");
    text_table_add(&table, "|");
    assert_text(&table, "0123456789012345678901234567890123456789  |\n"
                        "012345678901234567890123456…901234567890  |\n"
                        "000000000000000000000000000…00000000007\xc3\xa9  |\n"
                        "x                                         |\n");
}

/* Without cells there is no text. */
static void test_empty(void **)
{
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 2};

    assert_text(&table, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_long_cells),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
