/* SPDX-License-Identifier: MIT */
/* Turns records into one fenced transaction: locks, looks for strangers, writes, commits. */
#include "daemon/store/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"

#define MAX_STRANGERS 10000 /* brought at once; the rest with the next record */

void record_free_foreign(struct store_record *record)
{
    struct trial_list list = {.n = record->n_foreign, .trials = (struct store_trial *)record->foreign};
    trial_list_deinit(&list);
    record->n_foreign = 0;
    record->foreign = NULL;
}

static void give_foreign(struct store_record *record, struct trial_list *list)
{
    record->foreign = list->trials;
    record->n_foreign = list->n;
    *list = (struct trial_list){0};
}

struct batch_study *batch_study_of(const struct batch *batch, const struct store_record *record)
{
    size_t low = 0, high = batch->n_studies;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->studies[middle].known->study_id < record->study_id)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_found = low < batch->n_studies && batch->studies[low].known->study_id == record->study_id;
    return is_found && record->change != STORE_CREATE_STUDY ? &batch->studies[low] : NULL;
}

bool batch_is_held(const struct batch *batch, const struct store_record *record)
{
    const struct batch_study *study = batch_study_of(batch, record);
    return study && study->is_held;
}

bool batch_is_active(const struct batch *batch, const struct store_record *record)
{
    return record->result == STORE_DONE && !batch_is_held(batch, record);
}

/* ---- which studies ---- */

static void open_study(struct batch *batch, const struct store_record *record)
{
    struct known_study *known = known_find(batch->known, record->study_id);
    if (!known)
        return;
    size_t i = batch->n_studies;
    while (i > 0 && batch->studies[i - 1].known->study_id > record->study_id)
        i--;
    memmove(batch->studies + i + 1, batch->studies + i, (batch->n_studies - i) * sizeof *batch->studies);
    batch->n_studies++;
    batch->studies[i] = (struct batch_study){
        .known = known,
        .has_row = known->has_row,
        .uid = record->uid,
        .last_trial_id = known->last_trial_id,
        .next_number = known->next_number,
    };
}

void batch_fail_record(struct store_record *record, enum store_result result, const char *detail)
{
    record->result = result;
    snprintf(record->detail, sizeof record->detail, "%s", detail);
}

/* What changes the study's row, or adds one that hangs on it, needs it to be there, and nobody else at it.
 * Where ids are given away again everything must know that it is still the same study. */
static bool needs_lock(const struct batch *batch, const struct store_record *record)
{
    switch (record->change) {
    case STORE_CREATE_TRIAL:
    case STORE_CHANGE_STUDY:
    case STORE_DELETE_STUDY:
        return true;
    case STORE_LOOK:
        return batch->sql->driver->reuses_ids;
    default:
        return batch->sql->driver->reuses_ids || !batch_study_of(batch, record)->has_row;
    }
}

static void reset(struct batch *batch)
{
    free(batch->studies);
    batch->studies = memory_array(batch->n, sizeof *batch->studies);
    batch->n_studies = 0;
    batch->is_look_only = true;
    batch->has_begun = batch->is_in_commit = false;
    for (size_t i = 0; i < batch->n; i++) {
        struct store_record *record = batch->records[i];
        record_free_foreign(record);
        record->result = STORE_DONE;
        record->detail[0] = '\0';
        if (record->change != STORE_CREATE_STUDY && !batch_study_of(batch, record))
            open_study(batch, record);
        struct batch_study *study = batch_study_of(batch, record);
        if (record->change != STORE_LOOK)
            batch->is_look_only = false;
        if (study && needs_lock(batch, record))
            study->wants_lock = true;
        if (study && record->change == STORE_CREATE_TRIAL)
            study->wants_number = true;
        if (record->change != STORE_CREATE_STUDY && !study)
            batch_fail_record(record, STORE_CONFLICT, "the study is gone");
    }
}

/* ---- strangers ---- */

/* Takes in the trials that others added behind the last one that we know. */
static void read_strangers(struct batch *batch, struct batch_study *study, struct trial_list *list)
{
    char condition[64];
    snprintf(condition, sizeof condition, "> %lld", (long long)study->last_trial_id);
    size_t first = list->n;
    load_trials(batch->sql, study->known, condition, MAX_STRANGERS, list);
    for (size_t i = first; i < list->n; i++) {
        study->last_trial_id = list->trials[i].trial_id;
        if (list->trials[i].number >= study->next_number)
            study->next_number = list->trials[i].number + 1;
    }
}

