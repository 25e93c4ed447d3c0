/* SPDX-License-Identifier: MIT */
/*
 * The studies: what is asked, reported and told, who holds which lease, and in which order it all happened.
 *
 * A state machine without I/O: it lives on the loop thread, is given requests, store results, suggestions and
 * the time, and acts through its ports. A change is checked against memory, reserves what it changes, and is
 * queued at the store; memory changes, and the answer goes out, when its commit is known.
 *
 * Calls: the caller owns the call struct (zeroed, then filled in) and keeps it alive until `done`, which
 * comes exactly once and never before the function that started it returns. `problem.type` is PROBLEM_NONE
 * when it went well.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sampler/sampler.h"
#include "daemon/store/store.h"
#include "proto/message.h"
#include "proto/problem.h"
#include "proto/spec.h"

struct studies; /* all of them */
struct study;
struct trial;

/* One suggestion on the sampler pool. The job's owner is the study; only run() happens on a pool thread. */
struct sampler_job {
    void (*run)(struct sampler_job *job);  /* pool thread: pure computing */
    void (*done)(struct sampler_job *job); /* loop thread, exactly once, never before sample() returns */
};

/* What the state machine needs from outside. All are called on the loop thread. */
struct study_ports {
    void *user;
    int64_t (*now_ms)(void *user);                              /* monotonic */
    int64_t (*wall_us)(void *user);                             /* microseconds since 1970 UTC */
    void (*random_bytes)(void *user, void *bytes, size_t size); /* unpredictable: leases, uids, seeds */
    int (*submit)(void *user, struct store_record *record);     /* as store_submit() */
    int (*read)(void *user, struct store_read *read);           /* as store_read_trials() */
    int (*find)(void *user, struct store_find *find);           /* as store_find() */
    void (*sample)(void *user, struct sampler_job *job);
    void (*wake)(
        void *user,
        int64_t at_ms); /* call studies_tick() at this now_ms, or soon after; replaces the last wish */
};

[[nodiscard]] struct studies *studies_new(const struct study_ports *ports);
/* After the store is closed: no call, record or job may be open. */
void studies_free(struct studies *studies);
/* What the store loads into; the sink's `user` is the studies. */
struct store_sink studies_sink(struct studies *studies);
/* The store has loaded everything (leases of open trials start afresh); it takes no changes (away), or takes
 * them again. */
void studies_loaded(struct studies *studies);
void studies_store_away(struct studies *studies, bool is_away);
/* The time has come that `wake` asked for. */
void studies_tick(struct studies *studies);
/* Answers every waiting ask with `stopping`, refuses new calls. Records under way still finish. */
void studies_stop(struct studies *studies);
/* Leases that have lapsed since the studies were made. */
uint64_t studies_n_lapses(const struct studies *studies);
/* Calls that were started and have not been answered yet. */
size_t studies_open_calls(const struct studies *studies);

/* ---- looking: memory only ---- */

enum study_state { STUDY_RUNNING, STUDY_PAUSED, STUDY_STOPPED, STUDY_FINISHED };
extern const char *const study_state_names[]; /* NULL-terminated */

size_t studies_count(const struct studies *studies);
/* In the order of their names; `index` below studies_count(). */
struct study *studies_get(const struct studies *studies, size_t index);
/* NULL where there is none. */
struct study *studies_find(const struct studies *studies, const char *name);

const char *study_name(const struct study *study);
const char *study_uid(const struct study *study);
enum study_state study_state(const struct study *study);
const char *study_reason(
    const struct study *study); /* why it is stopped, paused or finished; NULL where nothing is to say */
const struct spec *
study_spec(const struct study *study); /* always there; derived for a study that Optuna created */
json_t *study_user_attrs(const struct study *study); /* borrowed object */
int64_t study_seq(const struct study *study);        /* last committed */
/* Trials of each state, indexed by enum trial_state; a lapsed trial counts as running. */
const int64_t *study_counts(const struct study *study);
size_t study_n_waiting_asks(const struct study *study);
int64_t study_first_ask_us(const struct study *study); /* 0: nobody asked yet */

/* Somebody asks for a study that is not here, or for all: those that Optuna has made meanwhile are here
 * within 2 s. */
void studies_seek(struct studies *studies);
/* Somebody reads this study, not only once perhaps: what Optuna has done to it is looked for within 2 s. */
void study_watch(struct study *study);

/* A trial as readers may see it: committed values only. Borrowed from the study; params and values never
 * change once set. */
struct trial_view {
    int64_t number;
    int64_t trial_id;
    enum trial_state state;
    bool is_ours;         /* false: params come with the cold part */
    const double *params; /* [space->n_params] or NULL where not sampled yet */
    size_t n_values;
    const double *values; /* or NULL */
    int64_t attempt;
    const char *worker; /* or NULL */
    int64_t start_us, complete_us;
    int64_t seq; /* of its last change */
    int64_t sampled_seq, asked_seq, finished_seq;
    int64_t lease_left_ms; /* RUNNING and leased: time left (0: lapsed); else -1 */
};
/* 0, or -1 where there is no such trial. */
[[nodiscard]] int study_get_trial(const struct study *study, int64_t number, struct trial_view *view);
/* All trials have lower numbers. */
int64_t study_end_number(const struct study *study);
/* Up to `limit` numbers of trials that changed after seq `since`, in the order of their last change, only
 * those whose state's bit (1 << state) is in `states`. Returns how many; *next is the cursor for the next
 * call (equal to `since` where nothing changed). */
