/* SPDX-License-Identifier: MIT */
/* Writes the rows of trials: one statement per table for all records of a batch. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/batch.h"
#include "daemon/store/optuna_json.h"
#include "daemon/store/values.h"
#include "proto/memory.h"
#include "proto/require.h"

/* ---- rows, collected until a statement is long enough ---- */

enum table {
    TABLE_PARAMS,
    TABLE_VALUES,
    TABLE_POINTS,
    TABLE_USER_ATTRS,
    TABLE_SYSTEM_ATTRS,
    TABLE_OWN,
    TABLE_COUNT
};

static const char *const attribute_columns[] = {"value_json", NULL};
static const char *const point_columns[] = {"intermediate_value", "intermediate_value_type", NULL};
/* '?': NULL leaves the column as it is. */
static const char *const own_columns[] = {"attempt",  "retries",      "lease",      "worker",
                                          "?request", "?sampled_seq", "?asked_seq", "?finished_seq",
                                          "?outcome", "?params",      NULL};

static const struct {
    const char *head;
    const char *key; /* NULL: a row that is there already is an error */
    const char *const *columns;
} tables[TABLE_COUNT] = {
    [TABLE_PARAMS] = {"trial_params (trial_id, param_name, param_value, distribution_json)", NULL, NULL},
    [TABLE_VALUES] = {"trial_values (trial_id, objective, value, value_type)", NULL, NULL},
    [TABLE_POINTS] =
        {"trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)",
         "trial_id, step", point_columns},
    [TABLE_USER_ATTRS] = {"trial_user_attributes (trial_id, `key`, value_json)", "trial_id, `key`",
                          attribute_columns},
    [TABLE_SYSTEM_ATTRS] = {"trial_system_attributes (trial_id, `key`, value_json)", "trial_id, `key`",
                            attribute_columns},
    [TABLE_OWN] = {"studyd_trials (uid, trial_id, attempt, retries, lease, worker, request, sampled_seq, "
                   "asked_seq, finished_seq, outcome, params)",
                   "uid, trial_id", own_columns},
};

struct rows {
    struct batch *batch;
    struct sql *sql;
    struct buffer texts[TABLE_COUNT];
    /* Each parameter's name and distribution as literals, of the space that was used last. */
    const struct space *space;
    struct buffer *names, *distributions;
};

static void run_rows(struct rows *rows, enum table table)
{
    struct buffer *text = &rows->texts[table];
    if (!text->size)
        return;
    if (tables[table].key)
        sql_put_upsert(rows->sql, text, tables[table].key, tables[table].columns);
    sql_run_buffer_later(rows->sql, SQL_ANY, text);
    buffer_clear(text);
}

/* Where the row's cells go; its parenthesis is to be closed. */
static struct buffer *open_row(struct rows *rows, enum table table)
{
    struct buffer *text = &rows->texts[table];
    if (text->size >= rows->sql->statement_bytes)
        run_rows(rows, table);
    if (text->size)
        buffer_append_text(text, ",(");
    else
        buffer_printf(text, "INSERT INTO %s VALUES (", tables[table].head);
    return text;
}

/* ---- rows in trials ---- */

static void create_trials(struct batch *batch)
{
    BUFFER_AUTO struct buffer text = {0};
    for (size_t i = 0; i < batch->n; i++) {
        struct store_record *record = batch->records[i];
        if (record->change != STORE_CREATE_TRIAL || !batch_is_active(batch, record))
            continue;
        buffer_append_text(
            &text,
            text.size ? ",(" : "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (");
        buffer_printf(&text, "%lld,%lld,'%s',", (long long)record->trial.number, (long long)record->study_id,
                      optuna_states[record->trial.state]);
        sql_put_time(batch->sql, &text, record->trial.start_us);
        buffer_append_char(&text, ')');
    }
    if (!text.size)
        return;
    sql_run_buffer(batch->sql, &text);
    int64_t id = batch->sql->insert_id;
    for (size_t i = 0; i < batch->n; i++) {
        struct store_record *record = batch->records[i];
        if (record->change != STORE_CREATE_TRIAL || !batch_is_active(batch, record))
            continue;
        record->trial.trial_id = id;
        batch_study_of(batch, record)->last_trial_id = id;
        id += batch->sql->id_step;
    }
}