/* A new trial's number is right only if it is the next one. */
static void number_trials(struct batch *batch, struct batch_study *study)
{
    struct trial_list strangers = {0};
    if (study->is_locked)
        read_strangers(batch, study, &strangers);
    for (size_t i = 0; i < batch->n; i++) {
        struct store_record *record = batch->records[i];
        if (batch_study_of(batch, record) != study || record->change != STORE_CREATE_TRIAL ||
            !batch_is_active(batch, record))
            continue;
        if (record->trial.number == study->next_number) {
            study->next_number++;
        } else {
            batch_fail_record(record, STORE_STRANGERS, "somebody else added trials");
            if (strangers.n)
                give_foreign(record, &strangers);
        }
    }
    trial_list_deinit(&strangers);
}

/* ---- looking ---- */

static void look(struct batch *batch, struct store_record *record)
{
    struct batch_study *study = batch_study_of(batch, record);
    struct trial_list list = {0};
    if (record->look.n_trials) {
        BUFFER_AUTO struct buffer condition = {0};
        buffer_append_text(&condition, "IN ");
        sql_put_ids(&condition, record->look.trial_ids, record->look.n_trials);
        load_trials(batch->sql, study->known, buffer_text(&condition), record->look.n_trials, &list);
    }
    read_strangers(batch, study, &list);
    give_foreign(record, &list);
}

static void look_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (batch->records[i]->change == STORE_LOOK && batch_is_active(batch, batch->records[i]))
            look(batch, batch->records[i]);
}

/* ---- outcomes ---- */

/* One record alone could not be applied: the row as it is now tells why. */
static void read_conflict(struct batch *batch, struct store_record *record)
{
    char condition[64];
    struct trial_list list = {0};
    snprintf(condition, sizeof condition, "= %lld", (long long)batch_changed_trial(record));
    load_trials(batch->sql, batch_study_of(batch, record)->known, condition, 1, &list);
    batch_fail_record(record, STORE_CONFLICT,
                      list.n ? "the trial was changed from outside" : "the trial is gone");
    give_foreign(record, &list);
}

static enum batch_outcome outcome_of(const struct sql *sql)
{
    switch (sql->status) {
    case SQL_OK:
        return BATCH_DONE;
    case SQL_RETRY:
        return BATCH_RETRY;
    case SQL_LOST:
    case SQL_FATAL:
        return BATCH_LOST;
    case SQL_REFUSED:
    case SQL_UNMATCHED:
        return BATCH_SPLIT;
    }
    return BATCH_LOST;
}

/* Was it refused because what it belongs to was deleted? (Optuna's tables have foreign keys.) */
static bool is_orphan(struct batch *batch, const struct store_record *record)
{
    int64_t trial_id = batch_changed_trial(record);
    int64_t n = 0;
    if (record->change == STORE_CREATE_STUDY)
        return false;
    if (trial_id)
        sql_query(batch->sql, "SELECT COUNT(*) FROM trials WHERE trial_id = %lld AND study_id = %lld",
                  (long long)trial_id, (long long)record->study_id);
    else
        sql_query(batch->sql, "SELECT COUNT(*) FROM studies WHERE study_id = %lld",
                  (long long)record->study_id);
    while (sql_next(batch->sql))
        n = sql_int(batch->sql, 0);
    return batch->sql->status == SQL_OK && n == 0;
}

/* The transaction is not to be committed. */
static enum batch_outcome give_up(struct batch *batch)
{
    struct sql *sql = batch->sql;
    bool is_conflict =
        sql->status == SQL_UNMATCHED; /* a conditional UPDATE found fewer rows than it should */
    bool is_deposed = !batch->is_look_only && owner_is_deposed(sql);
    batch->has_begun = !batch->is_look_only && owner_has_begun(sql);
    sql_rollback(sql);
    enum batch_outcome outcome = outcome_of(sql);
    sql_forget(sql);
    if (is_deposed && outcome == BATCH_SPLIT)
        return BATCH_DEPOSED;
    if (outcome == BATCH_SPLIT && !batch->has_begun && !batch->is_look_only) /* no record is to blame */
        return BATCH_RETRY;
    if (outcome != BATCH_SPLIT || batch->n > 1)
        return outcome;
    struct store_record *record = batch->records[0];
    char why[SQL_ERROR_SIZE];
    snprintf(why, sizeof why, "%s", sql->error);
    if (!is_conflict && !is_orphan(batch, record)) {
        batch_fail_record(record, STORE_REFUSED, why);
        return outcome_of(sql);
    }
    read_conflict(batch, record);
    return outcome_of(sql);
}

