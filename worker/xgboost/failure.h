/* SPDX-License-Identifier: MIT */
/* Why a trial cannot be run or finished, in the words that its study's owner will read. */
#pragma once

#include <stdbool.h>

#include "proto/message.h"

/* A zeroed struct says that nothing went wrong. */
struct failure {
    bool is_set;
    enum trial_failure kind;
    char reason[1024]; /* UTF-8; what was wrong and what would be right */
};

/* Fills `failure` and returns -1, so that a check reads `return failure_set(failure, ...)`. Only the first
 * failure is kept: what follows it is mostly its consequence. */
int failure_set(struct failure *failure, enum trial_failure kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