size_t study_list_changed(const struct study *study, int64_t since, unsigned states, size_t limit,
                          int64_t *numbers, int64_t *next);
/* The best feasible complete trial (lowest number among equals), or the Pareto front in ascending number with
 * several directions. Returns how many there are; writes at most `limit`. */
size_t study_best(const struct study *study, size_t limit, int64_t *numbers);

/* Those studies that somebody may know of. */
struct study_filter {
    bool (*passes)(const void *user, const char *study); /* NULL: all */
    const void *user;
};

struct worker_view {
    const char *name;
    int64_t last_seen_us;                 /* its last ask, report, heartbeat or tell */
    size_t n_running;                     /* trials that it holds now */
    int64_t n_complete, n_pruned, n_fail; /* told since studyd started */
};
/* Workers seen in the last hour, by name; returns how many there are, writes at most `limit`. */
size_t studies_workers(const struct studies *studies, size_t limit, struct worker_view *workers);
/* The workers that hold trials of these studies now, by name, with those trials alone: what they told is
 * counted over all studies, and left out here. An array for the caller to free. */
struct worker_view *studies_workers_of(const struct studies *studies, const struct study_filter *filter,
                                       size_t *n);

/* ---- changing ---- */

struct study_call { /* create, change, delete */
    void (*done)(struct study_call *call);
    void *user;
    struct problem problem;
    struct study *study; /* create (also where exist_ok found it), change: the study; delete: NULL */
    bool was_created;
    /* The study room's own. */
    void *state;
};
/* Takes `spec` (always, also on failure). With exist_ok an equal spec is no error, and a study without a
 * stored spec gets this one attached where its trials are compatible. */
void studies_create(struct studies *studies, struct spec *spec, bool exist_ok, struct study_call *call);

struct study_change {
    const char *state; /* "running", "paused", "stopped", or NULL */
    bool has_max_trials;
    int64_t max_trials; /* -1: no limit */
    bool has_max_failed_trials;
    int64_t max_failed_trials; /* -1: no limit */
    bool has_max_seconds;
    double max_seconds; /* -1: no limit */
    bool has_trial_timeout_s;
    double trial_timeout_s; /* -1: no limit */
    json_t *user_attrs;     /* merged; or NULL */
};
void study_change(struct studies *studies, struct study *study, const struct study_change *change,
                  struct study_call *call);
/* Without `force` only a stopped, finished or empty one. */
void study_delete(struct studies *studies, struct study *study, bool force, struct study_call *call);

struct ask_offer {
    const char *study; /* its name */
    int64_t number;
    json_t *params; /* external values, owned by the call until `done` returns */
    char lease[MESSAGE_LEASE_SIZE];
    double lease_s;
    int64_t attempt;
};
struct ask_call {
    void (*done)(struct ask_call *call);
    /* Has the client gone? Asked right before a trial is given to a call that waited. */
    bool (*is_gone)(struct ask_call *call);
    struct study_filter filter; /* an ask of all studies: only of these */
    void *user;
    struct problem problem;
    const char *state; /* "running", "waiting", "paused", "stopped", "finished" */
    size_t n_offers;
    struct ask_offer *offers; /* freed after `done` returns */
    void *own;                /* the study room's own */
};
/* `study` NULL: of all running studies whose runner is in message->runners (NULL: any) and whose name is not
 * in message->except, fewest running trials first. The message is copied. `body_hash` (16 bytes) tells a
 * repeated request from another one with the same request_id. */
void study_ask(struct studies *studies, struct study *study, const struct ask_message *message,
               const unsigned char *body_hash, struct ask_call *call);

struct trial_call { /* report, heartbeat, tell, enqueue */
    void (*done)(struct trial_call *call);
    void *user;
    struct problem problem;
    int64_t number;
    enum trial_state state; /* tell: what became of the trial */
    bool is_best;           /* tell */
    const char *reason;     /* tell: why a result counts as a failure, its class first; or NULL */
    bool prune;             /* report */
    double lease_s;         /* report, heartbeat */
    const char *study_state;
    void *own; /* the study room's own */
};
void study_report(struct studies *studies, struct study *study, int64_t number,
                  const struct report_message *message, struct trial_call *call);
void study_heartbeat(struct studies *studies, struct study *study, int64_t number, const char *lease,
                     struct trial_call *call);
void study_tell(struct studies *studies, struct study *study, int64_t number,
                const struct tell_message *message, struct trial_call *call);
void study_enqueue(struct studies *studies, struct study *study, const struct enqueue_message *message,
                   const unsigned char *body_hash, struct trial_call *call);

/* ---- cold reads ---- */

struct trials_call {
    void (*done)(struct trials_call *call);
    void *user;
    struct problem problem;
    size_t n_trials;
    struct trial_view *views;            /* freed after `done` returns */
    const struct store_cold_trial *cold; /* [n_trials], open trials' reports included */
    void *own;
};
/* The whole of up to 1,000 trials; numbers that are gone meanwhile are left out. */
void study_read_trials(struct studies *studies, struct study *study, size_t n, const int64_t *numbers,
                       struct trials_call *call);
