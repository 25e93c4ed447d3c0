/* SPDX-License-Identifier: MIT */
/*
 * A slot: one trial at a time, on one device, in a runner process that is kept from trial to trial. What
 * becomes of a trial is told behind its back: the slot is free as soon as the runner is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "worker/data_paths.h"
#include "worker/devices.h"
#include "worker/held_trial.h"
#include "worker/runner_table.h"
#include "worker/slot_state.h"

struct slot;

/* What all slots share, and whom they tell; it outlives them. */
struct slot_host {
    uv_loop_t *loop;
    const struct runner_table *runners;
    const struct data_paths *data;
    int64_t threads;
    uint64_t trial_timeout_ms; /* 0: none */
    uint64_t start_timeout_ms;
    uint64_t ask_ahead_below_ms;
    uint64_t silence_warning_ms; /* 0: none */
    void *user;
    void (*changed)(void *user, struct slot *slot); /* it became idle, paused or stopped */
    /* The trial's study needs what this worker does not have. */
    void (*cannot_serve)(void *user, const char *study, const char *why);
    /* The study's runner did not start, `n_in_a_row` times now in this slot. */
    void (*cannot_start)(void *user, struct slot *slot, const char *study, unsigned n_in_a_row,
                         const char *why);
    void (*has_started)(void *user); /* a runner became ready */
};

struct slot_totals {
    int64_t n_told[TRIAL_WAITING + 1]; /* by enum trial_state; WAITING: handed back */
    uint64_t in_state_ms[SLOT_N_STATES];
};

[[nodiscard]] struct slot *slot_new(const struct slot_host *host, const struct slot_place *place);
void slot_free(struct slot *slot); /* a stopped one */
const char *slot_name(const struct slot *slot);
enum slot_state slot_state(const struct slot *slot);
/* Gives an idle slot a ready trial, which is the slot's until it has told what became of it. */
void slot_take(struct slot *slot, struct held_trial *held);
/* Should another trial be asked for? An idle slot wants one once studyd knows what became of its last: the
 * next is sampled with that. One whose trials are short wants the next already while it runs. */
bool slot_wants_trial(const struct slot *slot);
/* Is there a use for a trial that is here already: is the slot idle, or free again soon? One that has been at
 * its trial for long is not: somebody else shall have it. */
bool slot_can_use_trial(const struct slot *slot);
/* Studyd has answered for a trial that it ran. */
void slot_trial_over(struct slot *slot, const struct lease_outcome *outcome);
/* Hands the trial back, kills the runner. changed() says when it has stopped. */
void slot_stop(struct slot *slot);
/* The worker leaves at once: the runner goes now, with all that it started. */
void slot_kill_runner(const struct slot *slot);
/* Up to now. */
struct slot_totals slot_totals(const struct slot *slot);
