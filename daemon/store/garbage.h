/* SPDX-License-Identifier: MIT */
/* What deleted studies leave: their rows are removed in slices, between other work, also after a restart. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/store/known.h"
#include "daemon/store/owner.h"
#include "daemon/store/sql.h"

/* What a deleted study's name becomes, its uid follows: the old one is free at once. */
#define GARBAGE_NAME "studyd:deleted:"

struct garbage {
    int64_t study_id; /* 0: Optuna's rows are gone already, ours are left */
    unsigned char uid[UID_BYTES];
};

struct garbage_list {
    size_t n;
    struct garbage *items; /* owned */
};

void garbage_add(struct garbage_list *list, int64_t study_id, const unsigned char uid[UID_BYTES]);
void garbage_deinit(struct garbage_list *list);
/* Removes some thousand rows of the list's last study in one transaction, and the study from the list when
 * nothing is left. False where the database is no longer ours. Check sql->status. */
[[nodiscard]] bool garbage_remove_slice(struct garbage_list *list, struct owner *owner, struct sql *sql);