/* START, RELEASE and FINISH change a trial's state; what they set with it. */
static const struct {
    const char *column;         /* NULL: changes no state */
    bool is_start, is_complete; /* the time that goes there; neither: NULL */
} moves[] = {
    [STORE_START_TRIAL] = {"datetime_start", true, false},
    [STORE_RELEASE_TRIAL] = {"datetime_start", false, false},
    [STORE_FINISH_TRIAL] = {"datetime_complete", false, true},
    [STORE_LOOK] = {NULL, false, false},
};

static int64_t move_time(const struct sql *sql, const struct store_record *record)
{
    int64_t time_us = moves[record->change].is_start      ? record->trial.start_us
                      : moves[record->change].is_complete ? record->trial.complete_us
                                                          : 0;
    return sql->driver->has_fraction ? time_us : time_us / 1000000 * 1000000;
}

static bool is_same_move(const struct sql *sql, const struct store_record *a, const struct store_record *b)
{
    return a->change == b->change && a->study_id == b->study_id && a->trial.from == b->trial.from &&
           a->trial.state == b->trial.state && move_time(sql, a) == move_time(sql, b);
}

/* One conditional UPDATE for all records from `first` on that make the same move. */
static void move_trials(struct batch *batch, size_t first, bool *is_moved)
{
    struct sql *sql = batch->sql;
    const struct store_record *like = batch->records[first];
    BUFFER_AUTO struct buffer text = {0};
    int64_t n = 0;
    buffer_printf(&text, "UPDATE trials SET state='%s', %s=", optuna_states[like->trial.state],
                  moves[like->change].column);
    sql_put_time(sql, &text, move_time(sql, like));
    buffer_printf(&text, " WHERE study_id=%lld AND state='%s' AND trial_id IN (", (long long)like->study_id,
                  optuna_states[like->trial.from]);
    for (size_t i = first; i < batch->n; i++) {
        const struct store_record *record = batch->records[i];
        if (is_moved[i] || !is_same_move(sql, like, record) || !batch_is_active(batch, record))
            continue;
        is_moved[i] = true;
        buffer_printf(&text, "%s%lld", n++ ? "," : "", (long long)record->trial.trial_id);
    }
    buffer_append_char(&text, ')');
    sql_run_buffer_later(sql, n, &text);
}

static void move_all(struct batch *batch)
{
    MEMORY_AUTO bool *is_moved = memory_array(batch->n, sizeof *is_moved);
    for (size_t i = 0; i < batch->n; i++)
        if (moves[batch->records[i]->change].column && !is_moved[i] &&
            batch_is_active(batch, batch->records[i]))
            move_trials(batch, i, is_moved);
}

/* ---- parameters ---- */

static void forget_space(struct rows *rows)
{
    for (size_t i = 0; rows->space && i < rows->space->n_params; i++) {
        buffer_deinit(&rows->names[i]);
        buffer_deinit(&rows->distributions[i]);
    }
    free(rows->names);
    free(rows->distributions);
    rows->names = rows->distributions = NULL;
    rows->space = NULL;
}

static void use_space(struct rows *rows, const struct space *space)
{
    if (rows->space == space)
        return;
    forget_space(rows);
    rows->space = space;
    rows->names = memory_array(space->n_params, sizeof *rows->names);
    rows->distributions = memory_array(space->n_params, sizeof *rows->distributions);
    for (size_t i = 0; i < space->n_params; i++) {
        BUFFER_AUTO struct buffer json = {0};
        optuna_json_put_distribution(&json, &space->params[i].distribution);
        sql_put_text(&rows->names[i], space->params[i].name);
        sql_put_text(&rows->distributions[i], buffer_text(&json));
    }
}

