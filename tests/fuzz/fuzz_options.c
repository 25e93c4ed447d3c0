/* SPDX-License-Identifier: MIT */
/* Settings: lines of a file, then, behind a NUL each, the words of a command line; read by both programs'
 * tables. */
#include <string.h>

#include "daemon/config.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"
#include "worker/config.h"

#define MAX_WORDS 16

static void check_daemon(int argc, char **argv)
{
    struct problem problem = {};
    struct config config = {}, again = {};
    BUFFER_AUTO struct buffer restart = {};

    if (config_read(&config, argc, argv, &problem)) {
        fuzz_check_problem(&problem);
    } else if (!config.new_token && !config.help && !config.version && !config.sample_config) {
        /* It would serve. Read a second time, nothing has changed. */
        require(config_read(&again, argc, argv, &problem) == 0);
        require(config_reload(&config, &again, &restart, &problem) == 0 && restart.size == 0);
    }
    config_deinit(&config);
    config_deinit(&again);
}

static void check_worker(int argc, char **argv)
{
    struct problem problem = {};
    struct worker_config config = {};

    if (worker_config_read(&config, argc, argv, &problem))
        fuzz_check_problem(&problem);
    worker_config_deinit(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MEMORY_AUTO char *text = memory_array(size + 1, 1);
    char path[FUZZ_PATH_SIZE], file_option[FUZZ_PATH_SIZE + 16];
    char *argv[MAX_WORDS + 3] = {"studyd", file_option};
    size_t file_size = strnlen((const char *)data, size);
    int argc = 2;

    fuzz_put_file(data, file_size, path);
    strcpy(stpcpy(file_option, "--config="), path);
    memcpy(text, data, size);
    for (size_t at = file_size + 1; at < size && argc < MAX_WORDS + 2; at += strlen(text + at) + 1)
        argv[argc++] = text + at;
    check_daemon(argc, argv);
    check_worker(argc, argv);
    return 0;
}
