/* SPDX-License-Identifier: MIT */
/*
 * Who may write: one owner at a time, and whatever an earlier one still tries afterwards changes nothing.
 *
 * The lock keeps a second studyd waiting. The epoch is what makes it safe: a new owner raises it before it
 * loads, and each transaction begins with an UPDATE that matches no row where the epoch is no longer ours.
 * `batch` counts the committed ones, so that after a lost connection it tells whether the last COMMIT
 * happened.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/sql.h"

struct owner {
    int64_t epoch; /* 0: never owned */
    int64_t batch; /* transactions known to be committed */
};

enum owner_result {
    OWNER_MINE,
    OWNER_OTHER,   /* another process holds the lock: `who` says which */
    OWNER_DEPOSED, /* another one has owned it since we did */
    OWNER_FAILED,  /* sql->status says why */
};

#define OWNER_WHO_SIZE 300

/* First time: takes the lock, makes the tables ready, and raises the epoch. Later, on a new connection: takes
 * the lock again and reads `batch`, which may be one more than it was. */
enum owner_result owner_take(struct owner *owner, struct sql *sql, char who[OWNER_WHO_SIZE]);

/* Begins a transaction, with its first statement. Where that fails, owner_has_begun() tells whether the
 * beginning did; owner_is_deposed(), whether it is because the database is no longer ours. */
void owner_begin(const struct owner *owner, struct sql *sql);
bool owner_has_begun(const struct sql *sql);
bool owner_is_deposed(const struct sql *sql);
