/* SPDX-License-Identifier: MIT */
/* Reads trials of one study: rows first, then what hangs on them, each by one ordered query merged by
 * trial_id. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/load.h"
#include "daemon/store/optuna_json.h"
#include "daemon/store/values.h"
#include "proto/log.h"
#include "proto/memory.h"

const char *const optuna_states[] = {"RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", NULL};

/* The trials being read. Queries come in ascending trial_id, so the next hit is at or behind the last one. */
struct trial_load {
    struct sql *sql;
    const struct known_study *study;
    struct trial_list *list;
    size_t first; /* of this load in the list */
    size_t cursor;
};

/* Ids that lie so close together are named by their range: of its rows every fourth is wanted at least. */
#define DENSE 4

/* One chunk: so many trials, and not from farther apart than so many ids. */
#define CHUNK_TRIALS 10000
#define CHUNK_IDS 100000

static void put_ids(const struct trial_load *load, struct buffer *out,
                    bool (*needs)(const struct store_trial *trial))
{
    const struct trial_list *list = load->list;
    const char *before = "trial_id IN (";
    for (size_t i = load->first; i < list->n; i++) {
        if (!needs(&list->trials[i]))
            continue;
        buffer_printf(out, "%s%lld", before, (long long)list->trials[i].trial_id);
        before = ",";
    }
    buffer_append_char(out, ')');
}

/* Puts "trial_id BETWEEN a AND b" or "trial_id IN (...)" for the trials that `needs` picks, and begins a
 * merge with them. False: none needs it. */
static bool put_condition(struct trial_load *load, struct buffer *out,
                          bool (*needs)(const struct store_trial *trial))
{
    const struct trial_list *list = load->list;
    int64_t n = 0, low = 0, high = 0;
    load->cursor = load->first;
    for (size_t i = load->first; i < list->n; i++) {
        if (!needs(&list->trials[i]))
            continue;
        high = list->trials[i].trial_id;
        low = n++ ? low : high;
    }
    if (n && (high - low) / DENSE <= n)
        buffer_printf(out, "trial_id BETWEEN %lld AND %lld", (long long)low, (long long)high);
    else if (n)
        put_ids(load, out, needs);
    return n > 0;
}

static bool needs_always(const struct store_trial *trial)
{
    (void)trial;
    return true;
}

static bool needs_values(const struct store_trial *trial)
{
    return trial->state == TRIAL_COMPLETE || trial->state == TRIAL_PRUNED;
}

static bool needs_last_step(const struct store_trial *trial)
{
    return trial->state == TRIAL_PRUNED || trial->state == TRIAL_RUNNING;
}

/* One that waits to be handed out again has those of its earlier attempts. */
static bool needs_points(const struct store_trial *trial)
{
    return trial->is_ours && (trial->state == TRIAL_RUNNING || trial->state == TRIAL_WAITING);
}

static bool needs_params(const struct store_trial *trial)
{
    return !trial->params;
}

static enum trial_state read_state(const char *text)
{
    for (int i = 0; optuna_states[i]; i++)
        if (strcmp(text, optuna_states[i]) == 0)
            return (enum trial_state)i;
    return TRIAL_FAIL;
}

