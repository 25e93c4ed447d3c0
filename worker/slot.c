/* SPDX-License-Identifier: MIT */
/* A slot's life: which trial it runs, which runner it keeps, and what becomes of both. */
#include "worker/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "worker/assignment.h"
#include "worker/runner.h"
#include "worker/silence.h"

#define PAUSE_FIRST_MS 500
#define PAUSE_MOST_MS 60000

struct slot {
    const struct slot_host *host;
    const struct slot_place *place;
    enum slot_state state;
    bool is_stopping;
    struct slot_totals totals;
    uint64_t state_since_ms;

    /* the trial; NULL where there is none */
    struct held_trial *held;
    struct runner_trial trial;         /* owned; what the runner is given */
    const struct runner_entry *wanted; /* the runner that the trial needs */
    uint64_t running_since_ms;         /* 0: it did not get so far */
    uint64_t last_trial_ms;            /* how long the last one took; 0: there was none, or it failed */
    struct silence silence;            /* while it runs */
    size_t n_untold;                   /* trials that it ran, and that studyd has not answered for yet */

    /* the runner */
    struct runner *runner;            /* NULL where there is none */
    const struct runner_entry *entry; /* which one that is */
    bool was_ready;
    bool has_done_a_trial;
    bool has_spoken;                      /* of the trial that it has now */
    unsigned n_bad_starts, n_crashes;     /* in a row */
    const struct runner_entry *bad_entry; /* whose starts those are */

    uv_timer_t timer; /* RUNNING: time limit; PAUSED: the pause */
    bool has_closed;  /* the timers */
};

/* ---- states ---- */

static void move(struct slot *slot, enum slot_state to)
{
    uint64_t now_ms = uv_now(slot->host->loop);

    require(slot_state_may_become(slot->state, to));
    log_debug("slot %s: %s to %s", slot->place->name, slot_state_names[slot->state], slot_state_names[to]);
    slot->totals.in_state_ms[slot->state] += now_ms - slot->state_since_ms;
    slot->state_since_ms = now_ms;
    slot->state = to;
}

static void timer_closed_cb(uv_handle_t *handle)
{
    struct slot *slot = handle->data;

    move(slot, SLOT_STOPPED);
    slot->host->changed(slot->host->user, slot);
}

/* Once it is asked to stop: is it done? */
static void stop_when_done(struct slot *slot)
{
    if (!slot->is_stopping || slot->held || slot->runner || slot->has_closed)
        return;
    slot->has_closed = true;
    silence_close(&slot->silence);
    uv_close((uv_handle_t *)&slot->timer, timer_closed_cb);
}

static void pause_timer_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;

    move(slot, SLOT_IDLE);
    slot->host->changed(slot->host->user, slot);
}

/* How long this slot keeps away from new trials, after `n` troubles in a row; 0: it does not. */
static uint64_t pause_ms(unsigned n)
{
    if (n == 0)
        return 0;
    return n > 6 ? PAUSE_MOST_MS : (uint64_t)PAUSE_FIRST_MS << (n - 1);
}

/* One crash may be the trial's; from the second in a row on it may be the machine. */
static void rest(struct slot *slot)
{
    uint64_t ms = pause_ms(slot->n_bad_starts > 0 ? slot->n_bad_starts
                           : slot->n_crashes > 1  ? slot->n_crashes - 1
                                                  : 0);

    if (ms == 0 || slot->is_stopping) {
        move(slot, SLOT_IDLE);
    } else {
        log_warning("the slot pauses slot=%s seconds=%g starts_that_failed=%u crashes=%u", slot->place->name,
                    (double)ms / 1000, slot->n_bad_starts, slot->n_crashes);
        move(slot, SLOT_PAUSED);
        uv_timer_start(&slot->timer, pause_timer_cb, ms, 0);
    }
    stop_when_done(slot);
    slot->host->changed(slot->host->user, slot);
}

/* ---- the trial's end ---- */

