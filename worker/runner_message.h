/* SPDX-License-Identifier: MIT */
/*
 * The runner protocol's lines, version 1: what study-worker writes to a runner's stdin and reads from its
 * stdout. docs/runner-protocol.md is the text for people who write a runner.
 *
 * Readers return 0, or -1 with `problem`; unknown keys are ignored in both directions (a runner may be older
 * or newer). Writers append one line with its newline.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/message.h"

#define RUNNER_PROTOCOL 1
#define RUNNER_MAX_LINE (1u << 20) /* bytes */

/* supervisor -> runner: {"op": "trial", …} */
struct runner_trial {
    char *study;
    int64_t number;
    int64_t attempt;
    json_t *params;    /* owned object */
    json_t *objective; /* owned object: the spec's, with `data` resolved to a path */
    json_t *
        space; /* owned object: the study's search space, which a runner may check its own against; or NULL */
    char *device; /* "cpu", "cuda:0" */
    int64_t threads;
    uint32_t seed;
    uint64_t timeout_ms;    /* the study's trial_timeout_s; the supervisor's to keep, not sent; 0: none */
    bool waits_for_reports; /* "wait": each report is answered with continue or prune; study-worker never does
                             */
};
void runner_trial_write(const struct runner_trial *trial, struct buffer *out);
[[nodiscard]] int runner_trial_read(struct runner_trial *trial, json_t *json, struct problem *problem);
void runner_trial_deinit(struct runner_trial *trial);

/* supervisor -> runner: {"op": "prune"} */
void runner_prune_write(struct buffer *out);

/* runner -> supervisor */
enum runner_op { RUNNER_READY, RUNNER_REPORT, RUNNER_DONE, RUNNER_PRUNED, RUNNER_FAIL };
struct runner_message {
    enum runner_op op;
    int64_t protocol;           /* READY */
    bool has_number;            /* any but READY: does it say of which trial it speaks? */
    int64_t number;             /* that trial's */
    struct report_point point;  /* REPORT */
    size_t n_values;            /* DONE */
    double *values;             /* DONE, owned */
    json_t *attrs;              /* DONE, PRUNED, FAIL: owned object or NULL; user attributes of the trial */
    enum trial_failure failure; /* FAIL */
    char *reason;               /* FAIL, owned */
};
void runner_message_write(const struct runner_message *message, struct buffer *out);
[[nodiscard]] int runner_message_read(struct runner_message *message, const char *line, size_t size,
                                      struct problem *problem);
void runner_message_deinit(struct runner_message *message);
