/* SPDX-License-Identifier: MIT */
/* Unit tests of splitting a command line into words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "worker/command.h"

/* The words as one text, each in brackets; "!" and the problem where there are none. */
static const char *split(const char *text)
{
    static char out[600];
    struct command command;
    struct problem problem = {};

    out[0] = '\0';
    if (command_read(&command, text, &problem))
        strcat(strcpy(out, "!"), problem.detail);
    else
        for (size_t i = 0; i < command.n_words; i++)
            strcat(strcat(strcat(out, "["), command.words[i]), "]");
    if (out[0] != '!')
        assert_null(command.words[command.n_words]);
    command_deinit(&command);
    return out;
}

/* Blanks separate words; quotes and backslashes keep them together, each by its own rule. */
static void test_words(void **)
{
    static const char *const cases[][2] = {
        {"python3 quadratic.py", "[python3][quadratic.py]"},
        {"  a\t b \n", "[a][b]"},
        {"'a b' c", "[a b][c]"},
        {"\"a b\"c", "[a bc]"},
        {"x='1 2'\"3 4\"", "[x=1 23 4]"},
        {"a '' \"\"", "[a][][]"},
        {"a\\ b\\\\", "[a b\\]"},
        {"'it\\s'", "[it\\s]"},
        {"\"say \\\"hi\\\" \\\\ \\n\"", "[say \"hi\" \\ \\n]"},
        {"\"it's\" 'a \"b\"'", "[it's][a \"b\"]"},
        {"$HOME *.py | a>b;c&", "[$HOME][*.py][|][a>b;c&]"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(split(cases[i][0]), cases[i][1]);
}

/* What cannot be split says what is wrong. */
static void test_errors(void **)
{
    assert_string_equal(split(""), "!the command is empty");
    assert_string_equal(split(" \t"), "!the command is empty");
    assert_string_equal(split("a 'b"), "!a quote (') is not closed: 'b");
    assert_string_equal(split("\"a"), "!a quote (\") is not closed: \"a");
    assert_string_equal(split("a \\"), "!a backslash stands at the end: \\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_errors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
