/* SPDX-License-Identifier: MIT */
/* Unit tests of tokens: the file, its errors, and what a header is worth. */
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

#include "daemon/http/auth.h"

static char path[] = "/tmp/test_auth.XXXXXX";

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
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct auth *load(void)
{
    struct problem problem = {};
    struct auth *auth = auth_load(path, &problem);

    assert_non_null(auth);
    return auth;
}

static void assert_refused(const char *text, const char *detail)
{
    struct problem problem = {};

    write_file(text);
    assert_null(auth_load(path, &problem));
    assert_string_equal(problem.field, "token_file");
    assert_non_null(strstr(problem.detail, path));
    assert_non_null(strstr(problem.detail, detail));
}

/* SHA-256 of "abc", from FIPS 180-2. */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* SHA-256 of no bytes. */
#define SHA_OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static enum role role_of(const struct auth *auth, const char *authorization)
{
    return auth_access(auth, authorization).role;
}

/* A token gives its line's role, under any spelling of the scheme; nothing else gives any. */
static void test_header(void **)
{
    struct auth *auth;

    write_file("# a comment\n\nworker " ABC " node 7\n");
    auth = load();
    assert_int_equal(role_of(auth, "Bearer abc"), ROLE_WORKER);
    assert_int_equal(role_of(auth, "bearer abc"), ROLE_WORKER);
    assert_int_equal(role_of(auth, "Bearer abcd"), ROLE_NONE);
    assert_int_equal(role_of(auth, "Bearer "), ROLE_NONE);
    assert_int_equal(role_of(auth, "Bearer " ABC), ROLE_NONE);
    assert_int_equal(role_of(auth, "Basic abc"), ROLE_NONE);
    assert_int_equal(role_of(auth, "abc"), ROLE_NONE);
    assert_int_equal(role_of(auth, NULL), ROLE_NONE);
    auth_unref(auth);
}

/* A hash counts to its last bit, from the first on. */
static void test_whole_hash(void **)
{
    struct auth *auth;

    write_file("admin a" /* for b */ "a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
               "admin ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ac\n"
               "admin ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015bd\n");
    auth = load();
    assert_int_equal(role_of(auth, "Bearer abc"), ROLE_NONE);
    auth_unref(auth);
}

/* Without a token file everybody is admin. */
static void test_open(void **)
{
    assert_int_equal(role_of(NULL, NULL), ROLE_ADMIN);
}

/* A token is held to the studies of its line, and of no other. */
static void test_scope(void **)
{
    struct auth *auth;
    struct access access;

    write_file("worker " ABC "  studies=wine,exp-*  node 7\nadmin " SHA_OF_NOTHING "\n");
    auth = load();
    access = auth_access(auth, "Bearer abc");
    assert_int_equal(access.role, ROLE_WORKER);
    assert_string_equal(scope_text(access.scope), "wine,exp-*");
    access = auth_access(auth, "Bearer ");
    assert_int_equal(access.role, ROLE_ADMIN);
    assert_null(access.scope);
    auth_unref(auth);
}

/* Who holds it may go on after it was exchanged. */
static void test_reload(void **)
{
    write_file("worker " ABC " studies=wine\n");

    struct auth *auth = load(), *held = auth_ref(auth);
    struct access access = auth_access(auth, "Bearer abc");

    auth_unref(auth);
    assert_true(scope_has(access.scope, "wine"));
    auth_unref(held);
    assert_null(auth_ref(NULL));
}

/* What is wrong with a file is said with its line. */
static void test_bad_files(void **)
{
    assert_refused("", "holds no token");
    assert_refused("# only this\n", "holds no token");
    assert_refused("reader " ABC "\nowner " ABC "\n",
                   ":2: a line begins with reader, worker or admin, not with \"owner\"");
    assert_refused("none " ABC "\n", "not with \"none\"");
    assert_refused("reader\n", ":1: behind the role");
    assert_refused("reader abc\n", ":1: behind the role");
    assert_refused("reader " ABC "00\n", ":1: behind the role");
    assert_refused("reader " ABC "\n\nadmin " ABC "\n", ":3: this token stands on an earlier line");
}

