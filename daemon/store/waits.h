/* SPDX-License-Identifier: MIT */
/*
 * Studies that wait because another session has rows of theirs locked: since when, and when they are tried
 * again. The operator is told of one that waits for long, and when it is over.
 *
 * Whose lock can be seen is skipped and costs nobody anything. Any other is found by waiting for it in vain
 * (a second in which all others wait too): such a study is tried by itself, and not so often.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/id_set.h"
#include "daemon/store/sql.h"

struct wait {
    int64_t study_id; /* 0: all studies that are to be made */
    uint64_t since_ns, try_at_ns;
    unsigned n_timeouts; /* 0: its lock was seen */
    bool is_told;
    char why[SQL_ERROR_SIZE];
};

/* A zeroed struct is empty. */
struct waits {
    size_t n;
    struct wait *items; /* owned */
    uint64_t round_ns;  /* when it began */
};

void waits_deinit(struct waits *waits);
void waits_begin_round(struct waits *waits);
/* The study waits, since this round or still: its lock was seen; or (`why`) waited for in vain. */
void waits_note_seen(struct waits *waits, int64_t study_id);
void waits_note_timeout(struct waits *waits, int64_t study_id, const char *why);
/* Is it to be tried by itself? */
bool waits_is_alone(const struct waits *waits, int64_t study_id);
/* Is it too early for it? */
bool waits_is_early(const struct waits *waits, int64_t study_id);
/* The end of a round: who is not in `held` waits no longer. Then the others are tried at once: it may have
 * been the same lock. Where it is not so, and with `sql`, those that have waited for long are logged, each
 * once; it reads their names (check its status). */
void waits_settle(struct waits *waits, const struct id_set *held, struct sql *sql);
