/* SPDX-License-Identifier: MIT */
/* studyd's settings: from studyd.conf and the command line. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/options.h"
#include "proto/problem.h"

struct config {
    char *config;              /* or NULL */
    struct option_list listen; /* where systemd passes sockets, their addresses, in order */
    size_t n_sockets;          /* that it passes */
    char *store;               /* URL; never NULL once read */
    char *password_file;       /* or NULL */
    char *state_dir;           /* or NULL where the store is given and it is not needed */
    char *token_file;          /* or NULL: no tokens, everybody who gets here may do everything */
    char *tls_cert_file;       /* or NULL: plain HTTP */
    char *tls_key_file;        /* NULL where tls_cert_file is */
    char *tls_client_ca_file;  /* or NULL */
    struct option_list hosts;
    bool allow_unauthenticated;
    int64_t max_connections;
    int64_t request_timeout_s;
    int log_level; /* enum log_level */

    char *new_token;   /* or NULL: a role */
    char *for_studies; /* or NULL: that it is for all */
    bool check_config, sample_config, print_schema, help, version;

    char *password; /* of the database, from password_file or systemd's credential; or NULL */
};

/* Fills `config` (zeroed), and checks what can be checked without touching anything: 0, or -1 with `problem`.
 * Deinit it either way. */
[[nodiscard]] int config_read(struct config *config, int argc, char **argv, struct problem *problem);
void config_deinit(struct config *config);
/* Makes the state directory where it is used and absent. 0, or -1 with `problem`. */
[[nodiscard]] int config_make_state_dir(const struct config *config, struct problem *problem);
/* Exchanges with `fresh` what can change while studyd runs, and puts the names of the other keys that differ
 * into `restart`, separated by ", ". 0; or -1 with `problem` and nothing exchanged, where what would come out
 * is not valid. */
struct buffer;
[[nodiscard]] int config_reload(struct config *config, struct config *fresh, struct buffer *restart,
                                struct problem *problem);
void config_put_help(struct buffer *out);
void config_put_sample(struct buffer *out);
