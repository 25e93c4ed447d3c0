/* SPDX-License-Identifier: MIT */
/*
 * A trial that this worker holds, from studyd's offer until studyd knows how it ended.
 *
 *   FETCHING --its study is known--> READY --held_trial_run()--> RUNNING
 *      |                               |                            |
 *      +----------- held_trial_tell(), or the lease was lost -------+--> TELLING --> over, freed
 *
 * Its lease is kept alive all the while. Telling needs no slot: that one goes on to the next trial.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proto/http_client.h"
#include "proto/message.h"
#include "worker/lease.h"

struct held_trial;
struct slot;

/* What all held trials share; it outlives them. The calls come from the loop, never from within a call to the
 * trial. */
struct held_trial_host {
    uv_loop_t *loop;
    struct http_client *client;
    void *user;
    void (*ready)(void *user); /* one more may be run */
    /* Once, also for one that was lost; not to be used afterwards. */
    void (*over)(void *user, struct held_trial *trial, const struct lease_outcome *outcome);
    void (*freed)(void *user); /* after `over`: its handles are closed */
};

/* What a slot is told of the trial that it runs. */
struct held_trial_events {
    void (*prune)(struct slot *slot);
    void (*lost)(struct slot *slot, const char *why); /* the trial is not ours any more: stop working on it */
};

/* Takes the offer; `offer->study` is there. */
[[nodiscard]] struct held_trial *held_trial_new(const struct held_trial_host *host,
                                                struct offer_message *offer);
bool held_trial_is_ready(const struct held_trial *trial);
bool held_trial_is_waiting(const struct held_trial *trial); /* FETCHING or READY: it needs a slot */
const struct offer_message *held_trial_offer(const struct held_trial *trial);
/* What GET /v1/studies/{study} answered; borrowed. */
json_t *held_trial_study(const struct held_trial *trial);
/* A ready one is run by `slot`, whose name is for the log. */
void held_trial_run(struct held_trial *trial, struct slot *slot, const char *slot_name,
                    const struct held_trial_events *events);
/* Who ran it; NULL: nobody. */
struct slot *held_trial_slot(const struct held_trial *trial);
void held_trial_report(struct held_trial *trial, const struct report_point *point);
/* Ends it: studyd is told, until it answers. Takes the message; `ran_ms` is for the log, 0: it did not run.
 */
void held_trial_tell(struct held_trial *trial, struct tell_message *message, uint64_t ran_ms);
/* The same, of one that did not run: somebody else may have it at once. */
void held_trial_hand_back(struct held_trial *trial, const char *reason);

/* What became of it, as studyd counts: a result with a NaN in it is a failure. Of an outcome that was told.
 */
enum trial_state held_trial_became(const struct lease_outcome *outcome);

/* For the list that holds it. */
struct held_trial **held_trial_next(struct held_trial *trial);
