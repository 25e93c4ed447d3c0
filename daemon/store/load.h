/* SPDX-License-Identifier: MIT */
/* Reads studies and trials as the database holds them. Times are UTC; Optuna's encodings end here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/garbage.h"
#include "daemon/store/known.h"
#include "daemon/store/sql.h"
#include "daemon/store/store.h"

struct trial_list {
    size_t n;
    struct store_trial *trials; /* in ascending trial_id; what they point to is owned */
};

struct loaded_study {
    struct store_study study;  /* what it points to is owned */
    struct known_study *known; /* owned until somebody takes it and leaves NULL */
    struct trial_list trials;  /* all of them, where they were read with the study */
};

struct study_list {
    size_t n;
    struct loaded_study *studies; /* in ascending study_id */
    struct garbage_list garbage;  /* what studies leave that are being deleted, or that others deleted */
};
/* All studies but those that are being deleted; or of those with these `ids` ("1,2,3"), where not NULL, and
 * then `garbage` is of no use. Check sql->status. */
void load_studies(struct sql *sql, const char *ids, struct study_list *list);
void study_list_deinit(struct study_list *list);

/* The study's trials whose id fulfils `condition` ("> 17", "IN (1,2)"), the first `limit` of them, appended
 * to `list`. Check sql->status; the list is sound either way. */
void load_trials(struct sql *sql, const struct known_study *study, const char *condition, size_t limit,
                 struct trial_list *list);
/* The study's next trials behind the id `after`, some thousands of them, appended in the same way; nothing
 * where there are no more. */
void load_next_trials(struct sql *sql, const struct known_study *study, int64_t after,
                      struct trial_list *list);
void trial_list_deinit(struct trial_list *list);

/* "RUNNING" <-> TRIAL_RUNNING */
extern const char *const optuna_states[];