static void read_hex(struct sql *sql, int column, char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t n;
    const unsigned char *bytes = sql_blob(sql, column, &n);
    for (size_t i = 0; i < n && 2 * i + 2 < size; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    *text = '\0';
}

/* True where the column holds exactly so many bytes. */
static bool read_bytes(struct sql *sql, int column, unsigned char *bytes, size_t size)
{
    size_t n;
    const void *found = sql_blob(sql, column, &n);
    if (found && n == size)
        memcpy(bytes, found, size);
    return found && n == size;
}

static void read_packed(struct trial_load *load, struct store_trial *trial, int column)
{
    size_t size;
    const void *packed = sql_blob(load->sql, column, &size);
    if (!packed || size != trial->n_params * sizeof(double))
        return;
    double *params = memory_array(trial->n_params, sizeof *params);
    memcpy(params, packed, size);
    trial->params = params;
}

static void read_row(struct trial_load *load, struct store_trial *trial)
{
    struct sql *sql = load->sql;
    *trial = (struct store_trial){.trial_id = sql_int(sql, 0), .number = sql_int(sql, 1), .last_step = -1};
    trial->state = read_state(sql_text(sql, 2));
    trial->start_us = sql_time(sql, 3);
    trial->complete_us = sql_time(sql, 4);
    trial->n_params = load->study->space ? load->study->space->n_params : 0;
}

static void read_rows(struct trial_load *load, const char *condition, size_t limit)
{
    struct trial_list *list = load->list;
    size_t capacity = list->n;
    sql_query(load->sql,
              "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials "
              "WHERE study_id = %lld AND number IS NOT NULL AND trial_id %s ORDER BY trial_id LIMIT %zu",
              (long long)load->study->study_id, condition, limit);
    while (sql_next(load->sql)) {
        if (list->n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            list->trials = memory_resize(list->trials, capacity, sizeof *list->trials);
        }
        read_row(load, &list->trials[list->n++]);
    }
}

/* The trial of column 0's id, or NULL where it is none of ours. */
static struct store_trial *current_trial(struct trial_load *load)
{
    const struct trial_list *list = load->list;
    int64_t trial_id = sql_int(load->sql, 0);
    while (load->cursor < list->n && list->trials[load->cursor].trial_id < trial_id)
        load->cursor++;
    return load->cursor < list->n && list->trials[load->cursor].trial_id == trial_id
               ? &list->trials[load->cursor]
               : NULL;
}

static void read_own_row(struct trial_load *load, struct store_trial *trial)
{
    struct sql *sql = load->sql;
    trial->is_ours = true;
    trial->attempt = sql_int(sql, 1);
    trial->retries = sql_int(sql, 2);
    read_hex(sql, 3, trial->lease, sizeof trial->lease);
    trial->worker = memory_strdup(sql_text(sql, 4));
    trial->request.is_set = read_bytes(sql, 5, trial->request.bytes, sizeof trial->request.bytes);
    trial->sampled_seq = sql_int(sql, 6);
    trial->asked_seq = sql_int(sql, 7);
    trial->finished_seq = sql_int(sql, 8);
    trial->has_outcome = read_bytes(sql, 9, trial->outcome, sizeof trial->outcome);
    read_packed(load, trial, 10);
}

static void read_own_rows(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    char uid[2 * UID_BYTES + 1];
    uid_format(uid, load->study->uid);
    if (!load->study->has_row || !put_condition(load, &condition, needs_always))
        return;
    sql_query(load->sql,
              "SELECT trial_id, attempt, retries, lease, worker, request, sampled_seq, asked_seq, "
              "finished_seq, outcome, params "
              "FROM studyd_trials WHERE uid = x'%s' AND %s ORDER BY trial_id",
              uid, buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (trial)
            read_own_row(load, trial);
    }
}

static void read_values(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    if (!put_condition(load, &condition, needs_values))
        return;
    sql_query(load->sql,
              "SELECT trial_id, objective, value, value_type FROM trial_values WHERE %s "
              "ORDER BY trial_id, objective",
              buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial || sql_int(load->sql, 1) != (int64_t)trial->n_values ||
            trial->n_values == SPEC_MAX_DIRECTIONS)
            continue;
        double *values = memory_resize((double *)trial->values, trial->n_values + 1, sizeof *values);
        values[trial->n_values++] = value_read(load->sql, 2);
        trial->values = values;
    }
}

static void read_last_steps(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    if (!put_condition(load, &condition, needs_last_step))
        return;
    sql_query(
        load->sql,
        "SELECT m.trial_id, i.step, i.intermediate_value, i.intermediate_value_type FROM "
        "(SELECT trial_id, MAX(step) AS step FROM trial_intermediate_values WHERE %s GROUP BY trial_id) AS m "
        "JOIN trial_intermediate_values i ON i.trial_id = m.trial_id AND i.step = m.step ORDER BY m.trial_id",
        buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial)
            continue;
        trial->last_step = step_read(load->sql, 1);
        trial->last_value = value_read(load->sql, 2);
    }
}

static void read_points(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    if (!put_condition(load, &condition, needs_points))
        return;
    sql_query(
        load->sql,
        "SELECT trial_id, step, intermediate_value, intermediate_value_type FROM trial_intermediate_values "
        "WHERE %s ORDER BY trial_id, step",
        buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial || !needs_points(trial))
            continue;
        struct report_point *points = (struct report_point *)trial->points;
        if ((trial->n_points & (trial->n_points - 1)) == 0) /* grows at the powers of two */
            points = memory_resize(points, trial->n_points ? 2 * trial->n_points : 1, sizeof *points);
        points[trial->n_points++] = (struct report_point){step_read(load->sql, 1), value_read(load->sql, 2)};
        trial->points = points;
    }
}

