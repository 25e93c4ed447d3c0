/* SPDX-License-Identifier: MIT */
/* Reads trials of one study: rows first, then what hangs on them, each by one ordered query merged by trial_id. */
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
    size_t first;           /* of this load in the list */
    size_t cursor;
    struct buffer condition; /* about `t`: exactly these trials, but for strangers that appear while we read */
    bool has_state[5];      /* is there a trial of this state? */
    bool has_unpacked;      /* is there one whose parameters are in rows alone? */
    bool has_our_running;
};

static enum trial_state read_state(const char *text)
{
    for (int i = 0; optuna_states[i]; i++)
        if (strcmp(text, optuna_states[i]) == 0)
            return (enum trial_state)i;
    return TRIAL_FAIL;
}

static void read_hex(struct sql *sql, int column, char *text, size_t size)
{
    size_t n;
    const unsigned char *bytes = sql_blob(sql, column, &n);
    for (size_t i = 0; i < n && 2 * i + 2 < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
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
    if (!packed || size != trial->n_params * sizeof(double)) {
        load->has_unpacked = true;
        return;
    }
    double *params = memory_array(trial->n_params, sizeof *params);
    memcpy(params, packed, size);
    trial->params = params;
}

static void read_own_columns(struct trial_load *load, struct store_trial *trial)
{
    struct sql *sql = load->sql;
    trial->is_ours = true;
    trial->attempt = sql_int(sql, 5);
    trial->retries = sql_int(sql, 6);
    read_hex(sql, 7, trial->lease, sizeof trial->lease);
    trial->worker = memory_strdup(sql_text(sql, 8));
    trial->request.is_set = read_bytes(sql, 9, trial->request.bytes, sizeof trial->request.bytes);
    trial->sampled_seq = sql_int(sql, 10);
    trial->asked_seq = sql_int(sql, 11);
    trial->finished_seq = sql_int(sql, 12);
    trial->has_outcome = read_bytes(sql, 13, trial->outcome, sizeof trial->outcome);
    if (trial->state == TRIAL_RUNNING)
        load->has_our_running = true;
}

static void read_row(struct trial_load *load, struct store_trial *trial)
{
    struct sql *sql = load->sql;
    *trial = (struct store_trial){.trial_id = sql_int(sql, 0), .number = sql_int(sql, 1), .last_step = -1};
    trial->state = read_state(sql_text(sql, 2));
    trial->start_us = sql_time(sql, 3);
    trial->complete_us = sql_time(sql, 4);
    trial->n_params = load->study->space ? load->study->space->n_params : 0;
    load->has_state[trial->state] = true;
    if (!sql_is_null(sql, 5))
        read_own_columns(load, trial);
    read_packed(load, trial, 14);
}

static void read_rows(struct trial_load *load, const char *condition, size_t limit)
{
    char uid[2 * UID_BYTES + 1];
    struct trial_list *list = load->list;
    size_t capacity = list->n;
    uid_format(uid, load->study->uid);
    sql_query(load->sql,
              "SELECT t.trial_id, t.number, t.state, t.datetime_start, t.datetime_complete, o.attempt, o.retries, o.lease, "
              "o.worker, o.request, o.sampled_seq, o.asked_seq, o.finished_seq, o.outcome, o.params "
              "FROM trials t LEFT JOIN studyd_trials o ON o.uid = x'%s' AND o.trial_id = t.trial_id "
              "WHERE t.study_id = %lld AND t.number IS NOT NULL AND (%s) ORDER BY t.trial_id LIMIT %zu",
              uid, (long long)load->study->study_id, condition, limit);
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
    return load->cursor < list->n && list->trials[load->cursor].trial_id == trial_id ? &list->trials[load->cursor] : NULL;
}

static void read_values(struct trial_load *load)
{
    load->cursor = load->first;
    sql_query(load->sql,
              "SELECT t.trial_id, v.objective, v.value, v.value_type FROM trials t "
              "JOIN trial_values v ON v.trial_id = t.trial_id WHERE %s ORDER BY t.trial_id, v.objective", buffer_text(&load->condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial || sql_int(load->sql, 1) != (int64_t)trial->n_values || trial->n_values == SPEC_MAX_DIRECTIONS)
            continue;
        double *values = memory_resize((double *)trial->values, trial->n_values + 1, sizeof *values);
        values[trial->n_values++] = value_read(load->sql, 2);
        trial->values = values;
    }
}

static void read_last_steps(struct trial_load *load)
{
    load->cursor = load->first;
    sql_query(load->sql,
              "SELECT m.trial_id, i.step, i.intermediate_value, i.intermediate_value_type FROM "
              "(SELECT t.trial_id, MAX(s.step) AS step FROM trials t JOIN trial_intermediate_values s "
              "ON s.trial_id = t.trial_id WHERE %s AND t.state IN ('PRUNED', 'RUNNING') GROUP BY t.trial_id) AS m "
              "JOIN trial_intermediate_values i ON i.trial_id = m.trial_id AND i.step = m.step ORDER BY m.trial_id",
              buffer_text(&load->condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial)
            continue;
        trial->last_step = (int32_t)sql_int(load->sql, 1);
        trial->last_value = value_read(load->sql, 2);
    }
}

static void read_points(struct trial_load *load)
{
    load->cursor = load->first;
    sql_query(load->sql,
              "SELECT t.trial_id, i.step, i.intermediate_value, i.intermediate_value_type FROM trials t "
              "JOIN trial_intermediate_values i ON i.trial_id = t.trial_id "
              "WHERE %s AND t.state = 'RUNNING' ORDER BY t.trial_id, i.step", buffer_text(&load->condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        if (!trial || !trial->is_ours)
            continue;
        struct report_point *points = (struct report_point *)trial->points;
        if ((trial->n_points & (trial->n_points - 1)) == 0) /* grows at the powers of two */
            points = memory_resize(points, trial->n_points ? 2 * trial->n_points : 1, sizeof *points);
        points[trial->n_points++] = (struct report_point){(int32_t)sql_int(load->sql, 1), value_read(load->sql, 2)};
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

static void read_params(struct trial_load *load)
{
    char uid[2 * UID_BYTES + 1];
    uid_format(uid, load->study->uid);
    load->cursor = load->first;
    sql_query(load->sql,
              "SELECT t.trial_id, p.param_name, p.param_value FROM trials t "
              "JOIN trial_params p ON p.trial_id = t.trial_id "
              "LEFT JOIN studyd_trials o ON o.uid = x'%s' AND o.trial_id = t.trial_id "
              "WHERE %s AND o.params IS NULL ORDER BY t.trial_id", uid, buffer_text(&load->condition));
    while (sql_next(load->sql)) {
        struct store_trial *trial = current_trial(load);
        const char *name = sql_text(load->sql, 1);
        ptrdiff_t i = trial && name && load->study->space ? space_find(load->study->space, name) : -1;
        if (!trial)
            continue;
        double *params = trial->params ? (double *)trial->params : new_params(trial);
        trial->params = params;
        if (i >= 0)
            params[i] = sql_double(load->sql, 2);
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
    struct constraints constraints = {0};
    struct store_trial *last = NULL;
    load->cursor = load->first;
    sql_query(load->sql,
              "SELECT t.trial_id, a.`key`, a.value_json FROM trials t "
              "JOIN trial_system_attributes a ON a.trial_id = t.trial_id "
              "WHERE %s AND a.value_json IS NOT NULL AND (a.`key` LIKE 'constraints%%' OR "
              "a.`key` = 'fixed_params') ORDER BY t.trial_id, a.`key`", buffer_text(&load->condition));
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
    if (list->n == load.first)
        return;
    buffer_printf(&load.condition, "t.study_id = %lld AND t.trial_id BETWEEN %lld AND %lld AND (%s)",
                  (long long)study->study_id, (long long)list->trials[load.first].trial_id,
                  (long long)list->trials[list->n - 1].trial_id, condition);
    if (load.has_state[TRIAL_COMPLETE] || load.has_state[TRIAL_PRUNED])
        read_values(&load);
    if (load.has_state[TRIAL_PRUNED] || load.has_state[TRIAL_RUNNING])
        read_last_steps(&load);
    if (load.has_our_running)
        read_points(&load);
    if (load.has_unpacked)
        read_params(&load);
    complete_params(&load);
    read_attributes(&load);
    buffer_deinit(&load.condition);
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
