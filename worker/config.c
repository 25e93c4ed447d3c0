/* SPDX-License-Identifier: MIT */
/* The table of study-worker's settings. */
#include "worker/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/message.h"

#define DEFAULT_FILE "/etc/studyd/worker.conf"
#define MAX_TOKEN 1000

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

#define AT(member) offsetof(struct worker_config, member)
static const struct option_row rows[] = {
    {"config", "FILE", OPTION_TEXT, AT(config), .is_command_line_only = true,
     .help = "read settings from FILE instead of " DEFAULT_FILE},
    {"coordinator", "URL", OPTION_LIST, AT(coordinators),
     .help = "where studyd is, as http://HOST:8090; where several are given the next is tried when one does "
             "not answer; else STUDYD_URL"},
    {"study", "NAME", OPTION_LIST, AT(studies),
     .help = "serve this study only, and wait for it where it is not there yet; else every running study "
             "whose runner is here"},
    {"slots", "N", OPTION_INT, AT(slots), .default_text = "0", .low = 0, .high = 1024,
     .help = "trials at a time; 0: as many as GPUs times trials_per_gpu, or 1 without a GPU"},
    {"gpus", "auto|none|0,1", OPTION_TEXT, AT(gpus), .default_text = "auto",
     .help = "the GPUs to use; auto: those of CUDA_VISIBLE_DEVICES, or all"},
    {"trials_per_gpu", "K", OPTION_INT, AT(trials_per_gpu), .default_text = "1", .low = 1, .high = 64,
     .help = "slots that share a GPU"},
    {"threads", "N", OPTION_INT, AT(threads), .default_text = "0", .low = 0, .high = 4096,
     .help = "threads of each runner; 0: the processors divided by the slots"},
    {"runner", "NAME=COMMAND", OPTION_LIST, AT(runners),
     .help = "the command behind a runner's name; words as in a shell's quotes, but no shell"},
    {"data", "NAME=PATH", OPTION_LIST, AT(data), .help = "the file that studies call NAME in objective.data"},
    {"data_dir", "DIR", OPTION_LIST, AT(data_dirs),
     .help = "a directory below which a study may name a file itself; none given: it may not, and uses the "
             "names of data"},
    {"model_dir", "DIR", OPTION_TEXT, AT(model_dir), .help = "where study-xgboost saves the best model"},
    {"libxgboost", "PATH", OPTION_TEXT, AT(libxgboost), .help = "the libxgboost.so that study-xgboost loads"},
    {"token_file", "FILE", OPTION_TEXT, AT(token_file),
     .help = "holds the token for studyd, alone on its line; else STUDYD_TOKEN"},
    {"ca_file", "FILE", OPTION_TEXT, AT(ca_file), .help = "PEM certificates to trust for https"},
    {"cert_file", "FILE", OPTION_TEXT, AT(cert_file),
     .help = "the PEM certificate to show to a studyd that has tls_client_ca_file"},
    {"key_file", "FILE", OPTION_TEXT, AT(key_file), .help = "holds its key, as PEM without a password"},
    {"name", "NAME", OPTION_TEXT, AT(name), .help = "what studyd calls this worker; else the host's name"},
    {"report", "FILE", OPTION_TEXT, AT(report), .help = "write a summary to FILE at the end, as JSON"},
    {"exit_when_finished", NULL, OPTION_BOOL, AT(exit_when_finished),
     .help = "end when its studies are finished or stopped: with 0, or with 1 where no trial has a result"},
    {"max_idle_s", "S", OPTION_NUMBER, AT(max_idle_s), .default_text = "0", .low = 0, .high = 1e9,
     .unit = "s", .help = "end after so long without a trial; 0: never"},
    {"ask_ahead_below_s", "S", OPTION_NUMBER, AT(ask_ahead_below_s), .default_text = "2", .low = 0,
     .high = 1e9, .unit = "s",
     .help =
         "a slot whose last trial took less asks for the next one while it trains, and so never waits for "
         "studyd; the price is that the next trial's parameters do not know this one's result yet; 0: "
         "never ask ahead"},
    {"trial_timeout_s", "S", OPTION_NUMBER, AT(trial_timeout_s), .default_text = "0", .low = 0, .high = 1e9,
     .unit = "s", .help = "kill the runner of a trial that takes longer; its study may say less; 0: never"},
    {"silence_warning_s", "S", OPTION_NUMBER, AT(silence_warning_s), .default_text = "600", .low = 0,
     .high = 1e9, .unit = "s",
     .help =
         "log a warning when a trial has neither reported nor ended for so long, and for ten times longer "
         "than any trial of its slot before; 0: never"},
    {"start_timeout_s", "S", OPTION_NUMBER, AT(start_timeout_s), .default_text = "60", .low = 0.1,
     .high = 86400, .unit = "s", .help = "kill a runner that is not ready after so long"},
    {"stop_on_stdin_eof", NULL, OPTION_BOOL, AT(stop_on_stdin_eof),
     .help = "stop when stdin, a pipe, is closed: a launcher's end is then the worker's end"},
    {"log_level", "LEVEL", OPTION_CHOICE, AT(log_level), .default_text = "info", .choices = log_levels,
     .help = "the least that is logged"},
    {"sample_config", NULL, OPTION_BOOL, AT(sample_config), .is_command_line_only = true,
     .help = "print a configuration file with all keys and their defaults, and end"},
    {"help", NULL, OPTION_BOOL, AT(help), .is_command_line_only = true, .help = "print this and end"},
    {"version", NULL, OPTION_BOOL, AT(version), .is_command_line_only = true,
     .help = "print the version and end"},
    {NULL}};

