/* SPDX-License-Identifier: MIT */
/*
 * One request, from its first line to its last byte, as handlers see it.
 *
 * A handler answers exactly once, at once or later (an ask may wait for a minute): request_answer() or
 * request_refuse(). Until then the request stays alive, even where its client has gone; afterwards it must
 * not be touched.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/http/context.h"
#include "daemon/http/uri.h"
#include "proto/buffer.h"
#include "proto/problem.h"

#define REQUEST_MAX_BODY_BYTES (1 << 20)
#define REQUEST_MAX_ARGUMENTS 2 /* {study}, {number} */
#define REQUEST_MAX_HEADERS 4

struct listener;
struct route;
struct MHD_Connection;

enum request_phase {
    REQUEST_BEGUN,     /* its first line is read */
    REQUEST_RECEIVING, /* its body comes in */
    REQUEST_HANDLED,   /* its handler was called */
};

struct request {
    /* For handlers to read. */
    const struct http_context *context;
    struct uri uri;
    const char *arguments[REQUEST_MAX_ARGUMENTS]; /* the path's {…}, decoded; inside `uri` */
    struct access access;                         /* what its token may */
    struct buffer body;                           /* this and `json` only until the handler returns */
    json_t *json;                                 /* the body; NULL where the route takes none */
    /* For handlers to write the answer's content into. */
    struct buffer answer;

    /* The server's. */
    struct listener *listener;
    struct MHD_Connection *connection;
    char *raw_uri, *method;    /* owned */
    const struct route *route; /* NULL where there is none */
    struct auth *auth;         /* held, for `access`; or NULL */
    enum request_phase phase;
    struct problem problem; /* found before the handler was called; the body is then thrown away */
    size_t n_dropped;       /* bytes of the body that were thrown away */
    size_t unsent_bytes;    /* of the answer that libmicrohttpd has */
    uint64_t begun_ns;      /* uv_hrtime() */
    bool is_suspended;
    int status; /* 0: not answered yet */
    struct {
        int (*next)(struct request *request, void *user); /* NULL: this is the last one */
        void (*end)(void *user);
        void *user;
        size_t n_sent; /* bytes of request->answer that libmicrohttpd has taken */
        bool is_cut;
    } parts;
    const char *content_type;
    size_t n_headers;
    struct {
        const char *name;
        char *value; /* owned */
    } headers[REQUEST_MAX_HEADERS];
};

/* The header's first value, or NULL. */
const char *request_header(const struct request *request, const char *name);
/* How often it is there. */
size_t request_count_header(const struct request *request, const char *name);
/* Does the Accept header name this media type? ("Anything" does not.) */
bool request_accepts(const struct request *request, const char *media_type);
/* The query parameter's value, or NULL. Only names that the route lists can be there. */
const char *request_parameter(const struct request *request, const char *name);
/* A whole number in [low, high]; where absent `fallback`. 0, or -1 with `problem`. */
[[nodiscard]] int request_read_int(const struct request *request, const char *name, int64_t low, int64_t high,
                                   int64_t fallback, int64_t *number, struct problem *problem);
/* "true" or "false"; absent is false. 0, or -1 with `problem`. */
[[nodiscard]] int request_read_bool(const struct request *request, const char *name, bool *value,
                                    struct problem *problem);
/* May it know of this study? */
bool request_sees(const struct request *request, const char *study);
/* The same for all studies; while the request lives. */
struct study_filter request_filter(const struct request *request);
/* The workers that it may know of; an array for the caller to free. */
struct worker_view *request_workers(const struct request *request, size_t *n);
/* The study that the path names; NULL where there is none that it may know of, and then that is answered. */
struct study *request_study(struct request *request);
/* The same with the trial's number. */
struct study *request_study_and_trial(struct request *request, int64_t *number);
/* Has the client left? */
bool request_is_gone(const struct request *request);

/* Before the answer: an extra header; `name` is static, `value` is copied. */
void request_add_header(struct request *request, const char *name, const char *value);
/* Sends request->answer; `content_type` is static. */
void request_answer(struct request *request, int status, const char *content_type);
void request_answer_json(struct request *request, int status);
/* Sends request->answer as the first part of an answer whose size is not known. When a part is sent, `next`
 * is called. It returns 0, and later, when the next part is in request->answer, request_continue() is called;
 * until then the request stays alive. Or it returns -1: the answer is cut. `end` frees `user` where the
 * answer ends, or the client has left. */
void request_answer_in_parts(struct request *request, int status, const char *content_type,
                             int (*next)(struct request *request, void *user), void (*end)(void *user),
                             void *user);
enum request_part { REQUEST_PART, REQUEST_LAST_PART, REQUEST_CUT /* no more, though it is not whole */ };
void request_continue(struct request *request, enum request_part part);
/* Sends the problem instead of whatever request->answer holds. */
void request_refuse(struct request *request, const struct problem *problem);
/* The server's: the answer, which is not queued yet, is none. */
void request_take_back(struct request *request);
