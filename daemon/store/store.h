/* SPDX-License-Identifier: MIT */
/*
 * The store: changes go in as records, and come back when they are durable.
 *
 * All functions are called on the loop thread, all callbacks come there. Behind them: one writer thread (it
 * owns the connection with the lock, and commits what is queued as one fenced transaction), one reader thread
 * (a connection of its own: loading, cold reads). The database's schema is Optuna's; what Optuna has no place
 * for lies in tables studyd_*.
 *
 *     store_new -> (standby ->) load: sink on the reader's thread -> loaded -> submit/read ... -> store_close
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/buffer.h"
#include "proto/histogram.h"
#include "proto/message.h"
#include "proto/problem.h"
#include "proto/spec.h"

#define STORE_UID_SIZE 33 /* 32 hex digits and NUL */
#define STORE_REQUEST_SIZE 32
#define STORE_OUTCOME_SIZE 16

/* What request_ids leave in a trial's row; opaque to the store (daemon/study/requests.h). */
struct store_request {
    bool is_set;
    unsigned char bytes[STORE_REQUEST_SIZE];
};

/* ---- what the database holds, as it is loaded ---- */

struct store_study {
    int64_t study_id;
    char uid[STORE_UID_SIZE]; /* "" where studyd has never changed this study */
    const char *name;         /* Optuna's names: any UTF-8 */
    size_t n_directions;
    enum direction directions[SPEC_MAX_DIRECTIONS];
    const char
        *spec_json; /* the stored spec; NULL for a study that Optuna created and nobody attached one to */
    json_t *space;  /* without a spec: each parameter's newest distribution, abbreviated form; may be empty */
    const char *state;    /* "running", "paused", "stopped", "finished"; "running" where studyd has no row */
    const char *reason;   /* why it is in this state, or NULL */
    int64_t seq;          /* the study's last committed seq, 0 where studyd has no row */
    int64_t first_ask_us; /* when the first trial was asked for; 0: nobody has, or it was not kept */
    int64_t epoch;        /* of the database's owner, that is of this studyd: from 1, and higher with each */
    json_t *user_attrs;   /* object */
};

struct store_trial {
    int64_t trial_id;
    int64_t number;
    enum trial_state state;
    bool is_ours; /* has a row in studyd_trials */
    int64_t start_us,
        complete_us; /* microseconds since 1970 UTC, whole seconds as the database has them; 0: none */
    size_t n_params; /* of the study's space (spec's, or `space` above) */
    const double
        *params; /* [n_params] internal values, NaN where absent; NULL: never sampled (an enqueued trial) */
    size_t n_values;
    const double *values; /* COMPLETE, and PRUNED's last one */
    int32_t last_step;    /* PRUNED and RUNNING: highest reported step, -1 where none */
    double last_value;    /* its value */
    double violation;     /* sum of the positive constraints */
    json_t *fixed_params; /* WAITING: Optuna's fixed_params, external values; else NULL */
    /* Ours only. */
    int64_t attempt;
    int64_t retries;                /* retries spent */
    char lease[MESSAGE_LEASE_SIZE]; /* the newest lease; "" where none */
    const char *worker;             /* or NULL */
    struct store_request request;
    int64_t sampled_seq, asked_seq, finished_seq; /* 0: not yet */
    bool has_outcome;
    unsigned char outcome[STORE_OUTCOME_SIZE]; /* hash of what was told, to know a repeated tell */
    size_t n_points;                           /* RUNNING, ours: its reports, ascending steps */
    const struct report_point *points;
};

/* Called on the reader's thread while the loop thread stays away from what they build; for what store_find()
 * brings, on the loop thread. Pointers live for the call. study_begin() returns what the following trials are
 * given as `study`; trials come in ascending number. */
struct store_sink {
    void *user;
    /* What store_find() brings may be left out: NULL. */
    void *(*study_begin)(void *user, const struct store_study *study);
    void (*trial)(void *user, void *study, const struct store_trial *trial);
    void (*study_end)(void *user, void *study);
};

/* ---- changes ---- */

