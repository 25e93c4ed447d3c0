/* SPDX-License-Identifier: MIT */
/*
 * A world for the study room: virtual time, a store in memory that can be told to fail, a sampler that waits
 * for its turn.
 *
 * Nothing happens by itself: world_run() lets the store commit, the sampler suggest and the clock tick until
 * all is quiet, world_pass() lets time go by.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/study/study.h"

#define WORLD_MAX_PARAMS 8
#define WORLD_MAX_VALUES 4
#define WORLD_MAX_POINTS 64

/* A trial's rows, as a database holds them. */
struct row_trial {
    struct store_trial row; /* its pointers go into this struct */
    double params[WORLD_MAX_PARAMS], values[WORLD_MAX_VALUES];
    char worker[40], failure[20], reason[600];
    struct report_point points[WORLD_MAX_POINTS];
    json_t *user_attrs;
    int n_results;   /* how often it was finished */
    bool is_created; /* by studyd */
    bool is_taken;   /* Optuna has started it while it waited */
    bool is_gone;
};

struct row_study {
    struct row_study *next;
    int64_t study_id;
    char uid[STORE_UID_SIZE];
    char *name, *spec_json, *state, *reason;
    size_t n_directions;
    enum direction directions[SPEC_MAX_DIRECTIONS];
    json_t *space, *user_attrs;
    int64_t seq;
    int64_t first_ask_us;
    int64_t max_trials; /* as the stored spec says; INT64_MAX: no limit */
    size_t n_params;
    size_t n_trials, n_known; /* known: studyd was told of them */
    struct row_trial **trials;
};

struct world {
    struct studies *studies;
    int64_t now_ms, wall_us, wake_ms;
    uint64_t random;
    struct row_study *rows;
    int64_t last_id, epoch;
    struct store_record *queue, **queue_end;
    size_t n_queued;
    struct store_read *reads;
    struct store_find *find;
    struct sampler_job *jobs[32];
    size_t n_jobs;
    /* What the store does. */
    bool is_held;            /* it commits nothing for now */
    bool takes_nothing;      /* submit, read and find give -1 */
    bool cannot_find;        /* looks for studies fail */
    enum store_result fault; /* of the next n_faults records */
    size_t n_faults;
    bool is_sampler_held;
    int64_t n_commits, n_looks, n_strangers, n_finds;
    size_t n_most_looked_at; /* trials in one look */
};

void world_init(struct world *world);
/* Ends the studies as main does; all calls must be answered. */
void world_deinit(struct world *world);
/* For cmocka: a world of its own for each test, in *state. */
int world_setup(void **state);
int world_teardown(void **state);
/* The daemon dies and starts again with what the store has: what was under way is gone. Open calls are never
 * answered. */
void world_restart(struct world *world);
void world_run(struct world *world);
/* One thing of what world_run() does; false where all is quiet. */
bool world_step(struct world *world);
/* Lets time go by, with every tick on the way. */
void world_pass(struct world *world, int64_t ms);
/* The store goes away: what is queued is dropped. And comes back. */
void world_lose_store(struct world *world);
void world_find_store(struct world *world);
/* One record is settled with this result, as it stands first in the queue. */
void world_settle_first(struct world *world, enum store_result result);

/* A study with x in [0, 1], n in 1..10 and c of "a", "b"; `more` is JSON to add, such as "\"max_trials\": 3",
 * or NULL. */
struct study *world_create(struct world *world, const char *name, const char *more);
struct row_study *world_rows(struct world *world, const char *name);
struct row_trial *world_row(struct world *world, const char *study, int64_t number);

/* What Optuna does beside us. A study without a spec; a trial in it, RUNNING or WAITING; a trial's end. */
struct row_study *world_optuna_study(struct world *world, const char *name, const char *space);
struct row_trial *world_optuna_trial(struct world *world, struct row_study *rows, enum trial_state state);
void world_optuna_delete(struct world *world, const char *name);
void world_optuna_finish(struct row_trial *trial, enum trial_state state, double value);

/* Calls, with copies of their answers. */
struct test_offer {
    char study[64];
    int64_t number, attempt;
    char lease[MESSAGE_LEASE_SIZE];
    double x, n;
    char c[8];
};
struct test_ask {
    struct ask_call call;
    bool is_done, is_gone;
    enum problem_type problem;
    char detail[512];
    char state[16];
    size_t n_offers;
    struct test_offer offers[MESSAGE_MAX_COUNT];
};
/* Starts an ask; it is answered during world_run() or later. `request_id` NULL: none; its body hash is made
 * of `count`. */
void world_start_ask(struct world *world, struct test_ask *ask, struct study *study, const char *worker,
                     int64_t count, double wait_s, const char *request_id);
void world_start_ask_of_all(struct world *world, struct test_ask *ask, const char *worker, const char *runner,
                            double wait_s);
void world_start_ask_except(struct world *world, struct test_ask *ask, const char *worker, const char *except,
                            double wait_s);
/* One trial, at once, for worker "w"; there must be one. */
struct test_offer world_ask(struct world *world, struct study *study);

struct test_call {
    struct trial_call call;
    struct study_call study_call;
    bool is_done;
    enum problem_type problem;
    char detail[512];
};
void world_start_tell(struct world *world, struct test_call *call, struct study *study, int64_t number,
                      const char *lease, enum trial_state state, double value);
void world_start_fail(struct world *world, struct test_call *call, struct study *study, int64_t number,
                      const char *lease, enum trial_failure failure);
void world_start_report(struct world *world, struct test_call *call, struct study *study, int64_t number,
                        const char *lease, int32_t step, double value);
void world_start_points(struct world *world, struct test_call *call, struct study *study, int64_t number,
                        const char *lease, size_t n_points, const struct report_point *points);
void world_start_heartbeat(struct world *world, struct test_call *call, struct study *study, int64_t number,
                           const char *lease);
void world_start_enqueue(struct world *world, struct test_call *call, struct study *study, const char *params,
                         const char *request_id);
void world_start_create(struct world *world, struct test_call *call, const char *spec, bool exist_ok);
void world_start_change(struct world *world, struct test_call *call, struct study *study,
                        const struct study_change *change);
void world_start_delete(struct world *world, struct test_call *call, struct study *study, bool force);
/* The same, run to the end: the call's problem, PROBLEM_NONE where it went well. */
enum problem_type world_tell(struct world *world, struct study *study, const struct test_offer *offer,
                             double value);
enum problem_type world_fail(struct world *world, struct study *study, const struct test_offer *offer,
                             enum trial_failure failure);
enum problem_type world_tell_state(struct world *world, struct study *study, const struct test_offer *offer,
                                   enum trial_state state);
enum problem_type world_report(struct world *world, struct study *study, const struct test_offer *offer,
                               int32_t step, double value);
enum problem_type world_set_state(struct world *world, struct study *study, const char *state);
struct trial_view world_view(const struct study *study, int64_t number);
