/* SPDX-License-Identifier: MIT */
/* Locks what a batch is about to change, and finds out what others hold and what is gone. */
#include "daemon/store/batch.h"

#include <string.h>

/* Puts the ids of the studies that want a lock and have none; false where there are none. */
static bool put_unlocked(const struct batch *batch, struct buffer *ids)
{
    for (size_t i = 0; i < batch->n_studies; i++)
        if (batch->studies[i].wants_lock && !batch->studies[i].is_locked)
            buffer_printf(ids, "%s%lld", ids->size ? "," : "", (long long)batch->studies[i].known->study_id);
    return ids->size > 0;
}

static struct batch_study *study_of_row(struct batch *batch)
{
    struct store_record key = {.change = STORE_LOOK, .study_id = sql_int(batch->sql, 0)};
    return batch_study_of(batch, &key);
}

/* Reads the studies that have no lock yet, and marks those that are the ones that we know: a study of another
 * uid is another study under an old id. */
static void read_unlocked(struct batch *batch, const char *for_update, bool is_lock)
{
    BUFFER_AUTO struct buffer ids = {0};
    if (!put_unlocked(batch, &ids))
        return;
    sql_query(batch->sql,
              "SELECT s.study_id, a.value_json FROM studies s LEFT JOIN study_system_attributes a "
              "ON a.study_id = s.study_id AND a.`key` = 'studyd:uid' WHERE s.study_id IN (%s) ORDER BY "
              "s.study_id%s",
              buffer_text(&ids), for_update);
    while (sql_next(batch->sql)) {
        struct batch_study *study = study_of_row(batch);
        const char *uid = sql_text(batch->sql, 1);
        bool is_ours = !study->has_row || (uid && strstr(uid, study->uid));
        *(is_lock ? &study->is_locked : &study->is_held) = is_ours;
    }
}

/* Locks in the order of ids what nobody else has locked. Of what is missing then, a row or the uid, somebody
 * else holds what can be read without a lock; the rest is gone. */
static void lock_studies(struct batch *batch)
{
    read_unlocked(batch, batch->sql->driver->for_update, true);
    read_unlocked(batch, "", false);
    for (size_t i = 0; i < batch->n_studies; i++) {
        struct batch_study *study = &batch->studies[i];
        study->is_gone = study->wants_lock && !study->is_locked && !study->is_held;
    }
}

/* Nothing can be done for a study that is gone. */
static void fail_gone(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_study *study = batch_study_of(batch, batch->records[i]);
        if (study && study->is_gone)
            batch_fail_record(batch->records[i], STORE_CONFLICT, "the study is gone");
    }
}

int64_t batch_changed_trial(const struct store_record *record)
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
        int64_t trial_id = batch_changed_trial(batch->records[i]);
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

void batch_lock(struct batch *batch)
{
    lock_studies(batch);
    if (batch->is_careful)
        lock_trials(batch);
    if (batch->sql->status == SQL_OK)
        fail_gone(batch);
}
