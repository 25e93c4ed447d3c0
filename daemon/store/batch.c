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

static void fail_record(struct store_record *record, enum store_result result, const char *detail)
{
    record->result = result;
    snprintf(record->detail, sizeof record->detail, "%s", detail);
}

static void reset(struct batch *batch)
{
    free(batch->studies);
    batch->studies = memory_array(batch->n, sizeof *batch->studies);
    batch->n_studies = 0;
    batch->is_look_only = true;
    batch->has_conflict = batch->has_begun = batch->is_in_commit = false;
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
        if (record->change == STORE_CREATE_TRIAL && study)
            study->wants_lock = true;
        if (record->change != STORE_CREATE_STUDY && !study)
            fail_record(record, STORE_CONFLICT, "the study is gone");
    }
}

/* ---- locks and strangers ---- */

/* Puts the ids of the studies that want a lock and have none; false where there are none. */
static bool put_unlocked(const struct batch *batch, struct buffer *ids)
{
    for (size_t i = 0; i < batch->n_studies; i++)
        if (batch->studies[i].wants_lock && !batch->studies[i].is_locked && !batch->studies[i].is_gone)
            buffer_printf(ids, "%s%lld", ids->size ? "," : "", (long long)batch->studies[i].known->study_id);
    return ids->size > 0;
}

static struct batch_study *study_of_row(struct batch *batch)
{
    struct store_record key = {.change = STORE_LOOK, .study_id = sql_int(batch->sql, 0)};
    return batch_study_of(batch, &key);
}

/* Locks in the order of ids what nobody else has locked. A study of another uid is another study under an old
 * id. */
static void lock_studies(struct batch *batch)
{
    BUFFER_AUTO struct buffer ids = {0};
    BUFFER_AUTO struct buffer rest = {0};
    if (!put_unlocked(batch, &ids))
        return;
    sql_query(batch->sql,
              "SELECT s.study_id, a.value_json FROM studies s LEFT JOIN study_system_attributes a "
              "ON a.study_id = s.study_id AND a.`key` = 'studyd:uid' WHERE s.study_id IN (%s) ORDER BY "
              "s.study_id%s",
              buffer_text(&ids), batch->sql->driver->for_update);
    while (sql_next(batch->sql)) {
        struct batch_study *study = study_of_row(batch);
        const char *uid = sql_text(batch->sql, 1);
        study->is_gone = study->has_row && (!uid || !strstr(uid, study->uid));
        study->is_locked = !study->is_gone;
    }
    if (!put_unlocked(batch, &rest))
        return;
    sql_query(batch->sql, "SELECT study_id FROM studies WHERE study_id IN (%s)", buffer_text(&rest));
    while (sql_next(batch->sql))
        study_of_row(batch)->is_held = true;
    for (size_t i = 0; i < batch->n_studies; i++) {
        struct batch_study *study = &batch->studies[i];
        if (study->wants_lock && !study->is_locked && !study->is_held)
            study->is_gone = true;
    }
}

/* Where ids are given away again another study may have this one's by now: its uid tells. Those that want a
 * lock have been asked already. */
static void check_uids(struct batch *batch)
{
    BUFFER_AUTO struct buffer ids = {0};
    for (size_t i = 0; i < batch->n_studies; i++) {
        struct batch_study *study = &batch->studies[i];
        if (!study->has_row || study->wants_lock)
            continue;
        study->is_gone = true;
        buffer_printf(&ids, "%s%lld", ids.size ? "," : "", (long long)study->known->study_id);
    }
    if (!ids.size)
        return;
    sql_query(batch->sql,
              "SELECT study_id, value_json FROM study_system_attributes WHERE `key` = 'studyd:uid' AND "
              "study_id IN (%s)",
              buffer_text(&ids));
    while (sql_next(batch->sql)) {
        struct batch_study *study = study_of_row(batch);
        const char *uid = sql_text(batch->sql, 1);
        study->is_gone &= !uid || !strstr(uid, study->uid);
    }
}

static int64_t changed_trial(const struct store_record *record)
{
    switch (record->change) {
    case STORE_START_TRIAL:
    case STORE_RELEASE_TRIAL:
    case STORE_FINISH_TRIAL:
        return record->trial.trial_id;
    case STORE_REPORT:
        return record->report.trial_id;
    default:
        return 0;
    }
}

