/* SPDX-License-Identifier: MIT */
/* Reads all studies: names, directions, specs, attributes, and what studyd itself keeps of them. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store/load.h"
#include "daemon/store/optuna_json.h"
#include "proto/log.h"
#include "proto/memory.h"

static void read_names(struct sql *sql, const char *ids, struct study_list *list)
{
    size_t capacity = 0;
    sql_query(sql, "SELECT study_id, study_name FROM studies WHERE %s%s%s ORDER BY study_id",
              ids ? "study_id IN (" : "1=1", ids ? ids : "", ids ? ")" : "");
    while (sql_next(sql)) {
        if (list->n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            list->studies = memory_resize(list->studies, capacity, sizeof *list->studies);
        }
        struct loaded_study *loaded = &list->studies[list->n++];
        *loaded = (struct loaded_study){.known = memory_new(sizeof *loaded->known)};
        loaded->known->study_id = loaded->study.study_id = sql_int(sql, 0);
        loaded->study.name = memory_strdup(sql_text(sql, 1));
        loaded->study.user_attrs = json_object();
    }
}

/* NULL for a study that appeared while we read. */
static struct loaded_study *find_study(struct study_list *list, int64_t study_id)
{
    size_t low = 0, high = list->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->studies[middle].study.study_id < study_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->n && list->studies[low].study.study_id == study_id ? &list->studies[low] : NULL;
}

static void read_directions(struct sql *sql, struct study_list *list)
{
    sql_query(sql, "SELECT study_id, direction FROM study_directions ORDER BY study_id, objective");
    while (sql_next(sql)) {
        struct loaded_study *loaded = find_study(list, sql_int(sql, 0));
        if (!loaded)
            continue;
        size_t i = loaded->study.n_directions++;
        if (i < SPEC_MAX_DIRECTIONS)
            loaded->study.directions[i] =
                strcmp(sql_text(sql, 1), "MAXIMIZE") == 0 ? DIRECTION_MAXIMIZE : DIRECTION_MINIMIZE;
    }
}

static void take_uid(struct loaded_study *loaded, const char *json_text)
{
    json_t *value = optuna_json_parse(json_text);
    const char *uid = json_string_value(value);
    if (uid && uid_read(loaded->known->uid, uid) == 0)
        uid_format(loaded->study.uid, loaded->known->uid);
    else
        log_warning("study has a malformed uid study=\"%s\"", loaded->study.name);
    json_decref(value);
}

static void take_spec(struct loaded_study *loaded, const char *json_text)
{
    loaded->known->space = space_of_spec(json_text);
    if (loaded->known->space) {
        loaded->known->has_spec = true;
        loaded->study.spec_json = memory_strdup(json_text);
    } else {
        log_warning("study has a stored spec that is not valid here; it is loaded without study=\"%s\"",
                    loaded->study.name);
    }
}

static void read_system_attributes(struct sql *sql, struct study_list *list)
{
    sql_query(sql,
              "SELECT study_id, `key`, value_json FROM study_system_attributes "
              "WHERE `key` IN ('studyd:spec', 'studyd:uid', 'studyd:first_ask') AND value_json IS NOT NULL");
    while (sql_next(sql)) {
        struct loaded_study *loaded = find_study(list, sql_int(sql, 0));
        if (loaded && strcmp(sql_text(sql, 1), "studyd:uid") == 0)
            take_uid(loaded, sql_text(sql, 2));
        else if (loaded && strcmp(sql_text(sql, 1), "studyd:first_ask") == 0)
            loaded->study.first_ask_us = strtoll(sql_text(sql, 2), NULL, 10);
        else if (loaded)
            take_spec(loaded, sql_text(sql, 2));
    }
}

static void read_user_attributes(struct sql *sql, struct study_list *list)
{
    sql_query(sql, "SELECT study_id, `key`, value_json FROM study_user_attributes "
                   "WHERE `key` IS NOT NULL AND value_json IS NOT NULL ORDER BY study_user_attribute_id");
    while (sql_next(sql)) {
        struct loaded_study *loaded = find_study(list, sql_int(sql, 0));
        json_t *value = loaded ? optuna_json_parse(sql_text(sql, 2)) : NULL;
        if (value)
            json_object_set_new(loaded->study.user_attrs, sql_text(sql, 1), value);
    }
}

static void loaded_study_deinit(struct loaded_study *loaded)
{
    free((char *)loaded->study.name);
    free((char *)loaded->study.spec_json);
    free((char *)loaded->study.state);
    free((char *)loaded->study.reason);
    json_decref(loaded->study.space);
    json_decref(loaded->study.user_attrs);
    known_study_free(loaded->known);
    trial_list_deinit(&loaded->trials);
}