/* The slot has no trial any more. Returns how long it ran; 0: it did not. */
static uint64_t let_go(struct slot *slot)
{
    uint64_t since_ms = slot->running_since_ms, now_ms = uv_now(slot->host->loop);
    uint64_t ran_ms = !since_ms ? 0 : now_ms > since_ms ? now_ms - since_ms : 1;

    uv_timer_stop(&slot->timer);
    silence_end(&slot->silence);
    runner_trial_deinit(&slot->trial);
    slot->held = NULL;
    slot->n_untold++;
    slot->running_since_ms = 0;
    slot->last_trial_ms = 0;
    return ran_ms;
}

static void tell(struct slot *slot, struct tell_message *message)
{
    struct held_trial *held = slot->held;
    uint64_t ran_ms = let_go(slot);

    if (message->state == TRIAL_COMPLETE || message->state == TRIAL_PRUNED)
        slot->last_trial_ms = ran_ms;
    held_trial_tell(held, message, ran_ms);
    rest(slot);
}

static void tell_failure(struct slot *slot, enum trial_failure failure, const char *reason, json_t *attrs)
{
    struct tell_message message = {.state = TRIAL_FAIL,
                                   .failure = failure,
                                   .reason = memory_strdup(reason),
                                   .user_attrs = json_incref(attrs)};

    tell(slot, &message);
}

static void hand_back(struct slot *slot, const char *reason)
{
    struct tell_message message = {.state = TRIAL_WAITING, .reason = memory_strdup(reason)};

    tell(slot, &message);
}

static void trial_lost(struct slot *slot, const char *why)
{
    if (slot->state == SLOT_RUNNING)
        runner_end(slot->runner, FAILURE_LOST, why);
    let_go(slot);
    rest(slot);
}

static void trial_prune(struct slot *slot)
{
    BUFFER_AUTO struct buffer line = {};

    if (slot->state != SLOT_RUNNING)
        return;
    runner_prune_write(&line);
    runner_send(slot->runner, &line);
}

static const struct held_trial_events trial_events = {.prune = trial_prune, .lost = trial_lost};

/* ---- the runner ---- */

/* The study's limit, or the worker's own where that is shorter; 0: none. */
static uint64_t time_limit_ms(const struct slot *slot, bool *is_the_studys)
{
    uint64_t own_ms = slot->host->trial_timeout_ms, study_ms = slot->trial.timeout_ms;

    *is_the_studys = study_ms > 0 && (own_ms == 0 || study_ms < own_ms);
    return *is_the_studys ? study_ms : own_ms;
}

static void trial_timer_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    bool is_the_studys;
    uint64_t limit_ms = time_limit_ms(slot, &is_the_studys);
    char reason[100];

    snprintf(reason, sizeof reason, "the trial took longer than %g s (%strial_timeout_s)",
             (double)limit_ms / 1000, is_the_studys ? "the study's " : "");
    runner_end(slot->runner, FAILURE_TIMEOUT, reason);
}

/* Nobody but the trial's owner knows how long it may be silent: its lease is kept, and the owner told. */
static void unusual_silence(void *user, uint64_t silent_ms, uint64_t longest_ms)
{
    const struct slot *slot = user;

    log_warning(
        "a trial is silent for unusually long slot=%s study=%s number=%lld seconds=%.3f longest_before=%.3f "
        "reason=\"it may hang, and would be ended by trial_timeout_s\"",
        slot->place->name, slot->trial.study, (long long)slot->trial.number, (double)silent_ms / 1000,
        (double)longest_ms / 1000);
}

static void run_trial(struct slot *slot)
{
    BUFFER_AUTO struct buffer line = {};
    bool is_the_studys;
    uint64_t limit_ms = time_limit_ms(slot, &is_the_studys);

    move(slot, SLOT_RUNNING);
    slot->has_spoken = false;
    slot->running_since_ms = uv_now(slot->host->loop);
    silence_begin(&slot->silence);
    if (limit_ms > 0)
        uv_timer_start(&slot->timer, trial_timer_cb, limit_ms, 0);
    runner_trial_write(&slot->trial, &line);
    runner_send(slot->runner, &line);
}

static const struct runner_events runner_events;

static void start_runner(struct slot *slot)
{
    struct runner_start start = {.entry = slot->wanted,
                                 .label = slot->place->name,
                                 .gpu = slot->place->gpu,
                                 .threads = slot->host->threads,
                                 .start_timeout_ms = slot->host->start_timeout_ms,
                                 .events = &runner_events,
                                 .user = slot};

    slot->entry = slot->wanted;
    slot->was_ready = slot->has_done_a_trial = false;
    slot->runner = runner_new(slot->host->loop, &start);
}

