/* SPDX-License-Identifier: MIT */
/* Unit tests of what a study may call its data, and which file that is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/memory.h"
#include "worker/data_paths.h"

/* root/in/a.csv, root/in/link -> ../out/b.csv, root/out/b.csv, root/in2/c.csv */
static char root[] = "/tmp/test_data_paths.XXXXXX";
static char text[4][200];

static char *at(int i, const char *path)
{
    snprintf(text[i], sizeof text[i], "%s/%s", root, path);
    return text[i];
}

static void make_file(const char *path)
{
    FILE *file = fopen(at(0, path), "w");

    assert_non_null(file);
    fclose(file);
}

static int set_up(void **)
{
    if (!mkdtemp(root) || mkdir(at(0, "in"), 0700) || mkdir(at(0, "out"), 0700) || mkdir(at(0, "in2"), 0700))
        return -1;
    make_file("in/a.csv");
    make_file("out/b.csv");
    make_file("in2/c.csv");
    return symlink(at(1, "out/b.csv"), at(0, "in/link"));
}

static int tear_down(void **)
{
    static const char *const files[] = {"in/a.csv", "in/link", "out/b.csv", "in2/c.csv"};
    static const char *const dirs[] = {"in", "out", "in2", ""};
    int code = 0;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        code |= unlink(at(0, files[i]));
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        code |= rmdir(at(0, dirs[i]));
    return code;
}

/* The path of what `data` names, without the root, or "!" and the problem. */
static const char *resolve(const char *name, const char *dir, const char *data)
{
    static char out[600];
    char *names[] = {(char *)name}, *dirs[] = {(char *)dir};
    struct option_list name_list = {name ? 1 : 0, names}, dir_list = {dir ? 1 : 0, dirs};
    struct data_paths paths;
    struct problem problem = {};
    char *path = NULL;

    if (data_paths_read(&paths, &name_list, &dir_list, &problem) == 0)
        path = data_paths_resolve(&paths, data, &problem);
    data_paths_deinit(&paths);
    if (path)
        snprintf(out, sizeof out, "%s", path + strlen(root));
    else
        snprintf(out, sizeof out, "!%s", problem.detail);
    free(path);
    return out;
}

/* A text without a slash is a name; one that is not there is told with those that are. */
static void test_names(void **)
{
    MEMORY_AUTO char *item = memory_new(200);

    snprintf(item, 200, "wine=%s/in/a.csv", root);
    assert_string_equal(resolve(item, NULL, "wine"), "/in/a.csv");
    assert_non_null(strstr(resolve(item, NULL, "beer"), "no data called \"beer\" (it has: wine)"));
    assert_non_null(strstr(resolve(NULL, NULL, "a.csv"), "(it has: none)"));
    assert_non_null(strstr(resolve("wine", NULL, "wine"), "!data is NAME=PATH"));
    assert_non_null(strstr(resolve("=x", NULL, "wine"), "!data is NAME=PATH"));
    assert_non_null(strstr(resolve("a/b=x", NULL, "wine"), "!data is NAME=PATH"));
    assert_non_null(strstr(resolve("wine=/nowhere", NULL, "wine"), "!data wine=/nowhere: No such file"));
}

/* Without directories no path is taken, there or not, and it is said what would be. */
static void test_no_directories(void **)
{
    static const char *const wanted[] = {"in/a.csv", "in/link", "in/../out/b.csv", "in/missing"};

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_non_null(strstr(resolve(NULL, NULL, at(0, wanted[i])), "this worker takes names only"));
        assert_null(strstr(resolve(NULL, NULL, at(0, wanted[i])), "No such file"));
    }
    assert_non_null(strstr(resolve(NULL, NULL, "/proc/self/environ"), "this worker takes names only"));
}

/* What is neither a file nor a directory is not there, and what looks like a path out is not followed. */
static void test_attacks(void **)
{
    static const char *const wanted[] = {
        "in/fifo",           "in/device",           "in/to-environ", "in/a.csv/", "in/a.csv\n",
        "in/a.csv/../a.csv", "in/%2e%2e/out/b.csv", "in/..",         "in/loop",   "in//../out/b.csv"};
    const char *in = at(1, "in");
    char name[] = "../in/a.csv";

    assert_int_equal(mkfifo(at(0, "in/fifo"), 0600), 0);
    assert_int_equal(symlink("/dev/zero", at(0, "in/device")), 0);
    assert_int_equal(symlink("/proc/self/environ", at(0, "in/to-environ")), 0);
    assert_int_equal(symlink("loop", at(0, "in/loop")), 0);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(resolve(NULL, in, at(0, wanted[i])), "no such file below the directories"))
            fail_msg("%s was taken", wanted[i]);
    assert_non_null(strstr(resolve(NULL, in, "/proc/self/environ"), "no such file below"));
    assert_non_null(strstr(resolve(NULL, in, "file:///etc/passwd"), "no such file below"));
    assert_non_null(strstr(resolve(NULL, in, name), "no such file below"));
    /* A device is none either where everything may be read. */
    assert_non_null(strstr(resolve(NULL, "/", "/dev/zero"), "no such file below"));
    unlink(at(0, "in/fifo"));
    unlink(at(0, "in/device"));
    unlink(at(0, "in/to-environ"));
    unlink(at(0, "in/loop"));
}

/* With directories a path must end up below one: no .., no symbolic link, no name that begins alike gets out.
 */
static void test_directories(void **)
{
    const char *in = at(1, "in");
    static const char *const outside[] = {"out/b.csv", "in/link",    "in/../out/b.csv",
                                          "in2/c.csv", "in/missing", "in"};

    assert_string_equal(resolve(NULL, at(1, ""), at(0, "in/link")), "/out/b.csv");
    in = at(1, "in");
    assert_string_equal(resolve(NULL, in, at(0, "in/a.csv")), "/in/a.csv");
    assert_string_equal(resolve(NULL, in, at(0, "out/../in/a.csv")), "/in/a.csv");
    assert_string_equal(resolve(NULL, "/", at(0, "out/b.csv")), "/out/b.csv");
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_non_null(strstr(resolve(NULL, in, at(0, outside[i])), "no such file below the directories"));
    assert_non_null(strstr(resolve(NULL, at(2, "nowhere"), "x"), "nowhere: No such file"));
}

/* A name is the owner's word: it may lie anywhere. */
static void test_name_outside_directories(void **)
{
    char item[200];

    snprintf(item, sizeof item, "b=%s/out/b.csv", root);
    assert_string_equal(resolve(item, at(1, "in"), "b"), "/out/b.csv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_no_directories),
                                       cmocka_unit_test(test_attacks), cmocka_unit_test(test_directories),
                                       cmocka_unit_test(test_name_outside_directories)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