/* A variable's value, which nobody can read any more, not in /proc either; or NULL. */
static char *take_variable(const char *name)
{
    char *value = getenv(name);
    char *copy = memory_strdup(value && *value ? value : NULL);

    if (value)
        explicit_bzero(value, strlen(value));
    unsetenv(name);
    return copy;
}

/* The file's first word. */
static int read_token_file(struct worker_config *config, struct problem *problem)
{
    char line[MAX_TOKEN + 2] = "";
    FILE *file = fopen(config->token_file, "re");

    if (!file)
        return problem_set(problem, PROBLEM_INVALID, "", "token_file %s: %s", config->token_file,
                           strerror(errno));

    const char *got = fgets(line, sizeof line, file);
    const char *start = line + strspn(line, " \t");
    size_t length = strcspn(start, " \t\r\n");

    fclose(file);
    if (!got || length == 0 || length > MAX_TOKEN)
        return problem_set(problem, PROBLEM_INVALID, "", "token_file %s: there is no token in its first line",
                           config->token_file);
    free(config->token);
    config->token = memory_strndup(start, length);
    explicit_bzero(line, sizeof line);
    return 0;
}

static int take_environment(struct worker_config *config, struct problem *problem)
{
    char *url = take_variable("STUDYD_URL");

    config->token = take_variable("STUDYD_TOKEN");
    if (config->coordinators.n_items == 0 && url) {
        config->coordinators = (struct option_list){1, memory_array(1, sizeof(char *))};
        config->coordinators.items[0] = url;
    } else {
        free(url);
    }
    return config->token_file ? read_token_file(config, problem) : 0;
}

static void name_after_host(struct worker_config *config)
{
    char host[MESSAGE_MAX_WORKER + 1] = "";

    if (config->name)
        return;
    gethostname(host, sizeof host - 1);
    config->name = memory_strdup(host[0] ? host : "worker");
}

static int check_readable(const char *key, const char *file, struct problem *problem)
{
    return !file || access(file, R_OK) == 0
               ? 0
               : problem_set(problem, PROBLEM_INVALID, "", "%s %s: %s", key, file, strerror(errno));
}

static int check_tls(const struct worker_config *config, struct problem *problem)
{
    if (!config->cert_file != !config->key_file)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "cert_file and key_file belong together, and there is no %s",
                           config->cert_file ? "key_file" : "cert_file");
    return check_readable("ca_file", config->ca_file, problem) ||
                   check_readable("cert_file", config->cert_file, problem) ||
                   check_readable("key_file", config->key_file, problem)
               ? -1
               : 0;
}

static int check(const struct worker_config *config, struct problem *problem)
{
    if (check_tls(config, problem))
        return -1;
    if (config->coordinators.n_items == 0)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "where is studyd? Give --coordinator http://HOST:8090, or set STUDYD_URL");
    if (strlen(config->name) > MESSAGE_MAX_WORKER)
        return problem_set(problem, PROBLEM_INVALID, "", "the name has %zu bytes; %d are the limit",
                           strlen(config->name), MESSAGE_MAX_WORKER);
    for (const unsigned char *c = (const unsigned char *)config->name; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return problem_set(problem, PROBLEM_INVALID, "",
                               "the name can hold printable ASCII characters only");
    return 0;
}

int worker_config_read(struct worker_config *config, int argc, char **argv, struct problem *problem)
{
    char error[512];

    if (options_read(rows, config, argc, argv, DEFAULT_FILE, error, sizeof error))
        return problem_set(problem, PROBLEM_INVALID, "", "%s", error);
    if (config->help || config->version || config->sample_config)
        return 0;
    if (take_environment(config, problem))
        return -1;
    name_after_host(config);
    return check(config, problem);
}

void worker_config_deinit(struct worker_config *config)
{
    options_deinit(rows, config);
    free(config->token);
    config->token = NULL;
}

void worker_config_put_help(struct buffer *out)
{
    buffer_append_text(out,
                       "study-worker: asks studyd for trials, runs each in a runner, tells what came out.\n\n"
                       "  study-worker --coordinator URL [OPTION]…\n\n");
    options_put_help(rows, out);
    buffer_append_text(
        out, "\nEvery option is also a key of the file, with underscores. Ends with 0 when its studies are "
             "finished\nor it was idle for long enough, 143 when it was stopped, 2 for wrong settings, 4 "
             "where no runner\ncan be started, 1 for anything else.\n");
}

void worker_config_put_sample(struct buffer *out)
{
    buffer_append_text(
        out, "# SPDX-License-Identifier: MIT\n"
             "# Settings of study-worker. What stands here behind a # is the default, or an example.\n"
             "# This file is what study-worker --sample-config prints.\n\n");
    options_put_sample(rows, out);
}
