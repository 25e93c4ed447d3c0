/* SPDX-License-Identifier: MIT */
/* Changes under way: records at the store, each with its study's next seq, settled when their result is
 * known. */
#pragma once

#include <stdbool.h>

#include "daemon/store/store.h"
#include "proto/problem.h"

struct study;

/* Lives inside whoever changes something, from change_submit() until `settled`. */
struct change {
    struct store_record record; /* the caller fills in what changes */
    struct study *study;
    struct change *next;
    void (*settled)(void *owner); /* may free the owner */
    void *owner;
};

/* 0; or -1 where the store does not take it: `settled` will not come. Gives the record seq, ids and `done`.
 */
[[nodiscard]] int change_submit(struct change *change, struct study *study, void (*settled)(void *owner),
                                void *owner);
/* In settled(): is it committed (and the study still there)? */
bool change_is_done(const struct change *change);
/* In settled(), where it is not: what the client is told. */
void change_set_problem(const struct change *change, struct problem *problem);
/* The same where the store did not take the record. */
void change_set_refused(struct problem *problem);
/* Everything up to this seq is settled: what readers and samplers have seen. */
int64_t change_settled_seq(const struct study *study);
