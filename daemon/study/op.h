/* SPDX-License-Identifier: MIT */
/*
 * Operations that end in one change: report, heartbeat, tell, enqueue on a trial; create, change, delete on a
 * study.
 *
 * An operation lives from its call until it is answered and its change is settled, whichever comes later: a
 * call is answered 503 when its change takes too long, and the change still counts when it is committed after
 * all.
 */
#pragma once

#include "daemon/study/state.h"

struct op {
    struct answer answer;
    struct studies *studies;
    struct study *study; /* NULL while it is being created */
    /* One of the two, not to be touched once the answer is given; both NULL where studyd itself acts. */
    struct trial_call *call;
    struct study_call *study_call;
    struct problem *problem;      /* the call's */
    void (*begin)(struct op *op); /* looks at the world, and acts; again after it waited */
    struct waiter waiter;
    struct timer timer; /* the limit for an answer, from the first time it waits for whatever */
    bool is_delivered, is_under_way;
    struct change change;

    /* On a trial. */
    struct trial *trial; /* tell: reserved while under way */
    char lease[MESSAGE_LEASE_SIZE];
    struct report_message report; /* copies, owned */
    struct tell_message tell;
    struct enqueue_message enqueue;
    json_t *fixed_params;                /* owned: enqueue */
    unsigned char key[REQUEST_KEY_SIZE]; /* enqueue with a request_id */
    uint32_t request; /* the same, while it is under way: in the study's requests; else 0 */

    /* On a study: what it is to become. */
    struct spec *spec; /* owned: create */
    char *spec_json;   /* owned, as stored; or NULL */
    enum study_state state;
    char *reason;               /* owned, or NULL */
    json_t *user_attrs;         /* owned, or NULL */
    struct study_change wanted; /* change: as asked for; `state` is wanted_state */
    char *wanted_state;         /* owned, or NULL */
    bool is_lenient;            /* create: exist_ok; delete: force */
    bool has_waited_for_spec;   /* enqueue */
};

/* Starts the call. The caller fills in the rest and calls begin(). */
struct op *op_new(struct studies *studies, struct study *study, struct trial_call *call, int64_t number,
                  void (*begin)(struct op *op));
/* `call` NULL: studyd's own. */
struct op *op_new_of_study(struct studies *studies, struct study *study, struct study_call *call,
                           void (*begin)(struct op *op));
/* The trial, found and not reserved. NULL where the call was answered, or waits and begins again later. */
struct trial *op_find_trial(struct op *op);
/* Waits, and begins again when the gate opens. */
void op_wait(struct op *op, struct gate *gate);
/* Queues the op's change. 0, or -1 where it was answered instead. */
[[nodiscard]] int op_submit(struct op *op, void (*settled)(void *op));
/* The op's answer depends on a change that lies elsewhere; op_settle() follows. */
void op_begin_change(struct op *op);
/* The change is settled; the op goes when it is answered, too. */
void op_settle(struct op *op);

/* Fills the call's problem and answers. Nothing happens where it is answered already. */
void op_fail(struct op *op, enum problem_type type, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The change was not committed, by its result. */
void op_fail_change(struct op *op, const struct change *change);
/* A lease that is not the trial's. */
void op_refuse_lease(struct op *op, const struct trial *trial);
/* Answers with what stands in the call: its results or its problem. */
void op_answer(struct op *op);
