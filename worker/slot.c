/* SPDX-License-Identifier: MIT */
/* A slot's life: which trial it has, which runner it keeps, and what becomes of both. */
#include "worker/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "worker/assignment.h"
#include "worker/lease.h"
#include "worker/runner.h"

#define PAUSE_FIRST_MS 500
#define PAUSE_MOST_MS 60000

struct slot {
    const struct slot_host *host;
    const struct slot_place *place;
    enum slot_state state;
    bool is_stopping;
    struct slot_totals totals;
    uint64_t state_since_ms;

    /* the trial */
    struct offer_message offer; /* owned */
    struct lease lease;         /* open from slot_new() on; closed at the stop */
    struct http_request get_study;
    struct runner_trial trial;         /* owned; what the runner is given */
    const struct runner_entry *wanted; /* the runner that the trial needs */
    uint64_t running_since_ms;         /* 0: it did not get so far */

    /* the runner */
    struct runner *runner;            /* NULL where there is none */
    const struct runner_entry *entry; /* which one that is */
    bool was_ready;
    bool has_done_a_trial;
    bool has_spoken;                  /* of the trial that it has now */
    unsigned n_bad_starts, n_crashes; /* in a row */

    uv_timer_t timer; /* RUNNING: time limit; PAUSED: the pause */
    bool has_closed;  /* the timer and the lease */
};

/* -------------------------------------------------------------------------------------------------------
 * states */

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

static void lease_closed_cb(uv_handle_t *handle)
{
    struct slot *slot = ((struct lease *)handle->data)->user;

    uv_close((uv_handle_t *)&slot->timer, timer_closed_cb);
}

/* Once it is asked to stop: is it done? */
static void stop_when_done(struct slot *slot)
{
    bool has_trial = slot->state != SLOT_IDLE && slot->state != SLOT_PAUSED;

    if (!slot->is_stopping || has_trial || slot->runner || slot->has_closed)
        return;
    slot->has_closed = true;
    lease_close(&slot->lease, lease_closed_cb);
}

/* -------------------------------------------------------------------------------------------- the trial's
 * outcome */

static void tell(struct slot *slot, struct tell_message *message)
{
    uv_timer_stop(&slot->timer);
    move(slot, SLOT_TELLING);
    lease_tell(&slot->lease, message);
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

    http_client_cancel(slot->host->client, &slot->get_study);
    tell(slot, &message);
}

/* A result with a NaN in it was told, and studyd calls that a failure. */
static bool is_nan_failure(const struct lease_outcome *outcome)
{
    return outcome->end == LEASE_TOLD && outcome->told->state == TRIAL_COMPLETE &&
           outcome->became == TRIAL_FAIL;
}

