/* SPDX-License-Identifier: MIT */
/*
 * Records as one transaction.
 *
 * batch_try() does all or nothing. Whoever calls it decides what comes next: send the same again, split it in
 * two, or find a new connection first. Until the records are taken over by batch_accept() nothing outside
 * them has changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/store/garbage.h"
#include "daemon/store/known.h"
#include "daemon/store/load.h"
#include "daemon/store/owner.h"
#include "daemon/store/sql.h"
#include "daemon/store/store.h"

enum batch_outcome {
    BATCH_DONE,    /* committed, or nothing was to be committed; results stand in the records */
    BATCH_RETRY,   /* rolled back; the same again may work */
    BATCH_LOST,    /* a new connection is needed; the COMMIT may have happened */
    BATCH_SPLIT,   /* rolled back; one of several records cannot be applied */
    BATCH_DEPOSED, /* rolled back; the database is no longer ours */
};

/* A study that records of the batch concern; what becomes true with the commit. */
struct batch_study {
    struct known_study *known; /* borrowed */
    bool wants_number;         /* of new trials */
    bool wants_lock, is_locked, is_gone;
    bool is_held; /* somebody else has a row of the study locked: its records wait */
    bool has_row, is_deleted;
    const char *uid;       /* borrowed from a record */
    const char *spec_json; /* attached in this batch; or NULL */
    int64_t last_trial_id, next_number;
    int64_t seq; /* highest among the records, 0: none */
};

struct batch {
    struct sql *sql;
    struct owner *owner;
    struct known *known;
    struct store_record **records; /* in queue order */
    size_t n;
    bool is_careful; /* somebody is in the way: waits for no lock, but holds the studies whose rows others
                        have locked */
    size_t n_studies;
    struct batch_study *studies; /* owned, in ascending study_id */
    bool is_look_only;           /* nothing to commit */
    bool has_begun;              /* when it failed; where not, all records are equally innocent */
    bool is_in_commit;           /* when it failed */
};

/* Tries `n` records, at least one. With one record BATCH_SPLIT never comes: it has its own result then. */
enum batch_outcome batch_try(struct batch *batch);
/* Must the record be tried again later, because somebody else has its study locked? Between batch_try() and
 * batch_accept(). */
bool batch_is_held(const struct batch *batch, const struct store_record *record);
/* After BATCH_DONE, or BATCH_LOST where it turned out that it was committed: the table of studies learns what
 * happened, and what deleted studies leave is added to `garbage`. */
void batch_accept(struct batch *batch, struct garbage_list *garbage);
void batch_deinit(struct batch *batch);

/* The study of a record, NULL for CREATE_STUDY. */
struct batch_study *batch_study_of(const struct batch *batch, const struct store_record *record);
/* Is the record to be applied by this transaction? */
bool batch_is_active(const struct batch *batch, const struct store_record *record);
/* The trial that the record changes; 0 where it changes none that is there. */
int64_t batch_changed_trial(const struct store_record *record);
void record_free_foreign(struct store_record *record);
void batch_fail_record(struct store_record *record, enum store_result result, const char *detail);

/* In batch_lock.c. Holds the studies whose rows others have locked, fails what concerns one that is gone.
 * Check sql->status. */
void batch_lock(struct batch *batch);

/* The rows of studies and trials, in batch_study.c and batch_trial.c. Check sql->status. */
void batch_put_studies(struct batch *batch);
void batch_put_trials(struct batch *batch);