static void drop_study(struct study_list *list, struct loaded_study *loaded)
{
    size_t i = (size_t)(loaded - list->studies);
    loaded_study_deinit(loaded);
    list->n--;
    memmove(loaded, loaded + 1, (list->n - i) * sizeof *loaded);
}

/* A row of ours belongs to a study only if both say the same uid: SQLite gives the ids of deleted studies
 * away again. */
static void read_own_rows(struct sql *sql, struct study_list *list)
{
    sql_query(sql, "SELECT uid, study_id, state, reason, seq FROM studyd_studies");
    while (sql_next(sql)) {
        size_t size;
        const void *uid = sql_blob(sql, 0, &size);
        struct loaded_study *loaded = find_study(list, sql_int(sql, 1));
        if (size != UID_BYTES)
            continue;
        if (!loaded || !loaded->study.uid[0] || memcmp(loaded->known->uid, uid, UID_BYTES) != 0) {
            garbage_add(&list->garbage, 0, uid);
        } else if (strcmp(sql_text(sql, 2), "deleted") == 0) {
            garbage_add(&list->garbage, sql_int(sql, 1), uid);
            drop_study(list, loaded);
        } else {
            loaded->known->has_row = true;
            loaded->study.state = memory_strdup(sql_text(sql, 2));
            loaded->study.reason = memory_strdup(sql_text(sql, 3));
            loaded->study.seq = sql_int(sql, 4);
        }
    }
}

/* Each parameter's newest distribution, in the order in which parameters first appeared. */
static void read_space(struct sql *sql, struct loaded_study *loaded)
{
    loaded->study.space = json_object();
    sql_query(sql,
              "SELECT p.param_name, p.distribution_json FROM trial_params p JOIN "
              "(SELECT MIN(q.param_id) AS oldest, MAX(q.param_id) AS newest FROM trial_params q "
              "JOIN trials t ON t.trial_id = q.trial_id WHERE t.study_id = %lld GROUP BY q.param_name) AS m "
              "ON p.param_id = m.newest ORDER BY m.oldest",
              (long long)loaded->study.study_id);
    while (sql_next(sql)) {
        struct distribution distribution;
        struct problem problem = {0};
        const char *text = sql_text(sql, 1);
        json_t *json = text ? optuna_json_read_distribution(text) : NULL;
        if (json && distribution_read(&distribution, json, "space", &problem) == 0)
            json_object_set(loaded->study.space, sql_text(sql, 0), json);
        else
            log_warning("parameter left out, its distribution cannot be read study=\"%s\" parameter=\"%s\" "
                        "why=\"%s\"",
                        loaded->study.name, sql_text(sql, 0),
                        json ? problem.detail : "it is none of Optuna's");
        if (json)
            distribution_deinit(&distribution);
        json_decref(json);
    }
    struct problem problem = {0};
    if (json_object_size(loaded->study.space) > 0)
        loaded->known->space = space_read(loaded->study.space, "space", &problem);
    if (problem.type != PROBLEM_NONE)
        log_warning("space cannot be read study=\"%s\" why=\"%s\"", loaded->study.name, problem.detail);
}

/* The uid that it has is that of the study which it was copied from, by Optuna's copy_study() say. */
static void forget_uid(struct loaded_study *loaded)
{
    loaded->study.uid[0] = '\0';
    memset(loaded->known->uid, 0, UID_BYTES);
}

static bool has_odd_directions(const struct store_study *study)
{
    if (study->n_directions >= 1 && study->n_directions <= SPEC_MAX_DIRECTIONS)
        return false;
    log_warning("study left out, it has %zu directions study=\"%s\"", study->n_directions, study->name);
    return true;
}

void load_studies(struct sql *sql, const char *ids, struct study_list *list)
{
    *list = (struct study_list){0};
    read_names(sql, ids, list);
    read_directions(sql, list);
    read_system_attributes(sql, list);
    read_user_attributes(sql, list);
    read_own_rows(sql, list);
    for (size_t i = list->n; i-- > 0;) {
        struct loaded_study *loaded = &list->studies[i];
        if (has_odd_directions(&loaded->study)) {
            drop_study(list, loaded);
            continue;
        }
        if (!loaded->known->has_row)
            forget_uid(loaded);
        if (!loaded->study.state)
            loaded->study.state = memory_strdup("running");
        if (!loaded->known->has_spec)
            read_space(sql, loaded);
    }
}

void study_list_deinit(struct study_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        loaded_study_deinit(&list->studies[i]);
    free(list->studies);
    garbage_deinit(&list->garbage);
    *list = (struct study_list){0};
}
