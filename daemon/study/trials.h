/* SPDX-License-Identifier: MIT */
/* A study's trials in memory, by number: small when finished, since there may be a million. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "daemon/study/gate.h"
#include "daemon/study/timer.h"
#include "proto/message.h"

#define LEASE_SIZE 16 /* bytes of a lease's token; its text is their hex digits */

/* Where a trial stands; lifecycle.c has the picture. */
enum trial_stage {
    STAGE_ABSENT,   /* no such trial */
    STAGE_ENQUEUED, /* WAITING, never handed out */
    STAGE_AGAIN,    /* WAITING, handed out before: keeps its parameters */
    STAGE_HELD,     /* RUNNING under a lease */
    STAGE_LAPSED,   /* RUNNING, its lease over; may be handed on, or still be told */
    STAGE_FOREIGN,  /* RUNNING, started by Optuna: not ours to lease or fail */
    STAGE_OVER,     /* COMPLETE, PRUNED or FAIL */
    STAGE_COUNT
};

/* What only an unfinished trial needs. */
struct trial_open {
    struct gate gate;         /* shut while a change of this trial is under way */
    struct timer lease_timer; /* HELD: when it lapses; LAPSED for good: when to try again to fail it */
    struct study *study;
    struct trial *trial;
    double *fixed;  /* ENQUEUED: owned [n_params], NaN where free; NULL: nothing is fixed */
    double *stored; /* the same; those of `fixed` that are rows already, as Optuna's retries have them */
    size_t n_points, capacity;
    struct report_point *points; /* owned, ascending steps */
    bool *is_queued;             /* owned [capacity]: this point lies in a record, or in the database */
    size_t n_parcels;            /* records with reports, at the store */
    bool has_reported;           /* in this attempt */
    bool is_loaded;              /* with its reports, in this attempt: whose they are is not known */
    bool has_cut; /* the reports from cut_step on must go before the points behind it are stored */
    int32_t cut_step;
    bool is_told_to_prune; /* and that stands */
};

/* All but `open` is committed. Times are microseconds since 1970 UTC, 0: none. */
struct trial {
    int64_t number, trial_id;
    int64_t start_us, complete_us;
    int64_t seq; /* of its last change */
    int64_t sampled_seq, asked_seq, finished_seq;
    double *params; /* owned, internal values, [n_params] and behind them [n_directions] values; NULL: not
                       sampled yet */
    struct worker *worker;                 /* who holds or held it; or NULL */
    struct trial_open *open;               /* owned; NULL where it is over */
    uint32_t enqueue_request, ask_request; /* in the study's requests; 0: none */
    int32_t attempt, retries;
    unsigned char lease[LEASE_SIZE];
    unsigned char outcome[STORE_OUTCOME_SIZE]; /* of the last tell of this lease */
    unsigned char stage, state;                /* enum trial_stage, enum trial_state */
    unsigned char n_values;
    bool is_ours, has_lease, has_outcome;
    bool is_in_heap; /* of those to be handed out */
};

/* Zeroed is empty. Trials never move. */
struct trials {
    int64_t n_numbers; /* the highest number and one */
    size_t n_chunks;
    struct trial **chunks; /* owned */
};

void trials_deinit(struct trials *trials); /* frees what the trials own, too */
/* NULL where there is none. */
struct trial *trials_get(const struct trials *trials, int64_t number);
/* The place of this number, ABSENT and with `number` set where there was none. */
struct trial *trials_place(struct trials *trials, int64_t number);
/* Frees the trial's `open`. Nobody waits at its gate, and its timer is not set. */
void trial_close(struct trial *trial);