/* A slip of the pen in the list of studies makes no token that may see them all. */
static void test_bad_scopes(void **)
{
    static const char *const bad[] = {
        "study=wine",          "Studies=wine",   "studies=",    "studies=a,,b",
        "studies=wine,",       "studies=,wine",  "studies=a*b", "studies=wine, b",
        "studies=a studies=b", "studies = wine", "node=7"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[200];

        snprintf(line, sizeof line, "admin " SHA_OF_NOTHING "\nreader " ABC " %s\n", bad[i]);
        assert_refused(line, ":2: ");
    }
}

/* A file that is not there is named. */
static void test_absent_file(void **)
{
    struct problem problem = {};

    assert_null(auth_load("/nonexistent/tokens", &problem));
    assert_non_null(strstr(problem.detail, "/nonexistent/tokens: No such file"));
    assert_non_null(strstr(problem.detail, "--new-token admin makes it"));
}

/* One that root has made, say, which studyd's user cannot read: what to do. (Root can read each, and so is
 * somebody else here.) */
static void test_locked_file(void **)
{
    struct problem problem = {};
    bool is_root = geteuid() == 0;

    write_file("admin " ABC "\n");
    assert_int_equal(chmod(path, 0), 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);

    struct auth *auth = auth_load(path, &problem);

    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_null(auth);
    assert_non_null(strstr(problem.detail, "Permission denied; chgrp"));
}

/* New tokens are good for their role, differ, and stand behind an unended last line; the file never holds
 * them. */
static void test_new_tokens(void **)
{
    struct problem problem = {};
    char reader[AUTH_TOKEN_SIZE], admin[AUTH_TOKEN_SIZE], header[100], text[1000] = "";
    FILE *file;

    write_file("worker " ABC " no newline here");
    assert_int_equal(auth_add_token(path, "reader", NULL, reader, &problem), 0);
    assert_int_equal(auth_add_token(path, "admin", "wine,exp-*", admin, &problem), 0);
    assert_string_not_equal(reader, admin);

    struct auth *auth = load();

    snprintf(header, sizeof header, "Bearer %s", reader);
    assert_int_equal(role_of(auth, header), ROLE_READER);
    snprintf(header, sizeof header, "Bearer %s", admin);
    assert_int_equal(role_of(auth, header), ROLE_ADMIN);
    assert_string_equal(scope_text(auth_access(auth, header).scope), "wine,exp-*");
    assert_int_equal(role_of(auth, "Bearer abc"), ROLE_WORKER);
    auth_unref(auth);
    file = fopen(path, "r");
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_null(strstr(text, reader));
    assert_null(strstr(text, admin));
}

/* A file that --new-token makes is its owner's alone; a role that is none makes nothing. */
static void test_new_file(void **)
{
    struct problem problem = {};
    char token[AUTH_TOKEN_SIZE];
    struct stat status;

    unlink(path);
    assert_int_equal(auth_add_token(path, "owner", NULL, token, &problem), -1);
    assert_string_equal(problem.detail, "--new-token must be reader, worker or admin, and is \"owner\"");
    assert_int_equal(auth_add_token(path, "reader", "wine,", token, &problem), -1);
    assert_int_equal(access(path, F_OK), -1);
    problem = (struct problem){};
    assert_int_equal(auth_add_token(path, "reader", NULL, token, &problem), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),      cmocka_unit_test(test_whole_hash),
        cmocka_unit_test(test_open),        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_reload),      cmocka_unit_test(test_bad_scopes),
        cmocka_unit_test(test_bad_files),   cmocka_unit_test(test_absent_file),
        cmocka_unit_test(test_new_tokens),  cmocka_unit_test(test_new_file),
        cmocka_unit_test(test_locked_file),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