static double *new_params(const struct store_trial *trial)
{
    double *params = memory_array(trial->n_params ? trial->n_params : 1, sizeof *params);
    for (size_t i = 0; i < trial->n_params; i++)
        params[i] = NAN;
    return params;
}

/* Parameters that are not packed lie in Optuna's rows alone. A range also brings rows of trials whose packed
 * ones were read. */
static void read_params(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    if (!put_condition(load, &condition, needs_params))
        return;
    struct store_trial *unpacked = NULL;
    sql_query(load->sql,
              "SELECT trial_id, param_name, param_value FROM trial_params WHERE %s ORDER BY trial_id",
              buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        const char *name = sql_text(load->sql, 1);
        if (!trial || (trial->params && trial != unpacked))
            continue;
        double *params = trial->params ? (double *)trial->params : new_params(trial);
        ptrdiff_t i = name && load->study->space ? space_find(load->study->space, name) : -1;
        if (i >= 0)
            params[i] = sql_double(load->sql, 2);
        trial->params = params;
        unpacked = trial;
    }
}

/* A finished trial has parameters, be it none. */
static void complete_params(struct trial_load *load)
{
    for (size_t i = load->first; i < load->list->n; i++) {
        struct store_trial *trial = &load->list->trials[i];
        if (!trial->params && trial->state != TRIAL_WAITING && trial->state != TRIAL_RUNNING)
            trial->params = new_params(trial);
    }
}

static void read_attributes(struct trial_load *load)
{
    BUFFER_AUTO struct buffer condition = {0};
    struct constraints constraints = {0};
    struct store_trial *last = NULL;
    if (!put_condition(load, &condition, needs_always))
        return;
    sql_query(
        load->sql,
        "SELECT trial_id, `key`, value_json FROM trial_system_attributes WHERE %s AND value_json IS NOT NULL "
        "AND (`key` LIKE 'constraints%%' OR `key` = 'fixed_params') ORDER BY trial_id, `key`",
        buffer_text(&condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial)
            continue;
        if (trial != last)
            constraints_clear(&constraints);
        last = trial;
        json_t *value = optuna_json_parse(sql_text(load->sql, 2));
        if (strcmp(sql_text(load->sql, 1), "fixed_params") != 0) {
            constraints_take(&constraints, sql_text(load->sql, 1), value);
            trial->violation = constraints_violation(&constraints);
        } else if (trial->state == TRIAL_WAITING && json_is_object(value)) {
            trial->fixed_params = json_incref(value);
        }
        json_decref(value);
    }
    constraints_clear(&constraints);
}

void load_trials(struct sql *sql, const struct known_study *study, const char *condition, size_t limit,
                 struct trial_list *list)
{
    struct trial_load load = {.sql = sql, .study = study, .list = list, .first = list->n};
    read_rows(&load, condition, limit);
    read_own_rows(&load);
    read_values(&load);
    read_last_steps(&load);
    read_points(&load);
    read_params(&load);
    complete_params(&load);
    read_attributes(&load);
}

/* The lower end comes from the index by itself. With the upper end the server knows how little the chunk is:
 * else it may read all that the study has before the chunk, each time. */
void load_next_trials(struct sql *sql, const struct known_study *study, int64_t after,
                      struct trial_list *list)
{
    int64_t first = 0;
    sql_query(sql, "SELECT MIN(trial_id) FROM trials WHERE study_id = %lld AND trial_id > %lld",
              (long long)study->study_id, (long long)after);
    while (sql_next(sql))
        first = sql_int(sql, 0);
    if (!first)
        return;
    char condition[80];
    snprintf(condition, sizeof condition, "BETWEEN %lld AND %lld", (long long)first,
             (long long)(first + CHUNK_IDS - 1));
    load_trials(sql, study, condition, CHUNK_TRIALS, list);
}

void trial_list_deinit(struct trial_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct store_trial *trial = &list->trials[i];
        free((double *)trial->params);
        free((double *)trial->values);
        free((struct report_point *)trial->points);
        free((char *)trial->worker);
        json_decref(trial->fixed_params);
    }
    free(list->trials);
    *list = (struct trial_list){0};
}