static void put_params(struct rows *rows, const struct store_record *record)
{
    use_space(rows, record->trial.space);
    for (size_t i = 0; i < rows->space->n_params; i++) {
        if (isnan(record->trial.params[i]) || (record->trial.stored && !isnan(record->trial.stored[i])))
            continue;
        struct buffer *out = open_row(rows, TABLE_PARAMS);
        buffer_printf(out, "%lld,", (long long)record->trial.trial_id);
        buffer_append(out, rows->names[i].data, rows->names[i].size);
        buffer_append_char(out, ',');
        sql_put_double(rows->sql, out, record->trial.params[i]);
        buffer_append_char(out, ',');
        buffer_append(out, rows->distributions[i].data, rows->distributions[i].size);
        buffer_append_char(out, ')');
    }
}

/* Packed parameters are read back in the order of the spec's space, so they must be in it. */
static bool is_packable(const struct known_study *known, const struct space *space)
{
    if (!known->has_spec || known->space->n_params != space->n_params)
        return false;
    for (size_t i = 0; i < space->n_params; i++)
        if (strcmp(space->params[i].name, known->space->params[i].name) != 0)
            return false;
    return true;
}

static void put_packed(struct rows *rows, struct buffer *out, const struct store_record *record)
{
    const struct space *space = record->trial.space;
    if (!record->trial.params || !is_packable(batch_study_of(rows->batch, record)->known, space)) {
        buffer_append_text(out, "NULL");
        return;
    }
    MEMORY_AUTO double *packed = memory_array(space->n_params, sizeof *packed);
    for (size_t i = 0; i < space->n_params; i++)
        packed[i] =
            record->trial.params[i] == 0 ? 0.0 : record->trial.params[i]; /* -0.0 too, as in trial_params */
    sql_put_bytes(out, packed, space->n_params * sizeof *packed);
}

/* ---- attributes ---- */

static void put_attribute(struct rows *rows, enum table table, int64_t trial_id, const char *key,
                          const struct buffer *json)
{
    struct buffer *out = open_row(rows, table);
    buffer_printf(out, "%lld,", (long long)trial_id);
    sql_put_text(out, key);
    buffer_append_char(out, ',');
    sql_put_text(out, buffer_text(json));
    buffer_append_char(out, ')');
}

static void put_user_attributes(struct rows *rows, const struct store_record *record)
{
    const char *key;
    json_t *value;
    json_object_foreach (record->trial.user_attrs, key, value) {
        BUFFER_AUTO struct buffer json = {0};
        optuna_json_put(&json, value, OPTUNA_JSON_STRINGS);
        put_attribute(rows, TABLE_USER_ATTRS, record->trial.trial_id, key, &json);
    }
}

static void put_constraints(struct rows *rows, const struct store_record *record)
{
    BUFFER_AUTO struct buffer json = {0};
    for (size_t i = 0; i < record->trial.n_constraints; i++) {
        buffer_append_text(&json, i ? ", " : "[");
        optuna_json_put_double(&json, record->trial.constraints[i]);
    }
    buffer_append_char(&json, ']');
    put_attribute(rows, TABLE_SYSTEM_ATTRS, record->trial.trial_id, "constraints", &json);
}

static void put_failure(struct rows *rows, const struct store_record *record)
{
    BUFFER_AUTO struct buffer json = {0};
    buffer_append_text(&json, "{\"class\": ");
    optuna_json_put_text(&json, record->trial.failure);
    if (record->trial.reason) {
        buffer_append_text(&json, ", \"reason\": ");
        optuna_json_put_text(&json, record->trial.reason);
    }
    buffer_append_char(&json, '}');
    put_attribute(rows, TABLE_SYSTEM_ATTRS, record->trial.trial_id, "studyd:failure", &json);
}

static void put_attributes(struct rows *rows, const struct store_record *record)
{
    if (record->trial.user_attrs)
        put_user_attributes(rows, record);
    if (record->trial.n_constraints)
        put_constraints(rows, record);
    if (record->trial.failure)
        put_failure(rows, record);
    if (record->trial.fixed_params) {
        BUFFER_AUTO struct buffer json = {0};
        optuna_json_put(&json, record->trial.fixed_params, OPTUNA_JSON_FLOATS);
        put_attribute(rows, TABLE_SYSTEM_ATTRS, record->trial.trial_id, "fixed_params", &json);
    }
}