/* Holds the studies of those trials that somebody else has locked. */
static void lock_trials(struct batch *batch)
{
    BUFFER_AUTO struct buffer all = {0};
    BUFFER_AUTO struct buffer locked = {0};
    for (size_t i = 0; i < batch->n; i++) {
        int64_t trial_id = changed_trial(batch->records[i]);
        if (trial_id)
            buffer_printf(&all, "%s%lld", all.size ? "," : "", (long long)trial_id);
    }
    if (!all.size)
        return;
    sql_query(batch->sql, "SELECT trial_id FROM trials WHERE trial_id IN (%s) ORDER BY trial_id%s",
              buffer_text(&all), batch->sql->driver->for_update);
    while (sql_next(batch->sql))
        buffer_printf(&locked, "%lld,", (long long)sql_int(batch->sql, 0));
    sql_query(batch->sql,
              "SELECT DISTINCT study_id FROM trials WHERE trial_id IN (%s) AND trial_id NOT IN (%s0)",
              buffer_text(&all), buffer_text(&locked));
    while (sql_next(batch->sql)) {
        struct batch_study *study = study_of_row(batch);
        if (study)
            study->is_held = true;
    }
}

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

static void fail_gone(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_study *study = batch_study_of(batch, batch->records[i]);
        if (study && study->is_gone && !study->is_held)
            fail_record(batch->records[i], STORE_CONFLICT, "the study is gone");
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
        if (batch_study_of(batch, record) != study || study->is_held || study->is_gone ||
            record->change != STORE_CREATE_TRIAL)
            continue;
        if (record->trial.number == study->next_number) {
            study->next_number++;
        } else {
            fail_record(record, STORE_STRANGERS, "somebody else added trials");
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
    snprintf(condition, sizeof condition, "= %lld", (long long)changed_trial(record));
    load_trials(batch->sql, batch_study_of(batch, record)->known, condition, 1, &list);
    fail_record(record, STORE_CONFLICT, list.n ? "the trial was changed from outside" : "the trial is gone");
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
        return BATCH_SPLIT;
    }
    return BATCH_LOST;
}

/* Was it refused because what it belongs to was deleted? (Optuna's tables have foreign keys.) */
static bool is_orphan(struct batch *batch, const struct store_record *record)
{
    int64_t trial_id = changed_trial(record);
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
    sql_rollback(sql);
    enum batch_outcome outcome = outcome_of(sql);
    sql_forget(sql);
    if (outcome == BATCH_DONE) /* no error of the database: a conflict */
        outcome = BATCH_SPLIT;
    if (outcome != BATCH_SPLIT || batch->n > 1)
        return outcome;
    struct store_record *record = batch->records[0];
    char why[SQL_ERROR_SIZE];
    snprintf(why, sizeof why, "%s", sql->error);
    if (!batch->has_conflict && !is_orphan(batch, record)) {
        fail_record(record, STORE_REFUSED, why);
        return outcome_of(sql);
    }
    read_conflict(batch, record);
    return outcome_of(sql);
}

static void write_all(struct batch *batch)
{
    lock_studies(batch);
    if (batch->sql->driver->reuses_ids)
        check_uids(batch);
    if (batch->is_careful)
        lock_trials(batch);
    fail_gone(batch);
    for (size_t i = 0; i < batch->n_studies; i++)
        if (batch->studies[i].wants_lock)
            number_trials(batch, &batch->studies[i]);
    batch_put_studies(batch);
    batch_put_trials(batch);
}

enum batch_outcome batch_try(struct batch *batch)
{
    struct sql *sql = batch->sql;
    require(batch->n > 0);
    reset(batch);
    if (batch->is_look_only) {
        look_all(batch);
        enum batch_outcome outcome = outcome_of(sql);
        return outcome == BATCH_DONE ? outcome : give_up(batch);
    }
    if (!owner_begin(batch->owner, sql))
        return sql->status == SQL_OK ? BATCH_DEPOSED : give_up(batch);
    batch->has_begun = true;
    write_all(batch);
    look_all(batch);
    if (sql->status != SQL_OK || batch->has_conflict)
        return give_up(batch);
    sql_commit(sql);
    if (sql->status != SQL_OK) {
        batch->is_in_commit = true;
        return give_up(batch);
    }
    batch->owner->batch++;
    return BATCH_DONE;
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