enum store_change {
    STORE_CREATE_STUDY, /* study.*: gives study_id. An existing name is STORE_EXISTS (Optuna made it beside
                           us) */
    STORE_CHANGE_STUDY, /* study.*: state and reason; spec and user_attrs where not NULL (attributes are
                           merged) */
    STORE_DELETE_STUDY, /* the name is free when it is done; the rows go in slices afterwards */
    STORE_CREATE_TRIAL, /* trial.*: an ask's new number (RUNNING), or an enqueued one (WAITING); gives
                           trial_id */
    STORE_START_TRIAL,  /* trial.*: a WAITING or lapsed trial is handed out: RUNNING, new lease and attempt */
    STORE_REPORT,       /* report.* */
    STORE_RELEASE_TRIAL, /* trial.*: a RUNNING trial is WAITING again (handed back, or to be tried again) */
    STORE_FINISH_TRIAL,  /* trial.*: COMPLETE, PRUNED or FAIL */
    STORE_LOOK,          /* changes nothing: brings foreign trials, new ones and those in look.trial_ids */
};

enum store_result {
    STORE_DONE,
    STORE_STRANGERS, /* CREATE_TRIAL: somebody else added trials first; not applied; they stand in `foreign`
                      */
    STORE_CONFLICT,  /* the row is no longer as memory has it (changed from outside); not applied; the row as
                        it is now stands in  `foreign`, nothing there where it is gone */
    STORE_EXISTS,    /* CREATE_STUDY; not applied; store_find() brings it */
    STORE_AWAY, /* not known to be applied, dropped; also all of this study's records behind one that failed
                 */
    STORE_REFUSED, /* the database refuses this record itself; not applied; `detail` says why */
};

/* Owned by whoever submits it, untouched and alive until `done`. What it points to is borrowed for as long.
 */
struct store_record {
    enum store_change change;
    int64_t study_id;                          /* 0 in CREATE_STUDY until done */
    const char *uid;                           /* of the study, always set; given to a study that had none */
    int64_t seq;                               /* committed with the change; rises within a study */
    void (*done)(struct store_record *record); /* exactly once, never before store_submit() returns */
    void *user;

    struct {
        const char *name;
        size_t n_directions;
        const enum direction *directions;
        const char *spec_json; /* CHANGE: NULL leaves it */
        const char *state;
        const char *reason; /* or NULL */
        json_t *user_attrs; /* or NULL */
    } study;

    struct {
        int64_t trial_id;          /* given by CREATE */
        int64_t number;            /* CREATE: provisional; done means that it is right */
        enum trial_state from;     /* START, RELEASE, FINISH: the state the row must have */
        enum trial_state state;    /* the state it gets */
        const struct space *space; /* of params */
        const double *params; /* CREATE, START: rows to insert; NULL: none (they are there already, or not
                                 sampled yet) */
        const double *stored; /* START: those of params that are rows already, NaN for the others; or NULL */
        json_t *fixed_params; /* CREATE of an enqueued trial; or NULL */
        int64_t start_us;     /* CREATE RUNNING, START */
        int64_t first_ask_us; /* CREATE RUNNING, START: of the study, to be kept with it; 0: leave */
        int64_t complete_us;  /* FINISH */
        int64_t attempt, retries;
        const char *lease;  /* "" clears it */
        const char *worker; /* or NULL */
        struct store_request request;
        int64_t sampled_seq, asked_seq, finished_seq; /* 0: leave */
        size_t n_values;
        const double *values; /* FINISH COMPLETE, PRUNED */
        json_t *user_attrs;   /* CREATE, FINISH; or NULL */
        size_t n_constraints;
        const double *constraints;
        const char *failure; /* FINISH FAIL, RELEASE, START of a lost one: the class, or NULL; stored as
                                system attribute studyd:failure */
        const char *reason;  /* with `failure`, or NULL */
        bool has_outcome;
        unsigned char outcome[STORE_OUTCOME_SIZE];
    } trial;

    struct {
        int64_t trial_id;
        size_t n_points;
        const struct report_point *points;
        bool removes_later; /* first report of a new attempt: values of points[0].step and later steps go
                               first */
    } report;

    struct {
        size_t n_trials;
        const int64_t *trial_ids; /* foreign unfinished trials to read again */
    } look;

    /* Results, valid in `done`. */
    enum store_result result;
    char detail[400];
    size_t n_foreign;
    const struct store_trial *foreign; /* freed after `done` returns */

    /* The store's own. */
    struct store_record *next;
    size_t size_bytes; /* in the queue, about */
};

/* ---- cold reads ---- */

