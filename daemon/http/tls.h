/* SPDX-License-Identifier: MIT */
/* The certificate that studyd shows, its key, and the authority that clients' certificates must come from.
 * Connections hold the one they began with, so that a new one can take its place at any time. Loop thread
 * only. */
#pragma once

#include <stdint.h>

#include "proto/problem.h"

struct tls;
struct MHD_Connection;

/* Paths of PEM files. */
struct tls_files {
    const char *certificate; /* followed by those that lead to the authority */
    const char *key;         /* without a password */
    const char *client_ca;   /* or NULL: clients show no certificate */
};

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

/* NULL with `problem` where a file cannot be read or used, or the key is another certificate's. */
[[nodiscard]] struct tls *tls_load(const struct tls_files *files, struct problem *problem);
struct tls *tls_ref(struct tls *tls); /* NULL is fine, here and below */
void tls_unref(struct tls *tls);
/* A connection begins, and has not said a word yet. The caller holds `tls` until it has ended. */
void tls_begin(const struct tls *tls, struct MHD_Connection *connection);
/* What somebody should do something about at this time (seconds since 1970): not valid yet, no longer, or not
 * for long. 0 where there is nothing; else -1 with `problem`. */
int tls_check_dates(const struct tls *tls, int64_t now_s, struct problem *problem);
/* "2027-02-01 12:00 UTC" */
#define TLS_TIME_SIZE 32
void tls_format_end(const struct tls *tls, char text[TLS_TIME_SIZE]);
