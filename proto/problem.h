/* SPDX-License-Identifier: MIT */
/* What is wrong with a request, as RFC 9457 tells it: one value that travels from where it is found to the
 * client. */
#pragma once

#include <stdbool.h>

/* Each row: C name, the `urn:studyd:` name, HTTP status, title, seconds for Retry-After (0: none). */
#define PROBLEM_TYPES(X)                                                                             \
    X(INVALID, "invalid", 400, "The request is not valid", 0)                                        \
    X(UNAUTHORIZED, "unauthorized", 401, "A token is needed", 0)                                     \
    X(FORBIDDEN, "forbidden", 403, "This client may not do this", 0)                                 \
    X(NOT_FOUND, "not-found", 404, "There is no such thing", 0)                                      \
    X(METHOD, "method", 405, "The method is not allowed here", 0)                                    \
    X(EXISTS, "exists", 409, "It exists already", 0)                                                 \
    X(NO_SPACE, "no-space", 409, "The study has no search space", 0)                                 \
    X(LEASE_SUPERSEDED, "lease-superseded", 409, "The trial was handed on", 0)                       \
    X(ALREADY_FINISHED, "already-finished", 409, "The trial is finished", 0)                         \
    X(STUDY_STOPPED, "study-stopped", 409, "The study is stopped", 0)                                \
    X(TOO_LARGE, "too-large", 413, "The request is too large", 0)                                    \
    X(REQUEST_ID_REUSED, "request-id-reused", 422, "The request_id was used for another request", 0) \
    X(SLOW_DOWN, "slow-down", 429, "Too many requests", 1)                                           \
    X(STORE_REFUSED, "store-refused", 500, "The database refused the change", 0)                     \
    X(STORE_AWAY, "store-away", 503, "The database is not available", 1)                             \
    X(STANDBY, "standby", 503, "Another studyd owns the database", 2)                                \
    X(STOPPING, "stopping", 503, "studyd is stopping", 2)

enum problem_type {
    PROBLEM_NONE,
#define X(id, urn, status, title, retry_after) PROBLEM_##id,
    PROBLEM_TYPES(X)
#undef X
        PROBLEM_N_TYPES
};

struct problem {
    enum problem_type type;
    char field[128];  /* JSON path of the offending member ("space.x.low"), or "" */
    char detail[512]; /* what was wrong and what would be right; UTF-8 */
};

struct problem_info {
    const char *urn; /* without "urn:studyd:" */
    int status;
    const char *title;
    int retry_after_s;
};
/* The table's row; `type` is not PROBLEM_NONE. */
const struct problem_info *problem_info(enum problem_type type);

/* Fills `problem` and returns -1, so that a check reads `return problem_set(problem, ...)`. Only the first
 * problem is kept: a second call changes nothing. Text that does not fit is cut at a character's boundary,
 * and bytes that are no UTF-8 are left out: both texts can always stand in JSON. */
int problem_set(struct problem *problem, enum problem_type type, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The name among `names` (NULL-terminated) that `given` means in Optuna's words or in capitals, else the one
 * that it most resembles (Damerau-Levenshtein distance at most a third of the longer length), or NULL. */
const char *problem_nearest(const char *given, const char *const *names);
