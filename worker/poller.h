/* SPDX-License-Identifier: MIT */
/*
 * Asks studyd for trials: one request at a time, for as many as are wanted.
 *
 * With one study, or with all, the request waits at studyd until there is work. With several named studies
 * they take turns: first nobody waits, and when a whole round gave nothing each waits for a second.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "proto/http_client.h"
#include "proto/message.h"
#include "proto/options.h"
#include "worker/runner_table.h"

struct poller;

struct poller_host {
    uv_loop_t *loop;
    struct http_client *client;
    const char *worker;                /* its name */
    const struct option_list *studies; /* none: all that have one of `runners` */
    const struct runner_table *runners;
    void *user;
    size_t (*count_wanted)(void *user); /* how many trials there is a use for now */
    json_t *(*except)(void *user); /* asking of all: studies that are not wanted; new reference, or NULL */
    void (*give)(void *user,
                 struct offer_message *offer); /* takes the offer; at most as many as were wanted */
    void (*all_finished)(void *user); /* every study that is wanted is finished or stopped; may come again */
    /* Asking again would not help. */
    void (*refused)(void *user, int status, const char *why);
    void (*stopped)(void *user);
};

[[nodiscard]] struct poller *poller_new(const struct poller_host *host);
/* More trials may be wanted: asks, unless it is asking. */
void poller_wake(struct poller *poller);
/* Asks no more. An answer that is on its way is still waited for, for half a second: what it brings is given.
 * Then stopped() comes, and the poller is freed. */
void poller_stop(struct poller *poller);
