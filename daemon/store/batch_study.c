/* SPDX-License-Identifier: MIT */
/* Writes the rows of studies: new ones, changed ones, deleted ones, and the seq of each. */
#include <string.h>

#include "daemon/store/batch.h"
#include "daemon/store/optuna_json.h"
#include "proto/log.h"

static const char *const attribute_columns[] = {"value_json", NULL};

/* table: study_user_attributes or study_system_attributes; `value` is JSON text. */
static void put_attribute(struct sql *sql, const char *table, int64_t study_id, const char *key,
                          const struct buffer *value)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_printf(&text, "INSERT INTO %s (study_id, `key`, value_json) VALUES (%lld,", table,
                  (long long)study_id);
    sql_put_text(&text, key);
    buffer_append_char(&text, ',');
    sql_put_text(&text, buffer_text(value));
    buffer_append_char(&text, ')');
    sql_put_upsert(sql, &text, "study_id, `key`", attribute_columns);
    sql_run_buffer(sql, &text);
}

static void put_user_attributes(struct sql *sql, int64_t study_id, json_t *attributes)
{
    const char *key;
    json_t *value;
    json_object_foreach (attributes, key, value) {
        BUFFER_AUTO struct buffer json = {0};
        optuna_json_put(&json, value, OPTUNA_JSON_STRINGS);
        put_attribute(sql, "study_user_attributes", study_id, key, &json);
    }
}

static void put_spec(struct sql *sql, int64_t study_id, const char *spec_json)
{
    BUFFER_AUTO struct buffer json = {0};
    optuna_json_put_ascii(&json, spec_json);
    put_attribute(sql, "study_system_attributes", study_id, "studyd:spec", &json);
}

/* The row in studyd_studies, and the attribute that marks the study as the row's. */
static void put_own_row(struct sql *sql, int64_t study_id, const char *uid, const char *state,
                        const char *reason, int64_t seq)
{
    BUFFER_AUTO struct buffer text = {0};
    BUFFER_AUTO struct buffer json = {0};
    buffer_printf(&text, "INSERT INTO studyd_studies (uid, study_id, state, reason, seq) VALUES (x'%s',%lld,",
                  uid, (long long)study_id);
    sql_put_text(&text, state);
    buffer_append_char(&text, ',');
    sql_put_text(&text, reason);
    buffer_printf(&text, ",%lld)", (long long)seq);
    sql_run_buffer(sql, &text);
    optuna_json_put_text(&json, uid);
    put_attribute(sql, "study_system_attributes", study_id, "studyd:uid", &json);
}

/* Trials that are handed out again begin anew, so that theirs tell the first ask no more. */
static void put_first_ask(struct sql *sql, int64_t study_id, int64_t first_ask_us)
{
    BUFFER_AUTO struct buffer json = {0};
    buffer_printf(&json, "%lld", (long long)first_ask_us);
    put_attribute(sql, "study_system_attributes", study_id, "studyd:first_ask", &json);
}

static bool is_name_taken(struct sql *sql, const char *name)
{
    BUFFER_AUTO struct buffer quoted = {0};
    bool is_taken = false;
    sql_put_text(&quoted, name);
    sql_query(sql, "SELECT study_id FROM studies WHERE study_name = %s", buffer_text(&quoted));
    while (sql_next(sql))
        is_taken = true;
    return is_taken;
}

static void create_study(struct batch *batch, struct store_record *record)
{
    struct sql *sql = batch->sql;
    BUFFER_AUTO struct buffer name = {0};
    BUFFER_AUTO struct buffer directions = {0};
    if (is_name_taken(sql, record->study.name)) {
        record->result = STORE_EXISTS;
        return;
    }
    sql_put_text(&name, record->study.name);
    sql_run(sql, "INSERT INTO studies (study_name) VALUES (%s)", buffer_text(&name));
    record->study_id = sql->insert_id;
    for (size_t i = 0; i < record->study.n_directions; i++)
        buffer_printf(&directions, "%s(%lld,%zu,'%s')", i ? "," : "", (long long)record->study_id, i,
                      record->study.directions[i] == DIRECTION_MAXIMIZE ? "MAXIMIZE" : "MINIMIZE");
    sql_run(sql, "INSERT INTO study_directions (study_id, objective, direction) VALUES %s",
            buffer_text(&directions));
    put_own_row(sql, record->study_id, record->uid, record->study.state, record->study.reason, record->seq);
    if (record->study.spec_json)
        put_spec(sql, record->study_id, record->study.spec_json);
    if (record->study.user_attrs)
        put_user_attributes(sql, record->study_id, record->study.user_attrs);
}

static void change_study(struct batch *batch, struct batch_study *study, struct store_record *record)
{
    struct sql *sql = batch->sql;
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(&text, "UPDATE studyd_studies SET state=");
    sql_put_text(&text, record->study.state);
    buffer_append_text(&text, ", reason=");
    sql_put_text(&text, record->study.reason);
    buffer_printf(&text, " WHERE uid=x'%s'", study->uid);
    sql_run_buffer(sql, &text);
    if (record->study.spec_json) {
        put_spec(sql, record->study_id, record->study.spec_json);
        study->spec_json = record->study.spec_json;
    }
    if (record->study.user_attrs)
        put_user_attributes(sql, record->study_id, record->study.user_attrs);
}

/* Its name is free from now on; the rows go in slices. */
static void delete_study(struct batch *batch, struct batch_study *study)
{
    sql_run(batch->sql, "UPDATE studyd_studies SET state='deleted' WHERE uid=x'%s'", study->uid);
    sql_run(batch->sql, "UPDATE studies SET study_name='" GARBAGE_NAME "%s' WHERE study_id=%lld", study->uid,
            (long long)study->known->study_id);
    study->is_deleted = true;
}

static void put_seqs(struct batch *batch)
{
    BUFFER_AUTO struct buffer cases = {0};
    BUFFER_AUTO struct buffer uids = {0};
    for (size_t i = 0; i < batch->n_studies; i++) {
        const struct batch_study *study = &batch->studies[i];
        if (study->seq == 0)
            continue;
        buffer_printf(&cases, " WHEN x'%s' THEN %lld", study->uid, (long long)study->seq);
        buffer_printf(&uids, "%sx'%s'", uids.size ? "," : "", study->uid);
    }
    if (uids.size)
        sql_run_later(batch->sql, SQL_ANY, "UPDATE studyd_studies SET seq = CASE uid%s END WHERE uid IN (%s)",
                      buffer_text(&cases), buffer_text(&uids));
}

static bool is_hand_out(const struct store_record *record)
{
    return record->change == STORE_CREATE_TRIAL || record->change == STORE_START_TRIAL;
}

void batch_put_studies(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        struct store_record *record = batch->records[i];
        struct batch_study *study = batch_study_of(batch, record);
        if (!batch_is_active(batch, record) || record->change == STORE_LOOK)
            continue;
        if (study && !study->has_row) {
            put_own_row(batch->sql, record->study_id, record->uid, "running", NULL, 0);
            study->has_row = true;
        }
        if (record->change == STORE_CREATE_STUDY)
            create_study(batch, record);
        else if (record->change == STORE_CHANGE_STUDY)
            change_study(batch, study, record);
        else if (record->change == STORE_DELETE_STUDY)
            delete_study(batch, study);
        else if (is_hand_out(record) && record->trial.first_ask_us)
            put_first_ask(batch->sql, record->study_id, record->trial.first_ask_us);
        if (study && record->seq > study->seq)
            study->seq = record->seq;
    }
    put_seqs(batch);
}
