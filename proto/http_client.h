/* SPDX-License-Identifier: MIT */
/*
 * JSON over HTTP from a libuv loop: libcurl's multi interface, connections kept alive, one coordinator at a
 * time out of a list.
 *
 * A request is tried until it is answered by something else than 429, 502, 503, 504 or a broken connection,
 * with exponential back-off (0.1 s doubling to 10 s, full jitter; Retry-After is a lower bound), going round
 * the list of coordinators. So every request that is sent through here can be repeated safely.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/buffer.h"
#include "proto/problem.h"

struct http_client;

struct http_client_config {
    size_t n_urls;           /* at least 1 */
    const char *const *urls; /* "http://host:8090", "https://…", no path; copied */
    const char *token;       /* bearer token or NULL; copied */
    const char *ca_file;     /* PEM file for https, or NULL for the system's; copied */
    const char *cert_file;   /* PEM file of the certificate to show, or NULL; copied */
    const char *key_file;    /* and of its key; copied */
    const char *user_agent;  /* "study-worker/0.1.0"; copied */
    long connect_timeout_ms;
};

struct http_answer {
    int status;        /* HTTP status; 0: gave up before an answer came (deadline, cancelled) */
    json_t *json;      /* borrowed for the callback; NULL where the body is no JSON */
    const char *error; /* where status is not 2xx, a sentence: the problem's detail, or curl's words */
};

/* Owned by the caller, zeroed before use; alive until `done`, which comes once, never before
 * http_client_send() returns. */
struct http_request {
    const char *method; /* "GET", "POST", … static */
    const char *path;   /* "/v1/ask"; copied */
    const char *body;   /* JSON text or NULL; copied */
    long timeout_ms;    /* of one attempt, 0: 30 s */
    long back_off_ms;   /* the longest wait between two attempts, 0: 10 s; Retry-After comes on top */
    int64_t give_up_ms; /* no new attempt this long after the first; 0: never gives up; -1: one attempt */
    void (*done)(struct http_request *request, const struct http_answer *answer);
    void *user;
    void *own; /* the client's own */
};

/* NULL with `problem` for a URL that is not valid. */
[[nodiscard]] struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_config *config,
                                                  struct problem *problem);
void http_client_send(struct http_client *client, struct http_request *request);
/* Ends a request: `done` comes with status 0, not from within this call. Fine for one not under way. */
void http_client_cancel(struct http_client *client, struct http_request *request);
/* Cancels all; `closed` comes when all handles are closed and the client is freed. */
void http_client_close(struct http_client *client, void (*closed)(void *user), void *user);

/* Appends "/" and `segment`, percent-encoded: a study that Optuna named may hold any character. */
void http_path_append(struct buffer *path, const char *segment);
