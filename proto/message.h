/* SPDX-License-Identifier: MIT */
/*
 * The messages of ask/tell, each with its reader and its writer, so that both sides speak by the same code:
 * message_ask.c, message_report.c, message_tell.c, message_enqueue.c.
 *
 * Readers copy what they keep: a message owns its members, *_deinit() frees them and is safe on a zeroed
 * struct. Readers return 0, or -1 with `problem` set; requests refuse unknown keys, answers may grow.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/json_write.h"
#include "proto/problem.h"

#define MESSAGE_MAX_COUNT 100       /* trials one ask may want */
#define MESSAGE_MAX_RUNNERS 100     /* that one ask may name */
#define MESSAGE_MAX_EXCEPT 1000     /* studies that one ask may name */
#define MESSAGE_MAX_WAIT_S 60.0     /* an ask may wait so long */
#define MESSAGE_MAX_WORKER 128      /* bytes of a worker's name */
#define MESSAGE_MAX_REQUEST_ID 64   /* printable ASCII characters */
#define MESSAGE_LEASE_SIZE 33       /* 32 hex digits and NUL */
#define MESSAGE_MAX_STEP 2147483647 /* Optuna's column is a signed 32-bit integer */
#define MESSAGE_MAX_REASON 2000     /* bytes; a longer reason is cut by the sender */

/* Each row: C name, name in JSON. The order is Optuna's TrialState. */
#define TRIAL_STATES(X)     \
    X(RUNNING, "running")   \
    X(COMPLETE, "complete") \
    X(PRUNED, "pruned")     \
    X(FAIL, "fail")         \
    X(WAITING, "waiting")
enum trial_state {
#define X(id, name) TRIAL_##id,
    TRIAL_STATES(X)
#undef X
};
extern const char *const trial_state_names[]; /* NULL-terminated */

/* Why a trial failed. Only the infrastructure's classes (oom and after) are tried again. */
#define TRIAL_FAILURES(X)     \
    X(OBJECTIVE, "objective") \
    X(NAN, "nan")             \
    X(OOM, "oom")             \
    X(TIMEOUT, "timeout")     \
    X(KILLED, "killed")       \
    X(LOST, "lost")
enum trial_failure {
#define X(id, name) FAILURE_##id,
    TRIAL_FAILURES(X)
#undef X
};
extern const char *const trial_failure_names[]; /* NULL-terminated */

/* POST /v1/studies/{study}/ask, POST /v1/ask */
struct ask_message {
    char *worker;     /* "" where none was named */
    int64_t count;    /* 1 to MESSAGE_MAX_COUNT */
    double wait_s;    /* 0 to MESSAGE_MAX_WAIT_S */
    char *request_id; /* or NULL */
    json_t *runners;  /* /v1/ask only: array of strings, or NULL for any */
    json_t *except;   /* /v1/ask only: array of studies' names that are not wanted, or NULL */
};
[[nodiscard]] int ask_message_read(struct ask_message *message, json_t *json, bool is_of_all,
                                   struct problem *problem);
void ask_message_write(const struct ask_message *message, struct json_writer *writer);
void ask_message_deinit(struct ask_message *message);

/* One trial handed out. */
struct offer_message {
    char *study; /* NULL in an answer to one study's ask */
    int64_t number;
    json_t *params;
    char lease[MESSAGE_LEASE_SIZE];
    double lease_s;
    int64_t attempt; /* from 1 */
};
struct ask_reply_message {
    char *state; /* "running", "waiting", "paused", "stopped", "finished" */
    size_t n_offers;
    struct offer_message *offers;
};
[[nodiscard]] int ask_reply_message_read(struct ask_reply_message *message, json_t *json,
                                         struct problem *problem);
void ask_reply_message_write(const struct ask_reply_message *message, struct json_writer *writer);
void ask_reply_message_deinit(struct ask_reply_message *message);

/* POST …/report: {"lease", "step", "value"} or {"lease", "intermediate_values": {"10": 0.61}} */
struct report_point {
    int32_t step;
    double value; /* may be NaN or infinite */
};
struct report_message {
    char *lease;
    size_t n_points; /* at least 1, at most 10,000; ascending steps, none twice */
    struct report_point *points;
};
[[nodiscard]] int report_message_read(struct report_message *message, json_t *json, struct problem *problem);
void report_message_write(const struct report_message *message, struct json_writer *writer);
void report_message_deinit(struct report_message *message);

struct report_reply_message {
    bool prune;
    double lease_s;
    char *state; /* the study's */
};
[[nodiscard]] int report_reply_message_read(struct report_reply_message *message, json_t *json,
                                            struct problem *problem);
void report_reply_message_write(const struct report_reply_message *message, struct json_writer *writer);
void report_reply_message_deinit(struct report_reply_message *message);

/* POST …/heartbeat: {"lease"}; the reply is a report's without `prune`. */
struct heartbeat_message {
    char *lease;
};
[[nodiscard]] int heartbeat_message_read(struct heartbeat_message *message, json_t *json,
                                         struct problem *problem);
void heartbeat_message_write(const struct heartbeat_message *message, struct json_writer *writer);
void heartbeat_message_deinit(struct heartbeat_message *message);
void heartbeat_reply_write(double lease_s, const char *study_state, struct json_writer *writer);

/* POST …/tell */
struct tell_message {
    char *lease;
    enum trial_state state; /* all but RUNNING; COMPLETE where left out and values are given */
    size_t n_values;        /* "value" is one; COMPLETE only: a pruned trial's value is its last report */
    double *values;
    enum trial_failure failure; /* "class"; OBJECTIVE where left out; meaningful for FAIL */
    char *reason;               /* or NULL */
    json_t *user_attrs;         /* object, or NULL; each value at most 60,000 bytes as JSON */
    size_t n_constraints;
    double *constraints; /* or NULL */
};
[[nodiscard]] int tell_message_read(struct tell_message *message, json_t *json, struct problem *problem);
void tell_message_write(const struct tell_message *message, struct json_writer *writer);
void tell_message_deinit(struct tell_message *message);

struct tell_reply_message {
    int64_t number;
    enum trial_state state; /* what became of the trial: a failure that is tried again is "waiting" */
    bool best;
    char *reason; /* why a result counts as a failure; or NULL */
};
[[nodiscard]] int tell_reply_message_read(struct tell_reply_message *message, json_t *json,
                                          struct problem *problem);
void tell_reply_message_write(const struct tell_reply_message *message, struct json_writer *writer);
void tell_reply_message_deinit(struct tell_reply_message *message);

/* POST …/enqueue */
struct enqueue_message {
    json_t *params;     /* owned object */
    json_t *user_attrs; /* object, or NULL */
    char *request_id;   /* or NULL */
};
[[nodiscard]] int enqueue_message_read(struct enqueue_message *message, json_t *json,
                                       struct problem *problem);
void enqueue_message_deinit(struct enqueue_message *message);
