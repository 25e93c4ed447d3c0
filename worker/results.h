/* SPDX-License-Identifier: MIT */
/*
 * Has any trial of the studies that this worker served a result, or has the objective failed in each? By what
 * it told itself, what it saw of each study when it fetched it, and a last look at the end: others may have
 * had better luck meanwhile.
 */
#pragma once

#include "worker/held_trial.h"

#define HOPELESS_TRIALS 10 /* failed, and none before them that did not */

struct results {
    struct http_client *client;
    void *user;
    void (*looked)(void *user); /* after results_look() */
    /* Its own, zeroed before. */
    char *failed_study; /* whose objective failed last; owned, or NULL */
    bool has_any, has_looked;
    struct http_request look;
};

void results_deinit(struct results *results);
/* A trial that was told. */
void results_take(struct results *results, const struct held_trial *held,
                  const struct lease_outcome *outcome);
/* New trials have come: what a look saw is no longer the last. */
void results_go_on(struct results *results);
/* The objective has failed, and nothing that was seen has a result. */
bool results_are_none(const struct results *results);
/* Looks once more at what has failed, unless that is done. Is it under way? Then looked() comes. */
bool results_look(struct results *results);
/* Has the objective of the trial's study failed so often, and brought nothing, that one more is hopeless? */
bool results_are_hopeless(const struct held_trial *held);
