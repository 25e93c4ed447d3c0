/* SPDX-License-Identifier: MIT */
/*
 * Drafts: trials in the making, from the reservation of a number (or of a waiting trial) until the row is
 * committed.
 *
 *   draft_queue         drafts_go           sampled            committed
 *   ----------> queue -------------> train ----------> sent -------------> memory
 *                 ^                    |                |
 *                 +--------------------+----------------+
 *                   made again: strangers took the number,
 *                   a draft ahead of it was not committed,
 *                   or the study itself is being changed
 *
 * While a change of the study is under way nothing is sent, so that no trial overtakes a budget, a pause or a
 * stop: it is held against the study as it is then. Numbers are given when a train is made up, so they go to
 * the store in ascending order without a gap. The train is sampled in one job, each draft seeing those before
 * it. When a sent draft is not committed, the train behind it is made again, since it was numbered and
 * sampled behind something that never was.
 */
#pragma once

#include "daemon/study/state.h"

enum draft_kind {
    DRAFT_NEW,     /* a new number, for an ask */
    DRAFT_START,   /* an enqueued trial, sampled now, for an ask */
    DRAFT_RESTART, /* a trial that is open again: is not sampled, goes straight to the store, for an ask */
    DRAFT_ENQUEUE, /* a new number that waits */
};

/* What became of a draft. */
enum draft_fate {
    DRAFT_DONE,   /* it is the trial in memory */
    DRAFT_LOST,   /* somebody else was first, or the budget ended: ask for another */
    DRAFT_FAILED, /* with a problem */
};

struct draft {
    struct change change;
    struct draft *next; /* in the list that it is in */
    uint64_t order;     /* of arrival */
    struct study *study;
    enum draft_kind kind;
    /* Tells whoever wants the trial; the draft is freed afterwards. DONE: `trial`; FAILED: `problem`. */
    void (*settled)(struct draft *draft, enum draft_fate fate, const struct problem *problem);
    void *owner;
    struct trial *trial; /* START, RESTART: reserved; the others: NULL until it is committed */
    int64_t number;      /* of a train's draft, and of a trial's */
    double *params;      /* owned, as a trial's; NULL: not sampled yet */
    int64_t sampled_seq;
    char lease[MESSAGE_LEASE_SIZE];
    char *loss;               /* RESTART of a lapsed trial: owned, how the attempt before ended; or NULL */
    const char *worker;       /* borrowed; or NULL */
    const unsigned char *key; /* borrowed [REQUEST_KEY_SIZE]: of the ask's or enqueue's request_id; or NULL */
    double *fixed;            /* ENQUEUE: owned [n_params], becomes the trial's; or NULL */
    json_t *fixed_params, *user_attrs; /* ENQUEUE: borrowed; or NULL */
};

/* `trial` for START and RESTART, which is taken already. */
struct draft *draft_new(struct study *study, enum draft_kind kind, struct trial *trial);
/* Sends it on its way; it is no longer the caller's. Never settles before it returns. */
void draft_queue(struct draft *draft);
/* Remembers which requests brought the trial, as its row says. */
void draft_put_requests(struct study *study, struct trial *trial, const struct store_request *request);
/* Does this budget of numbers leave one more? */
bool drafts_have_number(const struct study *study);
/* Do as many wait to be sampled as one job does? Then who asks goes on waiting: what is begun for him is to
 * be answered soon. */
bool drafts_are_many(const struct study *study);
/* Makes up the next train where one is due. Called at the end of a turn. */
void drafts_go(struct study *study);
/* The train's job is done: `params` are its samples in the train's order, [n][n_params], those of ENQUEUE
 * left out. */
void drafts_sampled(struct study *study, const double *params);
/* The study is deleted: whatever is not at the store fails. */
void drafts_drop(struct study *study);