/* STARTING: the runner that is there may be the right one, or must go first. */
static void want_runner(struct slot *slot)
{
    if (!slot->runner)
        start_runner(slot);
    else if (slot->entry != slot->wanted)
        runner_end(slot->runner, FAILURE_KILLED, "another runner takes its place");
    else if (runner_is_ready(slot->runner))
        run_trial(slot);
}

static void runner_ready(void *user)
{
    struct slot *slot = user;

    slot->was_ready = true;
    slot->n_bad_starts = 0;
    slot->host->has_started(slot->host->user);
    if (slot->state == SLOT_STARTING && slot->entry == slot->wanted)
        run_trial(slot);
}

/* done or pruned */
static void tell_result(struct slot *slot, const struct runner_message *message)
{
    struct tell_message told = {.state = message->op == RUNNER_DONE ? TRIAL_COMPLETE : TRIAL_PRUNED,
                                .n_values = message->n_values,
                                .values = memory_array(message->n_values, sizeof told.values[0]),
                                .user_attrs = json_incref(message->attrs)};

    for (size_t i = 0; i < message->n_values; i++)
        told.values[i] = message->values[i];
    tell(slot, &told);
}

/* fail; memory that ran out once is not trusted again: the next trial gets a fresh process. */
static void tell_runners_failure(struct slot *slot, const struct runner_message *message)
{
    if (message->failure == FAILURE_OOM)
        runner_end(slot->runner, FAILURE_KILLED, "it ran out of memory");
    tell_failure(slot, message->failure, message->reason, message->attrs);
}

/* A word after its trial's end. Where it says which trial that was, it is passed over; else the runner is
 * ended, before it can be taken for a word of the next trial. */
static void take_stray(struct slot *slot, const struct runner_message *message)
{
    if (message->has_number) {
        log_warning("a runner spoke of a trial that it does not have, passed over slot=%s number=%lld",
                    slot->place->name, (long long)message->number);
        return;
    }
    log_warning("a runner spoke of a trial when it had none, it is replaced slot=%s", slot->place->name);
    runner_end(slot->runner, FAILURE_OBJECTIVE, "the runner spoke of a trial when it had none");
}

static void runner_message(void *user, const struct runner_message *message)
{
    struct slot *slot = user;

    if (slot->state != SLOT_RUNNING || (message->has_number && message->number != slot->trial.number)) {
        take_stray(slot, message);
        return;
    }
    slot->has_spoken = true;
    silence_break(&slot->silence);
    if (message->op == RUNNER_REPORT) {
        held_trial_report(slot->held, &message->point);
        return;
    }
    slot->n_crashes = 0;
    slot->has_done_a_trial = true;
    if (message->op == RUNNER_FAIL)
        tell_runners_failure(slot, message);
    else
        tell_result(slot, message);
}

/* A runner that does not come up is this machine's trouble: the trial goes back, unspent. */
static void start_failed(struct slot *slot, const char *reason)
{
    const struct offer_message *offer = held_trial_offer(slot->held);

    slot->n_bad_starts = slot->bad_entry == slot->wanted ? slot->n_bad_starts + 1 : 1;
    slot->bad_entry = slot->wanted;
    hand_back(slot, reason);
    slot->host->cannot_start(slot->host->user, slot, offer->study, slot->n_bad_starts, reason);
}

/* A runner may end after a trial. Where the next one was already on its way to it, that trial lost nothing.
 */
static bool has_ended_between_trials(const struct slot *slot, const struct runner_exit *how)
{
    return how->is_clean && slot->has_done_a_trial && !slot->has_spoken;
}

