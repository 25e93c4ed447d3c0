/* SPDX-License-Identifier: MIT */
/* study-worker's settings: from worker.conf, the command line and two environment variables. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/options.h"
#include "proto/problem.h"

struct worker_config {
    char *config;
    struct option_list coordinators;
    struct option_list studies; /* none: every running study whose runner this worker has */
    int64_t slots;              /* 0: as many as there are GPUs */
    char *gpus;
    int64_t trials_per_gpu;
    int64_t threads; /* of one runner; 0: this machine's, divided by the slots */
    struct option_list runners;
    struct option_list data;
    struct option_list data_dirs;
    char *model_dir;  /* or NULL */
    char *libxgboost; /* or NULL */
    char *token_file; /* or NULL */
    char *ca_file;    /* or NULL */
    char *cert_file;  /* or NULL: it shows no certificate */
    char *key_file;   /* NULL where cert_file is */
    char *name;       /* never NULL once read: the host's */
    char *report;     /* or NULL */
    bool exit_when_finished;
    double max_idle_s;        /* 0: for ever */
    double ask_ahead_below_s; /* 0: never */
    double trial_timeout_s;   /* 0: none */
    double silence_warning_s; /* 0: none */
    double start_timeout_s;
    bool stop_on_stdin_eof;
    int log_level; /* enum log_level */
    bool sample_config, help, version;

    char *token; /* from the file or the environment; or NULL */
};

/* Fills `config` (zeroed). 0, or -1 with `problem`. STUDYD_URL and STUDYD_TOKEN are taken out of the
 * environment. */
[[nodiscard]] int worker_config_read(struct worker_config *config, int argc, char **argv,
                                     struct problem *problem);
void worker_config_deinit(struct worker_config *config);
struct buffer;
void worker_config_put_help(struct buffer *out);
void worker_config_put_sample(struct buffer *out);
