/* SPDX-License-Identifier: MIT */
/* Unit tests of studyd's settings: what stands for what is not given, what is refused, what a reload takes
 * over. */
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

#include "daemon/config.h"
#include "proto/buffer.h"

#define MAX_ARGUMENTS 10

static char directory[] = "/tmp/test_config.XXXXXX";
static char file[64], tokens[64];

static void write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

static int set_up(void **)
{
    static const char *const variables[] = {"STATE_DIRECTORY", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY"};

    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    setenv("HOME", "/home/me", 1);
    write_file(file, "");
    return 0;
}

static int set_up_all(void **)
{
    if (!mkdtemp(directory))
        return -1;
    snprintf(file, sizeof file, "%s/studyd.conf", directory);
    snprintf(tokens, sizeof tokens, "%s/tokens", directory);
    write_file(tokens, "");
    return 0;
}

static int tear_down_all(void **)
{
    unlink(file);
    unlink(tokens);
    return rmdir(directory);
}

/* Reads `--config FILE` and the arguments (NULL-terminated). */
static int read_config(struct config *config, struct problem *problem, const char *const *arguments)
{
    char *argv[MAX_ARGUMENTS] = {"studyd", "--config", file};
    int argc = 3;

    for (; *arguments; arguments++)
        argv[argc++] = (char *)*arguments;
    *config = (struct config){};
    *problem = (struct problem){};
    return config_read(config, argc, argv, problem);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void assert_refused(const char *const *arguments, const char *detail)
{
    struct problem problem;
    struct config config;

    assert_int_equal(read_config(&config, &problem, arguments), -1);
    assert_non_null(strstr(problem.detail, detail));
    config_deinit(&config);
}

static void assert_store(const char *expected)
{
    struct problem problem;
    struct config config;

    assert_int_equal(read_config(&config, &problem, ARGUMENTS()), 0);
    assert_string_equal(config.store, expected);
    config_deinit(&config);
}

/* Without a store: SQLite in systemd's directory, else XDG's, else the home's; else it is asked for. */
static void test_default_store(void **)
{
    assert_store("sqlite:////home/me/.local/state/studyd/studyd.db");
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_store("sqlite:////home/me/.local/state/studyd/studyd.db");
    setenv("XDG_STATE_HOME", "/xdg", 1);
    assert_store("sqlite:////xdg/studyd/studyd.db");
    setenv("STATE_DIRECTORY", "/var/lib/studyd:/var/lib/other", 1);
    assert_store("sqlite:////var/lib/studyd/studyd.db");
    write_file(file, "state_dir = /srv\n");
    assert_store("sqlite:////srv/studyd.db");
    set_up(NULL);
    unsetenv("HOME");
    assert_refused(ARGUMENTS(), "--state-dir");
}

/* A store that is given needs no state directory. */
static void test_given_store(void **)
{
    struct problem problem;
    struct config config;

    unsetenv("HOME");
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--store", "mysql://u@h/d")), 0);
    assert_string_equal(config.store, "mysql://u@h/d");
    assert_null(config.state_dir);
    assert_int_equal(config_make_state_dir(&config, &problem), 0);
    config_deinit(&config);
}

/* Beyond loopback there must be tokens, or somebody who says otherwise. */
static void test_beyond_loopback(void **)
{
    struct problem problem;
    struct config config;

    assert_refused(ARGUMENTS("--listen", "0.0.0.0:8090"), "--allow-unauthenticated");
    assert_refused(ARGUMENTS("--listen", "127.0.0.1:1", "--listen", "[::]:8090"), "listen [::]:8090");
    assert_int_equal(
        read_config(&config, &problem, ARGUMENTS("--listen", "0.0.0.0:1", "--allow-unauthenticated")), 0);
    config_deinit(&config);
    assert_int_equal(
        read_config(&config, &problem, ARGUMENTS("--listen", "0.0.0.0:1", "--token-file", tokens)), 0);
    config_deinit(&config);
    assert_refused(ARGUMENTS("--listen", "8090"), "ADDR:PORT");
}

/* The password comes from the file's first line, or from systemd's credential of that name. */
static void test_password(void **)
{
    char credential[80];
    struct problem problem;
    struct config config;

    write_file(tokens, "s3cret with space \nrest\n");
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--password-file", tokens)), 0);
    assert_string_equal(config.password, "s3cret with space ");
    config_deinit(&config);
    write_file(tokens, "\n");
    assert_refused(ARGUMENTS("--password-file", tokens), "no password in the first line");
    assert_refused(ARGUMENTS("--password-file", "/nonexistent"), "No such file");

    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_int_equal(read_config(&config, &problem, ARGUMENTS()), 0);
    assert_null(config.password);
    config_deinit(&config);
    snprintf(credential, sizeof credential, "%s/studyd.password", directory);
    write_file(credential, "from systemd\n");
    assert_int_equal(read_config(&config, &problem, ARGUMENTS()), 0);
    assert_string_equal(config.password, "from systemd");
    config_deinit(&config);
    unlink(credential);
}

/* systemd's credentials stand for the files that no setting names. */
static void test_credentials(void **)
{
    static const char *const names[] = {"studyd.tokens", "studyd.cert", "studyd.key"};
    char paths[3][80];
    struct problem problem;
    struct config config;

    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    for (size_t i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", directory, names[i]);
        write_file(paths[i], "");
    }
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--listen", "0.0.0.0:8090")), 0);
    assert_string_equal(config.token_file, paths[0]);
    assert_string_equal(config.tls_cert_file, paths[1]);
    assert_string_equal(config.tls_key_file, paths[2]);
    config_deinit(&config);
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--token-file", tokens)), 0);
    assert_string_equal(config.token_file, tokens);
    config_deinit(&config);
    unlink(paths[2]);
    assert_refused(ARGUMENTS(), "there is no tls_key_file");
    unlink(paths[1]);
    unlink(paths[0]);
}

/* A token has to be written down somewhere; a list of studies is a new token's. */
static void test_new_token(void **)
{
    assert_refused(ARGUMENTS("--new-token", "reader"), "--token-file");
    assert_refused(ARGUMENTS("--for-studies", "wine"), "--new-token");
}

/* The whole path of the state directory is made, for its owner alone; what is there stays as it is. */
static void test_state_dir(void **)
{
    char path[80], parent[80];
    struct problem problem;
    struct config config;
    struct stat status;

    snprintf(parent, sizeof parent, "%s/a", directory);
    snprintf(path, sizeof path, "%s/a/b", directory);
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--state-dir", path)), 0);
    assert_int_equal(config_make_state_dir(&config, &problem), 0);
    assert_int_equal(config_make_state_dir(&config, &problem), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    config_deinit(&config);
    rmdir(path);
    rmdir(parent);

    snprintf(path, sizeof path, "%s/b", file);
    assert_int_equal(read_config(&config, &problem, ARGUMENTS("--state-dir", path)), 0);
    assert_int_equal(config_make_state_dir(&config, &problem), -1);
    assert_non_null(strstr(problem.detail, path));
    config_deinit(&config);
}

/* A reload takes over what can change, and names the rest. */
static void test_reload(void **)
{
    BUFFER_AUTO struct buffer restart = {};
    struct problem problem;
    struct config config, fresh;

    assert_int_equal(read_config(&config, &problem, ARGUMENTS()), 0);
    write_file(file, "log_level = debug\nhosts = study.example\nmax_connections = 5\nlisten = 127.0.0.1:1\n");
    assert_int_equal(read_config(&fresh, &problem, ARGUMENTS()), 0);
    assert_int_equal(config_reload(&config, &fresh, &restart, &problem), 0);
    assert_int_equal(config.log_level, fresh.log_level + 1);
    assert_int_equal(config.hosts.n_items, 1);
    assert_string_equal(config.hosts.items[0], "study.example");
    assert_int_equal(config.max_connections, 10000);
    assert_string_equal(config.listen.items[0], "127.0.0.1:8090");
    assert_string_equal(buffer_text(&restart), "listen, max_connections");
    config_deinit(&config);
    config_deinit(&fresh);
}

/* A reload cannot take the tokens from an address that stays open to others, though the file as it stands is
 * valid. */
static void test_reload_keeps_tokens(void **)
{
    BUFFER_AUTO struct buffer restart = {};
    struct problem problem;
    struct config config, fresh;
    char text[200];

    snprintf(text, sizeof text, "listen = 0.0.0.0:1\ntoken_file = %s\nlog_level = error\n", tokens);
    write_file(file, text);
    assert_int_equal(read_config(&config, &problem, ARGUMENTS()), 0);
    write_file(file, "listen = 127.0.0.1:1\nlog_level = debug\n");
    assert_int_equal(read_config(&fresh, &problem, ARGUMENTS()), 0);
    assert_int_equal(config_reload(&config, &fresh, &restart, &problem), -1);
    assert_string_equal(config.token_file, tokens);
    assert_int_equal(config.log_level, 0);
    assert_null(fresh.token_file);
    config_deinit(&config);
    config_deinit(&fresh);
}

/* conf/studyd.conf is what --sample-config prints. */
static void test_sample(void **)
{
    BUFFER_AUTO struct buffer sample = {}, shipped = {};
    FILE *stream = fopen(SAMPLE_FILE, "r");
    char part[1000];
    size_t n;

    assert_non_null(stream);
    while ((n = fread(part, 1, sizeof part, stream)) > 0)
        buffer_append(&shipped, part, n);
    fclose(stream);
    config_put_sample(&sample);
    assert_string_equal(buffer_text(&shipped), buffer_text(&sample));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_default_store), TEST(test_given_store), TEST(test_beyond_loopback),
        TEST(test_password),      TEST(test_credentials), TEST(test_new_token),
        TEST(test_state_dir),     TEST(test_reload),      TEST(test_reload_keeps_tokens),
        TEST(test_sample),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
