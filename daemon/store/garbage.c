/* SPDX-License-Identifier: MIT */
/* Removes the rows of deleted studies in slices. */
#include "daemon/store/garbage.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

#define SLICE_ROWS 5000
#define SLICE_TRIALS 1000

/* Children before parents. */
static const struct {
    const char *table, *id;
} trial_tables[] = {
    {"trial_intermediate_values", "trial_intermediate_value_id"},
    {"trial_params", "param_id"},
    {"trial_values", "trial_value_id"},
    {"trial_user_attributes", "trial_user_attribute_id"},
    {"trial_system_attributes", "trial_system_attribute_id"},
    {"trial_heartbeats", "trial_heartbeat_id"},
};
static const char *const study_tables[] = {"study_directions", "study_user_attributes",
                                           "study_system_attributes", "studies"};

void garbage_add(struct garbage_list *list, int64_t study_id, const unsigned char uid[UID_BYTES])
{
    list->items = memory_resize(list->items, list->n + 1, sizeof *list->items);
    struct garbage *garbage = &list->items[list->n++];
    garbage->study_id = study_id;
    memcpy(garbage->uid, uid, UID_BYTES);
}

void garbage_deinit(struct garbage_list *list)
{
    free(list->items);
    *list = (struct garbage_list){0};
}

/* The next trials as "(1,2,3)"; empty where none is left. */
static void read_trials(struct sql *sql, int64_t study_id, struct buffer *ids)
{
    sql_query(sql, "SELECT trial_id FROM trials WHERE study_id=%lld ORDER BY trial_id LIMIT %d",
              (long long)study_id, SLICE_TRIALS);
    while (sql_next(sql))
        buffer_printf(ids, "%c%lld", ids->size ? ',' : '(', (long long)sql_int(sql, 0));
    if (ids->size)
        buffer_append_char(ids, ')');
}

/* Removes what fits into one slice. True: nothing of these trials is left. (The inner SELECT is for MySQL,
 * which does not read the table that it deletes from, and for SQLite, whose DELETE has no LIMIT.) */
static bool remove_trials(struct sql *sql, const char *ids)
{
    int64_t left = SLICE_ROWS;
    for (size_t i = 0; i < sizeof trial_tables / sizeof *trial_tables && left > 0; i++) {
        sql_run(sql,
                "DELETE FROM %s WHERE %s IN (SELECT id FROM (SELECT %s AS id FROM %s WHERE trial_id IN %s "
                "LIMIT %lld) "
                "AS slice)",
                trial_tables[i].table, trial_tables[i].id, trial_tables[i].id, trial_tables[i].table, ids,
                (long long)left);
        left -= sql->affected;
    }
    if (left > 0)
        sql_run(sql, "DELETE FROM trials WHERE trial_id IN %s", ids);
    return left > 0;
}

/* Is it still the study that we renamed when it was deleted? Somebody else may have removed that one, and the
 * id may be another's now. */
static bool is_still_there(struct sql *sql, int64_t study_id, const char *uid)
{
    bool is_there = false;
    sql_query(sql, "SELECT study_id FROM studies WHERE study_id=%lld AND study_name='" GARBAGE_NAME "%s'",
              (long long)study_id, uid);
    while (sql_next(sql))
        is_there = true;
    return is_there;
}

/* True: nothing of the study is left but our rows of its trials. */
static bool remove_optuna_rows(struct sql *sql, int64_t study_id, const char *uid)
{
    BUFFER_AUTO struct buffer ids = {0};
    if (!is_still_there(sql, study_id, uid))
        return true;
    read_trials(sql, study_id, &ids);
    if (ids.size) {
        (void)remove_trials(sql, buffer_text(&ids));
        return false;
    }
    for (size_t i = 0; i < sizeof study_tables / sizeof *study_tables; i++)
        sql_run(sql, "DELETE FROM %s WHERE study_id=%lld", study_tables[i], (long long)study_id);
    return true;
}

static bool remove_own_rows(struct sql *sql, const char *uid)
{
    sql_run(
        sql,
        "DELETE FROM studyd_trials WHERE uid=x'%s' AND trial_id IN (SELECT id FROM (SELECT trial_id AS id "
        "FROM studyd_trials WHERE uid=x'%s' LIMIT %d) AS slice)",
        uid, uid, SLICE_ROWS);
    if (sql->affected == SLICE_ROWS)
        return false;
    sql_run(sql, "DELETE FROM studyd_studies WHERE uid=x'%s'", uid);
    return true;
}

bool garbage_remove_slice(struct garbage_list *list, struct owner *owner, struct sql *sql)
{
    struct garbage *garbage = &list->items[list->n - 1];
    char uid[2 * UID_BYTES + 1];
    uid_format(uid, garbage->uid);
    owner_begin(owner, sql);
    /* Our rows go last: while they are there a restart goes on from here. */
    bool is_gone = garbage->study_id == 0 || remove_optuna_rows(sql, garbage->study_id, uid);
    bool is_done = is_gone && remove_own_rows(sql, uid);
    sql_commit(sql);
    if (sql->status != SQL_OK) {
        bool is_deposed = owner_is_deposed(sql);
        sql_rollback(sql);
        return !is_deposed;
    }
    owner->batch++;
    if (is_gone)
        garbage->study_id = 0;
    if (is_done)
        list->n--;
    return true;
}
