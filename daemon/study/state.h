/* SPDX-License-Identifier: MIT */
/*
 * What the room holds in memory: the studies, and what each of them consists of. Only files of this folder
 * include it.
 *
 * Everything here belongs to the loop thread. While a suggestion is under way the sampler pool reads
 * `spec->space`, the entries of `history` that its view covers, and has `sampler` to itself.
 */
#pragma once

#include "daemon/study/answer.h"
#include "daemon/study/best.h"
#include "daemon/study/change.h"
#include "daemon/study/changed.h"
#include "daemon/study/gate.h"
#include "daemon/study/number_heap.h"
#include "daemon/study/requests.h"
#include "daemon/study/study.h"
#include "daemon/study/timer.h"
#include "daemon/study/trials.h"
#include "daemon/study/workers.h"

#define ANSWER_LIMIT_MS 5000  /* a change that is not committed by then is answered 503 */
#define LOOK_INTERVAL_MS 2000 /* so often at most we look for what Optuna has done, while somebody waits */
#define SAMPLER_IDLE_MS 600000

struct ask;
struct draft;
struct naming;
struct sampling;
struct seeking;

/* In order of arrival. */
struct ask_list {
    struct ask *first, *last;
    size_t n_asks;
};

struct draft_list {
    struct draft *first, *last;
    size_t n_drafts;
};

struct study {
    struct studies *studies;
    int64_t study_id;
    char uid[STORE_UID_SIZE];
    char *name;
    struct spec *spec;
    bool has_stored_spec;
    bool has_row;   /* the database knows our uid of it */
    bool is_usable; /* false: its spec cannot be read or stored; `reason` says why. Nothing is given out */
    enum study_state state;
    char *reason;
    json_t *user_attrs;
    struct gate gate;            /* shut while a change of the study itself is under way */
    int64_t no_finish_before_ms; /* finishing it has just failed */

    int64_t last_seq;                          /* given to a change, committed or not */
    struct change *first_change, *last_change; /* under way, ascending seq */

    struct trials trials;
    int64_t counts[TRIAL_WAITING + 1];
    int64_t n_at_stage[STAGE_COUNT];
    struct number_heap again;    /* LAPSED and AGAIN; an entry may be out of date */
    struct number_heap enqueued; /* ENQUEUED; the same */
    size_t n_open, open_capacity;
    struct trial **open; /* owned array: handed out (by whomever) and not over, ascending number */
    struct changed changed;
    struct history *history;
    struct best best;
    struct requests requests;

    struct ask_list waiting;
    int64_t first_ask_us;
    bool is_first_ask_stored;
    struct timer seconds_timer; /* max_seconds, or the next try to finish the study */

    /* Trials in the making: from the queue into the train, which is sampled in one job, then under way to the
     * store. */
    struct draft_list queue, train, sent;
    bool is_spoilt;            /* a draft that was sent was not committed: those behind it are made again */
    int64_t n_new;             /* drafts that bring a new number */
    size_t n_drafts;           /* all, those of trials that are open again included */
    struct sampling *sampling; /* the job, or NULL */
    struct sampler *sampler;   /* NULL: not made yet, or dropped */
    struct timer sampler_timer;

    struct timer look_timer;
    bool is_looking, is_watched;
    int64_t looked_ms;   /* the last time; or when it was read */
    int64_t look_number; /* where the next look goes on */
    int64_t read_ms;     /* when it was read from the database, wholly */
    bool is_stale;       /* that was too long ago: its gate is shut until it is read anew */
    bool is_being_read;  /* by the look for studies that is under way */

    bool is_deleted;
    size_t n_refs; /* changes, jobs and reads under way, and a place among the dirty */
    bool is_dirty;
    struct study *next_dirty;
};

struct studies {
    struct study_ports ports;
    size_t n_studies, capacity;
    struct study **by_name; /* owned */
    struct workers workers;
    struct timers timers;
    struct timer pulse_timer; /* set while leases are open */
    int64_t wake_ms;          /* what was last wished for */
    struct ask_list waiting;  /* asks of all studies */
    struct requests requests; /* asks of all studies, while under way */
    uint64_t n_arrivals;
    struct naming *namings; /* names of studies that are being made */
    /* Looking which studies there are. */
    struct timer seek_timer;
    int64_t sought_ms; /* the last time */
    bool is_sought, is_loaded;
    struct seeking *seeking; /* under way, or NULL */
    struct gate seek_gate;   /* shut while somebody waits for the next look to end */
    uint64_t n_lapses;       /* of leases, ever */
    uint64_t n_removed;      /* studies, ever */
    size_t n_dying;          /* deleted studies that still have something under way */
    struct answers answers;
    size_t n_open_calls;
    struct study *first_dirty;
    bool is_store_away, is_stopping;
};

/* A study with nothing in it. Takes `spec`. */
struct study *study_new(struct studies *studies, const char *name, struct spec *spec);
/* As new, with another spec (which it takes); who waits for it goes on waiting. Nothing may be under way. */
void study_empty(struct study *study, struct spec *spec);
/* Nobody shall find it any more: it goes when nothing of it is under way. */
void study_bury(struct study *study);
/* Nothing of it may be under way. */
void study_free(struct study *study);
void study_ref(struct study *study);
void study_unref(struct study *study);
/* Something changed that asks, drafts or the study's end may depend on: it is looked at before the loop's
 * turn ends. */
void study_mark(struct study *study);

void studies_add(struct studies *studies, struct study *study);
void studies_remove(struct studies *studies, struct study *study);
/* The end of a function that http calls: answers wait for the next tick. */
void studies_end_call(struct studies *studies);
/* The end of a callback: the answers go out. */
void studies_end_turn(struct studies *studies);

int64_t studies_now_ms(const struct studies *studies);
int64_t studies_wall_us(const struct studies *studies);
/* `size` random bytes as hex digits and NUL. */
void studies_random_hex(const struct studies *studies, char *text, size_t size);
/* Why nothing can be changed now: is_stopping, the store. 0, or -1 with `problem`. */
[[nodiscard]] int studies_check_open(const struct studies *studies, struct problem *problem);
void timer_set_in(struct studies *studies, struct timer *timer, int64_t delay_ms);
