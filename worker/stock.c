/* SPDX-License-Identifier: MIT */
/* A list of trials, in the order in which they came. */
#include "worker/stock.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

struct stock {
    struct stock_host host;
    struct held_trial_host trial_host;
    struct held_trial *first; /* those that are not over */
    size_t n_held;            /* those whose memory is not freed */
};

static struct held_trial **find_link(struct stock *stock, const struct held_trial *trial)
{
    struct held_trial **link = &stock->first;

    while (*link != trial)
        link = held_trial_next(*link);
    return link;
}

static void trial_ready(void *user)
{
    struct stock *stock = user;

    stock->host.ready(stock->host.user);
}

static void trial_over(void *user, struct held_trial *trial, const struct lease_outcome *outcome)
{
    struct stock *stock = user;

    *find_link(stock, trial) = *held_trial_next(trial);
    stock->host.over(stock->host.user, trial, outcome);
}

static void trial_freed(void *user)
{
    struct stock *stock = user;

    if (--stock->n_held == 0)
        stock->host.emptied(stock->host.user);
}

struct stock *stock_new(const struct stock_host *host)
{
    struct stock *stock = memory_new(sizeof *stock);

    stock->host = *host;
    stock->trial_host = (struct held_trial_host){.loop = host->loop,
                                                 .client = host->client,
                                                 .user = stock,
                                                 .ready = trial_ready,
                                                 .over = trial_over,
                                                 .freed = trial_freed};
    return stock;
}

void stock_free(struct stock *stock)
{
    require(!stock || stock_is_empty(stock));
    free(stock);
}

void stock_add(struct stock *stock, struct offer_message *offer)
{
    stock->n_held++;
    *find_link(stock, NULL) = held_trial_new(&stock->trial_host, offer);
}

struct held_trial *stock_take(struct stock *stock)
{
    struct held_trial *trial = stock->first;

    while (trial && !held_trial_is_ready(trial))
        trial = *held_trial_next(trial);
    return trial;
}

size_t stock_n_waiting(const struct stock *stock)
{
    size_t n = 0;

    for (struct held_trial *trial = stock->first; trial; trial = *held_trial_next(trial))
        n += held_trial_is_waiting(trial);
    return n;
}

bool stock_is_empty(const struct stock *stock)
{
    return stock->n_held == 0;
}

void stock_hand_back(struct stock *stock, size_t n_kept, const char *reason)
{
    for (struct held_trial *trial = stock->first; trial; trial = *held_trial_next(trial)) {
        if (!held_trial_is_waiting(trial))
            continue;
        if (n_kept > 0)
            n_kept--;
        else
            held_trial_hand_back(trial, reason);
    }
}