/* ---- values and reports ---- */

static void put_values(struct rows *rows, const struct store_record *record)
{
    for (size_t i = 0; i < record->trial.n_values; i++) {
        struct buffer *out = open_row(rows, TABLE_VALUES);
        buffer_printf(out, "%lld,%zu,", (long long)record->trial.trial_id, i);
        value_put(rows->sql, out, record->trial.values[i]);
        buffer_append_char(out, ')');
    }
}

static void put_report(struct rows *rows, const struct store_record *record)
{
    if (record->report.removes_later && record->report.n_points) {
        run_rows(rows, TABLE_POINTS); /* what was reported before goes first */
        sql_run_later(rows->sql, SQL_ANY,
                      "DELETE FROM trial_intermediate_values WHERE trial_id=%lld AND step>=%d",
                      (long long)record->report.trial_id, record->report.points[0].step);
    }
    for (size_t i = 0; i < record->report.n_points; i++) {
        struct buffer *out = open_row(rows, TABLE_POINTS);
        buffer_printf(out, "%lld,%d,", (long long)record->report.trial_id, record->report.points[i].step);
        value_put(rows->sql, out, record->report.points[i].value);
        buffer_append_char(out, ')');
    }
}

/* ---- our row ---- */

static void put_seq(struct buffer *out, int64_t seq)
{
    if (seq)
        buffer_printf(out, ",%lld", (long long)seq);
    else
        buffer_append_text(out, ",NULL");
}

static void put_own_row(struct rows *rows, const struct store_record *record)
{
    const char *uid = batch_study_of(rows->batch, record)->uid;
    unsigned char lease[UID_BYTES];
    bool has_lease = record->trial.lease && record->trial.lease[0];
    require(!has_lease || uid_read(lease, record->trial.lease) == 0);
    struct buffer *out = open_row(rows, TABLE_OWN);
    buffer_printf(out, "x'%s',%lld,%lld,%lld,", uid, (long long)record->trial.trial_id,
                  (long long)record->trial.attempt, (long long)record->trial.retries);
    sql_put_bytes(out, has_lease ? lease : NULL, sizeof lease);
    buffer_append_char(out, ',');
    sql_put_text(out, record->trial.worker);
    buffer_append_char(out, ',');
    sql_put_bytes(out, record->trial.request.is_set ? record->trial.request.bytes : NULL, STORE_REQUEST_SIZE);
    put_seq(out, record->trial.sampled_seq);
    put_seq(out, record->trial.asked_seq);
    put_seq(out, record->trial.finished_seq);
    buffer_append_char(out, ',');
    sql_put_bytes(out, record->trial.has_outcome ? record->trial.outcome : NULL, STORE_OUTCOME_SIZE);
    buffer_append_char(out, ',');
    put_packed(rows, out, record);
    buffer_append_char(out, ')');
}

static void put_record(struct rows *rows, const struct store_record *record)
{
    switch (record->change) {
    case STORE_REPORT:
        put_report(rows, record);
        break;
    case STORE_CREATE_TRIAL:
    case STORE_START_TRIAL:
    case STORE_RELEASE_TRIAL:
    case STORE_FINISH_TRIAL:
        put_own_row(rows, record);
        put_attributes(rows, record);
        if (record->trial.params)
            put_params(rows, record);
        if (record->change == STORE_FINISH_TRIAL)
            put_values(rows, record);
        break;
    default:
        break;
    }
}

void batch_put_trials(struct batch *batch)
{
    struct rows rows = {.batch = batch, .sql = batch->sql};
    move_all(batch);
    create_trials(batch);
    for (size_t i = 0; i < batch->n; i++)
        if (batch_is_active(batch, batch->records[i]))
            put_record(&rows, batch->records[i]);
    for (enum table table = 0; table < TABLE_COUNT; table++) {
        run_rows(&rows, table);
        buffer_deinit(&rows.texts[table]);
    }
    forget_space(&rows);
}