/* What is not kept in memory of one trial. */
struct store_cold_trial {
    int64_t trial_id;
    json_t *user_attrs; /* object */
    json_t *params;     /* trials that are not ours: {"name": value} as stored, external values; else NULL */
    size_t n_points;
    struct report_point *points; /* ascending steps */
    size_t n_constraints;
    double *constraints; /* NULL where it has none */
    char *failure;       /* class, or NULL */
    char *reason;        /* or NULL */
};

/* Owned by the caller until `done`. */
struct store_read {
    int64_t study_id;
    size_t n_trials;                       /* at most 1,000 */
    const int64_t *trial_ids;              /* borrowed until done */
    void (*done)(struct store_read *read); /* exactly once, never before store_read_trials() returns */
    void *user;
    /* Results, freed after `done` returns. */
    int error;                       /* 0; -1: the store is away */
    struct store_cold_trial *trials; /* [n_trials], in the order asked for; a vanished one is all zero */
    struct store_read *next;
};

/* ---- which studies there are ---- */

struct store_found {
    int64_t study_id;
    const char *name; /* borrowed until done */
    const char *uid;  /* the same; "" where the database has none of ours */
    bool is_wanted;   /* is to be read as if it were new */
    bool is_gone;     /* result: deleted, or another study has its name or its id */
};

/* Owned by the caller until `done`. */
struct store_find {
    size_t n_known;
    struct store_found *known;             /* in the order of their names; borrowed until done */
    void (*done)(struct store_find *find); /* exactly once, never before store_find() returns */
    void *user;
    /* 0; or -1 where the store is away: nothing is known then. The sink has seen all other studies, and those
     * that are wanted, right before `done`. */
    int error;
};

/* ---- the store ---- */

#define STORE_STALL_S 5
enum store_condition {
    STORE_WORKS,
    STORE_STALLED,     /* for STORE_STALL_S no change could be stored, and none is taken now; reads go on */
    STORE_UNREACHABLE, /* nothing works */
};

struct store_observer {
    void *user;
    void (*standby)(void *user,
                    const char *owner); /* another process owns the database ("host pid 123"); we wait */
    void (*loaded)(void *user); /* the sink has seen everything; from now on the store takes records */
    /* It has changed; `why` names the cause and what helps. */
    void (*condition)(void *user, enum store_condition condition, const char *why);
    /* It will never work (refused login, wrong schema) or ownership was lost: `exit_code` for the process. */
    void (*failed)(void *user, int exit_code, const char *why);
};

struct store;

/* Parses the URL (sqlite:////path, mysql://user:password@host:port/db?unix_socket=…, mysql+pymysql://,
 * mysql+mysqldb://). `password` replaces the URL's where not NULL. Starts the threads. NULL with `problem`
 * where the URL is not valid. */
[[nodiscard]] struct store *store_new(uv_loop_t *loop, const char *url, const char *password,
                                      const struct store_sink *sink, const struct store_observer *observer,
                                      struct problem *problem);
/* Is the URL valid? Touches nothing. 0, or -1 with `problem`. */
[[nodiscard]] int store_check_url(const char *url, struct problem *problem);
/* The statements that make the tables in an empty MySQL database, for an account that may not CREATE. */
void store_put_schema(struct buffer *out);
/* Queues. 0; or -1 where the store takes no changes now or its queue is full: the record was not taken,
 * `done` will not come. */
[[nodiscard]] int store_submit(struct store *store, struct store_record *record);
/* 0, or -1 where the store cannot be reached. */
[[nodiscard]] int store_read_trials(struct store *store, struct store_read *read);
/* One at a time. 0, or -1 where the store is away. */
[[nodiscard]] int store_find(struct store *store, struct store_find *find);

struct store_stats {
    size_t n_pending, pending_bytes; /* changes that are not committed yet */
    uint64_t n_records;              /* committed since the store was opened */
    struct histogram
        transactions; /* each from its first statement to its COMMIT's answer, retries included */
};
void store_stats(struct store *store, struct store_stats *stats);
/* Writes what is queued (for at most `grace_ms`, what is left comes back as STORE_AWAY), ends the threads,
 * gives up the lock, frees; `closed` comes last. No call after it. */
void store_close(struct store *store, int grace_ms, void (*closed)(void *user), void *user);
/* "mysql://user@host/db" without the password, for logs and the status page. */
const char *store_name(const struct store *store);
