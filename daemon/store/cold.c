/* SPDX-License-Identifier: MIT */
/* Reads attributes, reports, constraints, and foreign parameters of some trials. */
#include "daemon/store/cold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/optuna_json.h"
#include "daemon/store/values.h"
#include "proto/json_read.h"
#include "proto/memory.h"

struct cold {
    struct sql *sql;
    struct store_read *read;
    struct buffer ids; /* "(1,2,3)" */
    struct cold_index {
        int64_t trial_id;
        size_t position; /* in read->trials */
        bool is_ours;    /* it has a row in studyd_trials */
    } * index;           /* in ascending trial_id */
};

static int compare_index(const void *a, const void *b)
{
    int64_t left = ((const struct cold_index *)a)->trial_id, right = ((const struct cold_index *)b)->trial_id;
    return (left > right) - (left < right);
}

/* Of column 0's id. */
static struct cold_index *current_index(struct cold *cold)
{
    struct cold_index key = {.trial_id = sql_int(cold->sql, 0)};
    return bsearch(&key, cold->index, cold->read->n_trials, sizeof key, compare_index);
}

/* The trial of column 0's id. */
static struct store_cold_trial *current_trial(struct cold *cold)
{
    struct cold_index *found = current_index(cold);
    struct store_cold_trial *trial = found ? &cold->read->trials[found->position] : NULL;
    return trial && trial->trial_id ? trial : NULL;
}

/* The attributes of each trial that is there begin empty. */
static void read_trials(struct cold *cold)
{
    sql_query(cold->sql, "SELECT trial_id FROM trials WHERE study_id=%lld AND trial_id IN %s",
              (long long)cold->read->study_id, buffer_text(&cold->ids));
    while (sql_next(cold->sql)) {
        struct store_cold_trial *trial = &cold->read->trials[current_index(cold)->position];
        if (trial->trial_id)
            continue;
        trial->trial_id = sql_int(cold->sql, 0);
        trial->user_attrs = json_object();
    }
}

static void read_user_attributes(struct cold *cold)
{
    sql_query(cold->sql,
              "SELECT trial_id, `key`, value_json FROM trial_user_attributes WHERE trial_id IN %s "
              "AND `key` IS NOT NULL AND value_json IS NOT NULL ORDER BY trial_user_attribute_id",
              buffer_text(&cold->ids));
    while (sql_next(cold->sql)) {
        struct store_cold_trial *trial = current_trial(cold);
        json_t *value = trial ? optuna_json_parse(sql_text(cold->sql, 2)) : NULL;
        if (value)
            json_object_set_new(trial->user_attrs, sql_text(cold->sql, 1), value);
    }
}

static void take_failure(struct store_cold_trial *trial, const json_t *value)
{
    trial->failure = memory_strdup(json_string_value(json_object_get(value, "class")));
    trial->reason = memory_strdup(json_string_value(json_object_get(value, "reason")));
}

static void give_constraints(struct store_cold_trial *trial, struct constraints *constraints)
{
    if (trial && constraints->n) {
        trial->n_constraints = constraints->n;
        trial->constraints = constraints->values;
        constraints->values = NULL;
    }
    constraints_clear(constraints);
}

static void read_system_attributes(struct cold *cold)
{
    struct constraints constraints = {0};
    struct store_cold_trial *last = NULL;
    sql_query(cold->sql,
              "SELECT trial_id, `key`, value_json FROM trial_system_attributes WHERE trial_id IN %s "
              "AND value_json IS NOT NULL AND (`key` LIKE 'constraints%%' OR `key` = 'studyd:failure') "
              "ORDER BY trial_id, `key`",
              buffer_text(&cold->ids));
    while (sql_next(cold->sql)) {
        struct store_cold_trial *trial = current_trial(cold);
        if (!trial)
            continue;
        if (trial != last)
            give_constraints(last, &constraints);
        last = trial;
        json_t *value = optuna_json_parse(sql_text(cold->sql, 2));
        if (strcmp(sql_text(cold->sql, 1), "studyd:failure") == 0)
            take_failure(trial, value);
        else
            constraints_take(&constraints, sql_text(cold->sql, 1), value);
        json_decref(value);
    }
    give_constraints(last, &constraints);
}

