/* SPDX-License-Identifier: MIT */
/* What requests are judged by and answered from. Owned by main, which changes it between two turns of the
 * loop. */
#pragma once

#include "daemon/http/auth.h"
#include "daemon/http/failed_auth.h"
#include "daemon/http/tls.h"
#include "daemon/study/study.h"
#include "proto/options.h"
#include "proto/problem.h"

struct histogram;
struct traffic;

struct http_context {
    struct studies *studies;
    int64_t started_s;          /* when the process began; seconds since 1970 */
    struct option_list hosts;   /* borrowed: names in Host headers that are ours, besides loopback */
    struct option_list listen;  /* borrowed: addresses that are ours, as configured */
    struct problem unavailable; /* PROBLEM_NONE, or why nothing but /healthz and /metrics is served */
    struct problem not_ready;   /* PROBLEM_NONE, or why nothing can be changed */

    /* Who may. */
    struct auth *auth; /* NULL: there are no tokens, everybody is admin */
    struct failed_auth *failed_auth;
    struct tls *tls; /* what new connections get; NULL: plain HTTP, from the start to the end */

    /* The rest of the daemon, for the status page and the metrics. */
    const char *store_name; /* without a password */
    struct traffic *traffic;
    const struct histogram *sampler_runs;                       /* borrowed */
    void (*store_stats)(void *user, struct store_stats *stats); /* leaves them where there is no store */
    void *user;
};
