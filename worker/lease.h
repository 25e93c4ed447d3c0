/* SPDX-License-Identifier: MIT */
/*
 * One trial that studyd has handed to us: renews its lease, sends its reports, tells how it ended.
 *
 * One report is under way at a time, and the next goes a moment later at the soonest; points that come
 * meanwhile go together. The tell goes out when all points are sent, and is repeated until it is answered.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proto/http_client.h"
#include "proto/message.h"

enum lease_end {
    LEASE_TOLD,    /* the tell was acknowledged */
    LEASE_LOST,    /* the trial was handed on, or is gone with its study: nothing was told */
    LEASE_REFUSED, /* studyd did not take what was told; the lease will lapse */
};

struct lease_outcome {
    enum lease_end end;
    const struct tell_message *told; /* what was told in the end; borrowed */
    enum trial_state became;         /* TOLD: what became of the trial; WAITING: somebody runs it again */
    bool is_best;                    /* TOLD */
    const char *error;               /* LOST, REFUSED: a sentence */
};

/* All come from the loop, never from within a call to the lease. */
struct lease_events {
    void (*prune)(void *user);
    /* The trial is not ours any more: stop working on it, and call lease_drop(). */
    void (*lost)(void *user, const char *why);
    /* After lease_tell() or lease_drop(), once: the lease may start again with another trial. */
    void (*ended)(void *user, const struct lease_outcome *outcome);
};

struct lease {
    struct http_client *client;
    const struct lease_events *events;
    void *user;
    uv_timer_t timer;        /* the next heartbeat or report; open from init to close */
    double lease_s;          /* as studyd gave it last */
    uint64_t next_report_ms; /* on the loop's clock: no report before */
    char *path;              /* "/v1/studies/wine/trials/7"; owned */
    char token[MESSAGE_LEASE_SIZE];
    struct http_request heartbeat, report, tell;
    struct report_point *points; /* not sent yet; owned */
    size_t n_points, points_capacity;
    int32_t highest_step;        /* of those points */
    struct tell_message outcome; /* owned; its lease is unused */
    bool has_outcome, is_told, is_lost;
    struct lease_outcome result;
    char error[640]; /* what result.error points to */
};

/* Zeroed by the caller. The client is not kept open by a lease: cancel by closing the client. */
void lease_init(struct lease *lease, uv_loop_t *loop, struct http_client *client,
                const struct lease_events *events, void *user);
void lease_start(struct lease *lease, const char *study, const struct offer_message *offer);
/* A step that waits to be sent keeps its first value, as in Optuna. */
void lease_report(struct lease *lease, const struct report_point *point);
/* Takes the message (its `lease` is ours). WAITING hands the trial back: points that are not sent yet are
 * forgotten. */
void lease_tell(struct lease *lease, struct tell_message *message);
void lease_drop(struct lease *lease);
/* The lease has ended; `closed` frees what holds it. */
void lease_close(struct lease *lease, uv_close_cb closed);