static void read_points(struct cold *cold)
{
    sql_query(cold->sql,
              "SELECT trial_id, step, intermediate_value, intermediate_value_type "
              "FROM trial_intermediate_values WHERE trial_id IN %s ORDER BY trial_id, step",
              buffer_text(&cold->ids));
    while (sql_next(cold->sql)) {
        struct store_cold_trial *trial = current_trial(cold);
        if (!trial)
            continue;
        if ((trial->n_points & (trial->n_points - 1)) == 0) /* grows at the powers of two */
            trial->points = memory_resize(trial->points, trial->n_points ? 2 * trial->n_points : 1,
                                          sizeof *trial->points);
        trial->points[trial->n_points++] =
            (struct report_point){step_read(cold->sql, 1), value_read(cold->sql, 2)};
    }
}

#define MAX_INT 9007199254740992.0 /* up to here doubles are integers one by one */

/* A stored parameter as people write it. New reference; null where the distribution cannot be read, or has no
 * such choice. */
static json_t *external_value(const char *distribution_json, double value)
{
    json_t *distribution = optuna_json_read_distribution(distribution_json);
    const char *type = json_string_value(json_object_get(distribution, "type"));
    const json_t *choices = json_object_get(distribution, "choices");
    json_t *result = NULL;
    if (type && strcmp(type, "categorical") == 0) {
        if (value >= 0 && value < (double)json_array_size(choices))
            result = json_incref(json_array_get(choices, (size_t)value));
    } else if (type && strcmp(type, "int") == 0 && fabs(value) <= MAX_INT) {
        result = json_integer((json_int_t)value);
    } else if (type) {
        result = json_from_double(value);
    }
    json_decref(distribution);
    return result ? result : json_null();
}

/* Two queries that name their keys: of one with a join, servers read all trials of the study. */
static void read_ours(struct cold *cold)
{
    BUFFER_AUTO struct buffer uids = {0};
    sql_query(cold->sql, "SELECT uid FROM studyd_studies WHERE study_id = %lld",
              (long long)cold->read->study_id);
    while (sql_next(cold->sql)) {
        size_t size;
        const void *uid = sql_blob(cold->sql, 0, &size);
        buffer_append_text(&uids, uids.size ? "," : "");
        sql_put_bytes(&uids, uid, size);
    }
    if (!uids.size)
        return;
    sql_query(cold->sql, "SELECT trial_id FROM studyd_trials WHERE uid IN (%s) AND trial_id IN %s",
              buffer_text(&uids), buffer_text(&cold->ids));
    while (sql_next(cold->sql))
        current_index(cold)->is_ours = true;
}

/* "1,2,3": the trials whose parameters lie in Optuna's rows alone. */
static void put_others(const struct cold *cold, struct buffer *ids)
{
    for (size_t i = 0; i < cold->read->n_trials; i++)
        if (!cold->index[i].is_ours)
            buffer_printf(ids, "%s%lld", ids->size ? "," : "", (long long)cold->index[i].trial_id);
}

static void read_params(struct cold *cold)
{
    BUFFER_AUTO struct buffer ids = {0};
    put_others(cold, &ids);
    if (!ids.size)
        return;
    sql_query(cold->sql,
              "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params "
              "WHERE trial_id IN (%s) AND distribution_json IS NOT NULL ORDER BY param_id",
              buffer_text(&ids));
    while (sql_next(cold->sql)) {
        struct store_cold_trial *trial = current_trial(cold);
        if (!trial)
            continue;
        if (!trial->params)
            trial->params = json_object();
        json_object_set_new(trial->params, sql_text(cold->sql, 1),
                            external_value(sql_text(cold->sql, 3), sql_double(cold->sql, 2)));
    }
}

void cold_read(struct sql *sql, struct store_read *read)
{
    struct cold cold = {.sql = sql, .read = read};
    read->trials = memory_array(read->n_trials, sizeof *read->trials);
    if (read->n_trials == 0)
        return;
    cold.index = memory_array(read->n_trials, sizeof *cold.index);
    for (size_t i = 0; i < read->n_trials; i++)
        cold.index[i] = (struct cold_index){read->trial_ids[i], i, false};
    qsort(cold.index, read->n_trials, sizeof *cold.index, compare_index);
    sql_put_ids(&cold.ids, read->trial_ids, read->n_trials);
    read_trials(&cold);
    read_user_attributes(&cold);
    read_system_attributes(&cold);
    read_points(&cold);
    read_ours(&cold);
    read_params(&cold);
    free(cold.index);
    buffer_deinit(&cold.ids);
}

void cold_free(struct store_cold_trial *trials, size_t n)
{
    for (size_t i = 0; trials && i < n; i++) {
        json_decref(trials[i].user_attrs);
        json_decref(trials[i].params);
        free(trials[i].points);
        free(trials[i].constraints);
        free(trials[i].failure);
        free(trials[i].reason);
    }
    free(trials);
}
