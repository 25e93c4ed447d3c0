/* SPDX-License-Identifier: MIT */
/*
 * All trials that this worker holds: those that wait for a slot, those that run, those that are being told.
 *
 * A slot whose trials are short would wait for the network and the database's commit between any two of
 * them. So the next one is asked for ahead, and waits here until any slot is free.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "worker/held_trial.h"

struct stock;

struct stock_host {
    uv_loop_t *loop;
    struct http_client *client;
    void *user;
    void (*ready)(void *user); /* stock_take() has one more */
    /* As held_trial_host's. */
    void (*over)(void *user, struct held_trial *trial, const struct lease_outcome *outcome);
    void (*emptied)(void *user); /* stock_is_empty() again */
};

[[nodiscard]] struct stock *stock_new(const struct stock_host *host);
void stock_free(struct stock *stock); /* an empty one */
/* Takes the offer. */
void stock_add(struct stock *stock, struct offer_message *offer);
/* The longest held of those that are ready, or NULL. Whoever takes it runs it or hands it back. */
struct held_trial *stock_take(struct stock *stock);
/* How many wait for a slot, ready or not. */
size_t stock_n_waiting(const struct stock *stock);
/* Nothing waits, runs or is being told. */
bool stock_is_empty(const struct stock *stock);
/* Of those that wait for a slot the `n_kept` longest held stay; the others are handed back. */
void stock_hand_back(struct stock *stock, size_t n_kept, const char *reason);