static void log_outcome(const struct slot *slot, const struct lease_outcome *outcome)
{
    const struct offer_message *offer = &slot->offer;
    const struct tell_message *told = outcome->told;
    const char *reason = told->reason ? told->reason : "";
    BUFFER_AUTO struct buffer trial = {};

    buffer_printf(&trial, "slot=%s study=%s number=%lld attempt=%lld", slot->place->name, offer->study,
                  (long long)offer->number, (long long)offer->attempt);
    if (slot->running_since_ms)
        buffer_printf(&trial, " seconds=%.3f",
                      (double)(uv_now(slot->host->loop) - slot->running_since_ms) / 1000);

    if (outcome->end == LEASE_LOST)
        log_warning("the trial is not ours any more %s reason=%s", buffer_text(&trial),
                    LOG_QUOTED(outcome->error));
    else if (outcome->end == LEASE_REFUSED)
        log_error("studyd refused to be told %s reason=%s", buffer_text(&trial), LOG_QUOTED(outcome->error));
    else if (told->state == TRIAL_FAIL)
        log_warning("trial failed %s class=%s again=%s reason=%s", buffer_text(&trial),
                    trial_failure_names[told->failure], outcome->became == TRIAL_WAITING ? "yes" : "no",
                    LOG_QUOTED(reason));
    else if (told->state == TRIAL_WAITING)
        log_info("trial handed back %s reason=%s", buffer_text(&trial), LOG_QUOTED(reason));
    else if (is_nan_failure(outcome))
        log_warning("trial failed %s class=%s value=nan", buffer_text(&trial),
                    trial_failure_names[FAILURE_NAN]);
    else if (told->n_values > 0)
        log_info("trial %s %s value=%.9g%s", trial_state_names[told->state], buffer_text(&trial),
                 told->values[0], outcome->is_best ? " best=yes" : "");
    else
        log_info("trial %s %s", trial_state_names[told->state], buffer_text(&trial));
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

static void lease_ended(void *user, const struct lease_outcome *outcome)
{
    struct slot *slot = user;

    log_outcome(slot, outcome);
    if (outcome->end == LEASE_TOLD)
        slot->totals.n_told[is_nan_failure(outcome) ? TRIAL_FAIL : outcome->told->state]++;
    runner_trial_deinit(&slot->trial);
    free(slot->offer.study);
    json_decref(slot->offer.params);
    slot->offer = (struct offer_message){};
    slot->running_since_ms = 0;
    rest(slot);
}

static void lease_lost(void *user, const char *why)
{
    struct slot *slot = user;

    if (slot->state == SLOT_RUNNING)
        runner_end(slot->runner, FAILURE_LOST, why);
    http_client_cancel(slot->host->client, &slot->get_study);
    uv_timer_stop(&slot->timer);
    move(slot, SLOT_TELLING);
    lease_drop(&slot->lease);
}

static void lease_prune(void *user)
{
    struct slot *slot = user;
    BUFFER_AUTO struct buffer line = {};

    if (slot->state != SLOT_RUNNING)
        return;
    runner_prune_write(&line);
    runner_send(slot->runner, &line);
}

static const struct lease_events lease_events = {
    .prune = lease_prune, .lost = lease_lost, .ended = lease_ended};

/* ---------------------------------------------------------------------------------------------------- the
 * runner */

static void trial_timer_cb(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    char reason[100];

    snprintf(reason, sizeof reason, "the trial took longer than %g s (trial_timeout_s)",
             (double)slot->host->trial_timeout_ms / 1000);
    runner_end(slot->runner, FAILURE_TIMEOUT, reason);
}

static void run_trial(struct slot *slot)
{
    BUFFER_AUTO struct buffer line = {};

    move(slot, SLOT_RUNNING);
    slot->has_spoken = false;
    slot->running_since_ms = uv_now(slot->host->loop);
    if (slot->host->trial_timeout_ms > 0)
        uv_timer_start(&slot->timer, trial_timer_cb, slot->host->trial_timeout_ms, 0);
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

static void runner_message(void *user, const struct runner_message *message)
{
    struct slot *slot = user;

    slot->has_spoken = true;
    if (slot->state != SLOT_RUNNING) {
        runner_end(slot->runner, FAILURE_OBJECTIVE, "the runner spoke of a trial when it had none");
    } else if (message->op == RUNNER_REPORT) {
        lease_report(&slot->lease, &message->point);
    } else {
        slot->n_crashes = 0;
        slot->has_done_a_trial = true;
        if (message->op == RUNNER_FAIL)
            tell_runners_failure(slot, message);
        else
            tell_result(slot, message);
    }
}

/* A runner that does not come up is this machine's trouble: the trial goes back, unspent. */
static void start_failed(struct slot *slot, const char *reason)
{
    slot->n_bad_starts++;
    hand_back(slot, reason);
    slot->host->cannot_start(slot->host->user, slot, slot->n_bad_starts, reason);
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
        move(slot, SLOT_STARTING);
        start_runner(slot);
    } else if (slot->state == SLOT_RUNNING) {
        slot->n_crashes++;
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

/* ------------------------------------------------------------------------------------------------- the
 * trial's start */

static void assign(struct slot *slot, json_t *study)
{
    const struct slot_host *host = slot->host;
    struct problem problem = {};

    if (assignment_make(study, &slot->offer, host->runners, host->data, slot->place, host->threads,
                        &slot->trial, &slot->wanted, &problem)) {
        hand_back(slot, problem.detail);
        host->cannot_serve(host->user, problem.detail);
        return;
    }
    move(slot, SLOT_STARTING);
    want_runner(slot);
}

static void get_study_done(struct http_request *request, const struct http_answer *answer)
{
    struct slot *slot = request->user;

    if (slot->state != SLOT_PREPARING)
        return; /* cancelled: the slot was stopped, or the trial lost */
    if (answer->status == 200)
        assign(slot, answer->json);
    else
        hand_back(slot, answer->error);
}

/* Each trial reads its study anew: one deleted and made again under the same name has another objective. */
static void get_study(struct slot *slot)
{
    BUFFER_AUTO struct buffer path = {};

    buffer_append_text(&path, "/v1/studies");
    http_path_append(&path, slot->offer.study);
    slot->get_study = (struct http_request){
        .method = "GET", .path = buffer_text(&path), .done = get_study_done, .user = slot};
    http_client_send(slot->host->client, &slot->get_study);
}

void slot_take(struct slot *slot, struct offer_message *offer)
{
    require(offer->study);
    move(slot, SLOT_PREPARING);
    slot->offer = *offer;
    *offer = (struct offer_message){};
    lease_start(&slot->lease, slot->offer.study, &slot->offer);
    get_study(slot);
}

/* ------------------------------------------------------------------------------------------------------ the
 * slot */

struct slot *slot_new(const struct slot_host *host, const struct slot_place *place)
{
    struct slot *slot = memory_new(sizeof *slot);

    slot->host = host;
    slot->place = place;
    slot->state_since_ms = uv_now(host->loop);
    lease_init(&slot->lease, host->loop, host->client, &lease_events, slot);
    require(uv_timer_init(host->loop, &slot->timer) == 0);
    slot->timer.data = slot;
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
    if (slot->state == SLOT_PREPARING || slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING)
        hand_back(slot, "the worker was stopped");
    uv_timer_stop(&slot->timer);
    stop_when_done(slot);
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
