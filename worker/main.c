/* SPDX-License-Identifier: MIT */
/* study-worker: reads its settings and runs; or becomes a runner. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/log.h"
#include "worker/config.h"
#include "worker/supervisor.h"
#include "worker/trampoline.h"

static void print_help(void)
{
    BUFFER_AUTO struct buffer text = {};

    worker_config_put_help(&text);
    fputs(buffer_text(&text), stdout);
}

static enum worker_exit run(const struct worker_config *config)
{
    if (config->help) {
        print_help();
        return WORKER_FINISHED;
    }
    if (config->version) {
        puts("study-worker " STUDYD_VERSION);
        return WORKER_FINISHED;
    }
    log_set_level((enum log_level)config->log_level);
    signal(SIGPIPE, SIG_IGN); /* a runner's end is not ours */
    return supervisor_run(config);
}

int main(int argc, char **argv)
{
    struct worker_config config = {};
    struct problem problem = {};
    enum worker_exit code = WORKER_MISCONFIGURED;

    if (argc > 2 && strcmp(argv[1], TRAMPOLINE_OPTION) == 0)
        return trampoline_exec(argv + 2);
    log_open("study-worker");
    if (worker_config_read(&config, argc, argv, &problem))
        log_error("%s", problem.detail);
    else
        code = run(&config);
    worker_config_deinit(&config);
    return code;
}