static void write_all(struct batch *batch)
{
    for (size_t i = 0; i < batch->n_studies; i++)
        if (batch->studies[i].wants_number)
            number_trials(batch, &batch->studies[i]);
    batch_put_studies(batch);
    batch_put_trials(batch);
}

/* Is there anything to be committed? */
static bool has_changes(const struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (batch->records[i]->change != STORE_LOOK && batch_is_active(batch, batch->records[i]))
            return true;
    return false;
}

static enum batch_outcome look_only(struct batch *batch)
{
    batch_lock(batch);
    look_all(batch);
    enum batch_outcome outcome = outcome_of(batch->sql);
    return outcome == BATCH_DONE ? outcome : give_up(batch);
}

static enum batch_outcome leave_unchanged(struct batch *batch)
{
    sql_rollback(batch->sql);
    return batch->sql->status == SQL_OK ? BATCH_DONE : give_up(batch);
}

enum batch_outcome batch_try(struct batch *batch)
{
    struct sql *sql = batch->sql;
    require(batch->n > 0);
    reset(batch);
    if (batch->is_look_only)
        return look_only(batch);
    owner_begin(batch->owner, sql);
    batch_lock(batch);
    write_all(batch);
    look_all(batch);
    if (!has_changes(batch)) {
        sql_run_late(sql);
        return sql->status == SQL_OK ? leave_unchanged(batch) : give_up(batch);
    }
    sql_commit(sql);
    if (sql->status == SQL_OK) {
        batch->owner->batch++;
        return BATCH_DONE;
    }
    batch->is_in_commit = sql->may_be_committed; /* only `batch`, on a new connection, tells */
    return batch->is_in_commit ? BATCH_LOST : give_up(batch);
}

static void accept_study(const struct batch_study *study)
{
    struct known_study *known = study->known;
    known->last_trial_id = study->last_trial_id;
    known->next_number = study->next_number;
    if (study->has_row && !known->has_row && uid_read(known->uid, study->uid) == 0)
        known->has_row = true;
    struct space *space = study->spec_json ? space_of_spec(study->spec_json) : NULL;
    if (!space)
        return;
    space_free(known->space);
    known->space = space;
    known->has_spec = true;
}

static void accept_deleted(struct known *known, const struct known_study *study, struct garbage_list *garbage)
{
    garbage_add(garbage, study->study_id, study->uid);
    known_remove(known, study->study_id);
}

static void accept_new_study(struct batch *batch, const struct store_record *record)
{
    struct known_study *known = memory_new(sizeof *known);
    known->study_id = record->study_id;
    known->has_row = uid_read(known->uid, record->uid) == 0;
    if (record->study.spec_json)
        known->space = space_of_spec(record->study.spec_json);
    known->has_spec = known->space != NULL;
    known_add(batch->known, known);
}

void batch_accept(struct batch *batch, struct garbage_list *garbage)
{
    for (size_t i = 0; i < batch->n_studies; i++)
        if (!batch->studies[i].is_held && !batch->studies[i].is_gone)
            accept_study(&batch->studies[i]);
    for (size_t i = 0; i < batch->n; i++)
        if (batch->records[i]->change == STORE_CREATE_STUDY && batch->records[i]->result == STORE_DONE)
            accept_new_study(batch, batch->records[i]);
    for (size_t i = 0; i < batch->n_studies; i++)
        if (batch->studies[i].is_deleted)
            accept_deleted(batch->known, batch->studies[i].known, garbage);
    batch->n_studies = 0;
}

void batch_deinit(struct batch *batch)
{
    free(batch->studies);
    batch->studies = NULL;
    batch->n_studies = 0;
}
