/* SPDX-License-Identifier: MIT */
/* One trial between studyd and the slot that runs it. */
#include "worker/held_trial.h"

#include <stdlib.h>

#include "proto/buffer.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

enum step { FETCHING, READY, RUNNING, TELLING };

struct held_trial {
    const struct held_trial_host *host;
    struct held_trial *next; /* the list's */
    enum step step;
    struct offer_message offer; /* owned */
    struct lease lease;         /* open until the trial is over */
    struct http_request get_study;
    json_t *study; /* owned; NULL while FETCHING */

    struct slot *slot; /* who runs or ran it; NULL: nobody */
    const char *slot_name;
    const struct held_trial_events *events; /* NULL unless RUNNING */
    uint64_t ran_ms;
};

/* ---- how it ended ---- */

/* A result with a NaN in it was told, and studyd calls that a failure. */
static bool is_nan_failure(const struct lease_outcome *outcome)
{
    return outcome->told->state == TRIAL_COMPLETE && outcome->became == TRIAL_FAIL;
}

enum trial_state held_trial_became(const struct lease_outcome *outcome)
{
    return is_nan_failure(outcome) ? TRIAL_FAIL : outcome->told->state;
}

static void describe(const struct held_trial *trial, struct buffer *out)
{
    const struct offer_message *offer = &trial->offer;

    if (trial->slot_name)
        buffer_printf(out, "slot=%s ", trial->slot_name);
    buffer_printf(out, "study=%s number=%lld attempt=%lld", offer->study, (long long)offer->number,
                  (long long)offer->attempt);
    if (trial->ran_ms)
        buffer_printf(out, " seconds=%.3f", (double)trial->ran_ms / 1000);
}

static void log_told(const char *trial, const struct lease_outcome *outcome)
{
    const struct tell_message *told = outcome->told;
    const char *reason = told->reason ? told->reason : "";

    if (told->state == TRIAL_FAIL)
        log_warning("trial failed %s class=%s again=%s reason=%s", trial, trial_failure_names[told->failure],
                    outcome->became == TRIAL_WAITING ? "yes" : "no", LOG_QUOTED(reason));
    else if (told->state == TRIAL_WAITING)
        log_info("trial handed back %s reason=%s", trial, LOG_QUOTED(reason));
    else if (is_nan_failure(outcome))
        log_warning("trial failed %s class=%s value=nan", trial, trial_failure_names[FAILURE_NAN]);
    else if (told->n_values > 0)
        log_info("trial %s %s value=%.9g%s", trial_state_names[told->state], trial, told->values[0],
                 outcome->is_best ? " best=yes" : "");
    else
        log_info("trial %s %s", trial_state_names[told->state], trial);
}

static void log_outcome(const struct held_trial *trial, const struct lease_outcome *outcome)
{
    BUFFER_AUTO struct buffer text = {};

    describe(trial, &text);
    if (outcome->end == LEASE_LOST)
        log_warning("the trial is not ours any more %s reason=%s", buffer_text(&text),
                    LOG_QUOTED(outcome->error));
    else if (outcome->end == LEASE_REFUSED)
        log_error("studyd refused to be told %s reason=%s", buffer_text(&text), LOG_QUOTED(outcome->error));
    else
        log_told(buffer_text(&text), outcome);
}

static void lease_closed_cb(uv_handle_t *handle)
{
    struct held_trial *trial = ((struct lease *)handle->data)->user;
    const struct held_trial_host *host = trial->host;

    free(trial);
    host->freed(host->user);
}

/* ---- the lease ---- */

static void lease_ended(void *user, const struct lease_outcome *outcome)
{
    struct held_trial *trial = user;

    require(!trial->get_study.own); /* cancelled in end(), before the lease could end */
    log_outcome(trial, outcome);
    trial->host->over(trial->host->user, trial, outcome);
    free(trial->offer.study);
    json_decref(trial->offer.params);
    json_decref(trial->study);
    lease_close(&trial->lease, lease_closed_cb);
}

static void end(struct held_trial *trial)
{
    require(trial->step != TELLING);
    trial->step = TELLING;
    trial->events = NULL;
    http_client_cancel(trial->host->client, &trial->get_study);
}

static void lease_lost(void *user, const char *why)
{
    struct held_trial *trial = user;
    const struct held_trial_events *events = trial->events;

    end(trial);
    lease_drop(&trial->lease);
    if (events)
        events->lost(trial->slot, why);
}

static void lease_prune(void *user)
{
    struct held_trial *trial = user;

    if (trial->events)
        trial->events->prune(trial->slot);
}

static const struct lease_events lease_events = {
    .prune = lease_prune, .lost = lease_lost, .ended = lease_ended};

void held_trial_tell(struct held_trial *trial, struct tell_message *message, uint64_t ran_ms)
{
    end(trial);
    trial->ran_ms = ran_ms;
    lease_tell(&trial->lease, message);
}

void held_trial_hand_back(struct held_trial *trial, const char *reason)
{
    struct tell_message message = {.state = TRIAL_WAITING, .reason = memory_strdup(reason)};

    held_trial_tell(trial, &message, 0);
}

void held_trial_report(struct held_trial *trial, const struct report_point *point)
{
    lease_report(&trial->lease, point);
}

/* ---- its study ---- */

static void get_study_done(struct http_request *request, const struct http_answer *answer)
{
    struct held_trial *trial = request->user;

    if (trial->step != FETCHING)
        return; /* cancelled */
    if (answer->status != 200) {
        held_trial_hand_back(trial, answer->error);
        return;
    }
    trial->study = json_incref(answer->json);
    trial->step = READY;
    trial->host->ready(trial->host->user);
}

/* Each trial reads its study anew: one deleted and made again under the same name has another objective. */
static void get_study(struct held_trial *trial)
{
    BUFFER_AUTO struct buffer path = {};

    buffer_append_text(&path, "/v1/studies");
    http_path_append(&path, trial->offer.study);
    trial->get_study = (struct http_request){
        .method = "GET", .path = buffer_text(&path), .done = get_study_done, .user = trial};
    http_client_send(trial->host->client, &trial->get_study);
}

/* ---- the trial ---- */

struct held_trial *held_trial_new(const struct held_trial_host *host, struct offer_message *offer)
{
    struct held_trial *trial = memory_new(sizeof *trial);

    require(offer->study);
    trial->host = host;
    trial->offer = *offer;
    *offer = (struct offer_message){};
    lease_init(&trial->lease, host->loop, host->client, &lease_events, trial);
    lease_start(&trial->lease, trial->offer.study, &trial->offer);
    get_study(trial);
    return trial;
}

void held_trial_run(struct held_trial *trial, struct slot *slot, const char *slot_name,
                    const struct held_trial_events *events)
{
    require(trial->step == READY);
    trial->step = RUNNING;
    trial->slot = slot;
    trial->slot_name = slot_name;
    trial->events = events;
}

bool held_trial_is_ready(const struct held_trial *trial)
{
    return trial->step == READY;
}

bool held_trial_is_waiting(const struct held_trial *trial)
{
    return trial->step == FETCHING || trial->step == READY;
}

const struct offer_message *held_trial_offer(const struct held_trial *trial)
{
    return &trial->offer;
}

json_t *held_trial_study(const struct held_trial *trial)
{
    return trial->study;
}

struct slot *held_trial_slot(const struct held_trial *trial)
{
    return trial->slot;
}

struct held_trial **held_trial_next(struct held_trial *trial)
{
    return &trial->next;
}