static void runner_gone(void *user, const struct runner_exit *how)
{
    struct slot *slot = user;
    bool never_came_up = !slot->was_ready && slot->entry == slot->wanted;

    slot->runner = NULL;
    slot->entry = NULL;
    if (slot->state == SLOT_RUNNING && has_ended_between_trials(slot, how)) {
        uv_timer_stop(&slot->timer);
        silence_end(&slot->silence);
        move(slot, SLOT_STARTING);
        start_runner(slot);
    } else if (slot->state == SLOT_RUNNING) {
        slot->n_crashes += how->failure != FAILURE_TIMEOUT; /* which is slow enough without a pause */
        tell_failure(slot, how->failure, how->reason, NULL);
    } else if (slot->state == SLOT_STARTING && never_came_up) {
        start_failed(slot, how->reason);
    } else if (slot->state == SLOT_STARTING) {
        start_runner(slot);
    } else {
        log_debug("a runner without a trial is gone slot=%s reason=%s", slot->place->name,
                  LOG_QUOTED(how->reason));
    }
    stop_when_done(slot);
}

static const struct runner_events runner_events = {
    .ready = runner_ready, .message = runner_message, .gone = runner_gone};

/* ---- the slot ---- */

void slot_take(struct slot *slot, struct held_trial *held)
{
    const struct slot_host *host = slot->host;
    struct problem problem = {};

    require(slot->state == SLOT_IDLE);
    slot->held = held;
    held_trial_run(held, slot, slot->place->name, &trial_events);
    move(slot, SLOT_STARTING);
    if (assignment_make(held_trial_study(held), held_trial_offer(held), host->runners, host->data,
                        slot->place, host->threads, &slot->trial, &slot->wanted, &problem)) {
        hand_back(slot, problem.detail);
        host->cannot_serve(host->user, held_trial_offer(held)->study, problem.detail);
        return;
    }
    want_runner(slot);
}

/* Has it been at its trial for less than `times` what counts as short? */
static bool may_end_soon(const struct slot *slot, unsigned times)
{
    uint64_t since_ms = uv_now(slot->host->loop) - slot->state_since_ms;

    return (slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING) &&
           since_ms < times * slot->host->ask_ahead_below_ms;
}

bool slot_wants_trial(const struct slot *slot)
{
    bool is_short = slot->last_trial_ms > 0 && slot->last_trial_ms < slot->host->ask_ahead_below_ms;

    return slot->state == SLOT_IDLE ? is_short || slot->n_untold == 0
                                    : slot->state == SLOT_RUNNING && is_short && may_end_soon(slot, 1);
}

bool slot_can_use_trial(const struct slot *slot)
{
    return slot->state == SLOT_IDLE || may_end_soon(slot, 2);
}

void slot_trial_over(struct slot *slot, const struct lease_outcome *outcome)
{
    slot->n_untold--;
    if (outcome->end == LEASE_TOLD)
        slot->totals.n_told[held_trial_became(outcome)]++;
}

struct slot *slot_new(const struct slot_host *host, const struct slot_place *place)
{
    struct slot *slot = memory_new(sizeof *slot);

    slot->host = host;
    slot->place = place;
    slot->state_since_ms = uv_now(host->loop);
    require(uv_timer_init(host->loop, &slot->timer) == 0);
    slot->timer.data = slot;
    slot->silence =
        (struct silence){.least_ms = host->silence_warning_ms, .user = slot, .unusual = unusual_silence};
    silence_init(&slot->silence, host->loop);
    return slot;
}

void slot_free(struct slot *slot)
{
    require(slot->state == SLOT_STOPPED);
    free(slot);
}

void slot_stop(struct slot *slot)
{
    if (slot->is_stopping)
        return;
    slot->is_stopping = true;
    if (slot->runner)
        runner_end(slot->runner, FAILURE_KILLED, "the worker stops");
    uv_timer_stop(&slot->timer); /* a pause's */
    if (slot->held)
        hand_back(slot, "the worker was stopped");
    else
        stop_when_done(slot);
}

void slot_kill_runner(const struct slot *slot)
{
    if (slot->runner)
        runner_kill(slot->runner);
}

const char *slot_name(const struct slot *slot)
{
    return slot->place->name;
}

enum slot_state slot_state(const struct slot *slot)
{
    return slot->state;
}

struct slot_totals slot_totals(const struct slot *slot)
{
    struct slot_totals totals = slot->totals;

    totals.in_state_ms[slot->state] += uv_now(slot->host->loop) - slot->state_since_ms;
    return totals;
}
