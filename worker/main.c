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

static enum worker_exit print(void (*put)(struct buffer *out))
{
    BUFFER_AUTO struct buffer text = {};

    put(&text);
    return fputs(buffer_text(&text), stdout) < 0 || fflush(stdout) ? WORKER_FAILED : WORKER_FINISHED;
}

static void put_version(struct buffer *out)
{
    buffer_append_text(out, "study-worker " STUDYD_VERSION "\n");
}

static enum worker_exit run(const struct worker_config *config)
{
    if (config->help)
        return print(worker_config_put_help);
    if (config->version)
        return print(put_version);
    if (config->sample_config)
        return print(worker_config_put_sample);
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
