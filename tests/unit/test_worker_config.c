/* SPDX-License-Identifier: MIT */
/* Unit tests of study-worker's settings: environment, token, name, and the sample file. */
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
#include "worker/config.h"

static struct worker_config config;
static struct problem problem;

static int read_config(int n, char **arguments)
{
    char *argv[20] = {"study-worker", "--config=/dev/null"};

    for (int i = 0; i < n; i++)
        argv[i + 2] = arguments[i];
    problem = (struct problem){};
    return worker_config_read(&config, n + 2, argv, &problem);
}

#define READ(...) read_config(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__})

static int set_up(void **)
{
    config = (struct worker_config){};
    return unsetenv("STUDYD_URL") | unsetenv("STUDYD_TOKEN");
}

static int tear_down(void **)
{
    worker_config_deinit(&config);
    return 0;
}

/* The coordinator comes from the command line, else from the environment, and must come from somewhere. */
static void test_coordinator(void **)
{
    assert_int_equal(READ("--coordinator", "http://a:1", "--coordinator=http://b:2"), 0);
    assert_int_equal(config.coordinators.n_items, 2);
    worker_config_deinit(&config);

    setenv("STUDYD_URL", "http://c:3", 1);
    assert_int_equal(READ("--slots=2"), 0);
    assert_string_equal(config.coordinators.items[0], "http://c:3");
    worker_config_deinit(&config);

    config = (struct worker_config){};
    assert_int_equal(READ("--slots=2"), -1);
    assert_non_null(strstr(problem.detail, "--coordinator http://HOST:8090"));
}

/* What the environment held is nowhere to be found afterwards: not for getenv(), not in the memory that /proc
 * shows. */
static void test_environment_is_wiped(void **)
{
    setenv("STUDYD_URL", "http://c:3", 1);
    setenv("STUDYD_TOKEN", "secret", 1);

    const char *token = getenv("STUDYD_TOKEN");

    assert_int_equal(READ("--slots=1"), 0);
    assert_string_equal(config.token, "secret");
    assert_null(getenv("STUDYD_URL"));
    assert_null(getenv("STUDYD_TOKEN"));
    assert_string_equal(token, "");
}

/* The token file's first word is the token, and wins over the environment. */
static void test_token_file(void **)
{
    char path[] = "/tmp/test_worker_config.XXXXXX";
    int file = mkstemp(path);

    assert_int_equal(write(file, " from-file \n# more\n", 19), 19);
    close(file);
    setenv("STUDYD_TOKEN", "from-env", 1);
    assert_int_equal(READ("--coordinator=http://a:1", "--token-file", path), 0);
    assert_string_equal(config.token, "from-file");
    worker_config_deinit(&config);

    config = (struct worker_config){};
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(READ("--coordinator=http://a:1", "--token-file", path), -1);
    assert_non_null(strstr(problem.detail, "there is no token"));
    unlink(path);
    worker_config_deinit(&config);

    config = (struct worker_config){};
    assert_int_equal(READ("--coordinator=http://a:1", "--token-file", path), -1);
    assert_non_null(strstr(problem.detail, "No such file"));
}

/* A worker is called as its host where nobody says otherwise; the name must fit into studyd's. */
static void test_name(void **)
{
    char host[256] = "", long_name[140] = "--name=";

    gethostname(host, sizeof host - 1);
    assert_int_equal(READ("--coordinator=http://a:1"), 0);
    assert_string_equal(config.name, host);
    worker_config_deinit(&config);

    config = (struct worker_config){};
    assert_int_equal(READ("--coordinator=http://a:1", "--name=a b"), -1);
    worker_config_deinit(&config);

    config = (struct worker_config){};
    memset(long_name + 7, 'x', 129);
    assert_int_equal(READ("--coordinator=http://a:1", long_name), -1);
    assert_non_null(strstr(problem.detail, "129 bytes"));
}

/* conf/worker.conf is what the table says, word for word. */
static void test_sample_file(void **)
{
    BUFFER_AUTO struct buffer path = {}, sample = {}, file = {};
    char piece[4096];
    size_t size;

    buffer_append(&path, __FILE__, (size_t)(strstr(__FILE__, "tests/unit") - __FILE__));
    buffer_append_text(&path, "conf/worker.conf");

    FILE *stream = fopen(buffer_text(&path), "r");

    assert_non_null(stream);
    while ((size = fread(piece, 1, sizeof piece, stream)) > 0)
        buffer_append(&file, piece, size);
    fclose(stream);
    worker_config_put_sample(&sample);
    assert_string_equal(buffer_text(&file), buffer_text(&sample));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_coordinator), TEST(test_environment_is_wiped),
                                       TEST(test_token_file), TEST(test_name), TEST(test_sample_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
