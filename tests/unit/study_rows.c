/* SPDX-License-Identifier: MIT */
/* The rows that a database would hold, and what records do to them. */
#include "tests/unit/study_rows.h"

#include <stdio.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"

static struct row_study *rows_by_id(struct world *world, int64_t study_id)
{
    struct row_study *rows = world->rows;
    while (rows && rows->study_id != study_id)
        rows = rows->next;
    return rows;
}

struct row_study *world_rows(struct world *world, const char *name)
{
    struct row_study *rows = world->rows;
    while (rows && strcmp(rows->name, name) != 0)
        rows = rows->next;
    return rows;
}

struct row_trial *world_row(struct world *world, const char *study, int64_t number)
{
    struct row_study *rows = world_rows(world, study);
    assert_true(number >= 0 && (size_t)number < rows->n_trials);
    return rows->trials[number];
}

static struct row_trial *row_by_id(struct row_study *rows, int64_t trial_id)
{
    for (size_t i = 0; i < rows->n_trials; i++) {
        if (rows->trials[i]->row.trial_id == trial_id && !rows->trials[i]->is_gone)
            return rows->trials[i];
    }
    return NULL;
}

struct row_study *rows_add_study(struct world *world, const char *name, size_t n_directions,
                                 const enum direction *directions)
{
    struct row_study *rows = memory_new(sizeof *rows);
    struct row_study **end = &world->rows;
    while (*end)
        end = &(*end)->next;
    *end = rows;
    rows->study_id = ++world->last_id;
    rows->name = memory_strdup(name);
    rows->state = memory_strdup("running");
    rows->max_trials = INT64_MAX;
    rows->n_directions = n_directions;
    memcpy(rows->directions, directions, n_directions * sizeof *directions);
    rows->space = json_object();
    rows->user_attrs = json_object();
    return rows;
}

struct row_trial *rows_add_trial(struct world *world, struct row_study *rows)
{
    struct row_trial *trial = memory_new(sizeof *trial);
    rows->trials = memory_resize(rows->trials, rows->n_trials + 1, sizeof *rows->trials);
    trial->row.trial_id = ++world->last_id;
    trial->row.number = (int64_t)rows->n_trials;
    trial->row.last_step = -1;
    trial->row.n_params = rows->n_params;
    rows->trials[rows->n_trials++] = trial;
    return trial;
}

static void free_trial(struct row_trial *trial)
{
    json_decref(trial->row.fixed_params);
    json_decref(trial->user_attrs);
    free(trial);
}

static void free_study(struct row_study *rows)
{
    for (size_t i = 0; i < rows->n_trials; i++)
        free_trial(rows->trials[i]);
    free(rows->trials);
    free(rows->name);
    free(rows->spec_json);
    free(rows->state);
    free(rows->reason);
    json_decref(rows->space);
    json_decref(rows->user_attrs);
    free(rows);
}

void rows_remove_study(struct world *world, struct row_study *rows)
{
    struct row_study **each = &world->rows;
    while (*each != rows)
        each = &(*each)->next;
    *each = rows->next;
    free_study(rows);
}

static void put_text(char **to, const char *text)
{
    free(*to);
    *to = memory_strdup(text);
}

static void put_spec(struct row_study *rows, const char *spec_json)
{
    struct problem problem = {0};
    json_t *json = json_parse(spec_json, strlen(spec_json), &problem);
    json_t *max_trials = json_object_get(json, "max_trials");
    put_text(&rows->spec_json, spec_json);
    rows->n_params = json_object_size(json_object_get(json, "space"));
    rows->max_trials = max_trials ? json_integer_value(max_trials) : INT64_MAX;
    json_decref(json);
    assert_true(rows->n_params <= WORLD_MAX_PARAMS);
}

static void put_study(struct row_study *rows, const struct store_record *record)
{
    put_text(&rows->state, record->study.state);
    put_text(&rows->reason, record->study.reason);
    if (record->study.spec_json)
        put_spec(rows, record->study.spec_json);
    if (record->study.user_attrs)
        json_object_update(rows->user_attrs, record->study.user_attrs);
}

static void put_trial(struct row_trial *trial, const struct store_record *record)
{
    struct store_trial *row = &trial->row;
    row->is_ours = true;
    row->state = record->trial.state;
    row->attempt = record->trial.attempt;
    row->retries = record->trial.retries;
    snprintf(row->lease, sizeof row->lease, "%s", record->trial.lease);
    snprintf(trial->worker, sizeof trial->worker, "%s", record->trial.worker ? record->trial.worker : "");
    row->worker = record->trial.worker ? trial->worker : NULL;
    if (record->trial.request.is_set)
        row->request = record->trial.request;
    if (record->trial.sampled_seq)
        row->sampled_seq = record->trial.sampled_seq;
    if (record->trial.asked_seq)
        row->asked_seq = record->trial.asked_seq;
    if (record->trial.finished_seq)
        row->finished_seq = record->trial.finished_seq;
    if (record->trial.has_outcome) {
        row->has_outcome = true;
        memcpy(row->outcome, record->trial.outcome, sizeof row->outcome);
    }
    if (record->trial.params) {
        memcpy(trial->params, record->trial.params, row->n_params * sizeof(double));
        row->params = trial->params;
    }
    if (record->trial.n_values) {
        memcpy(trial->values, record->trial.values, record->trial.n_values * sizeof(double));
        row->values = trial->values;
        row->n_values = record->trial.n_values;
    }
    if (record->trial.fixed_params)
        row->fixed_params = json_incref(record->trial.fixed_params);
    for (size_t i = 0; i < record->trial.n_constraints; i++)
        row->violation += record->trial.constraints[i] > 0 ? record->trial.constraints[i] : 0;
    if (record->trial.failure) {
        snprintf(trial->failure, sizeof trial->failure, "%s", record->trial.failure);
        snprintf(trial->reason, sizeof trial->reason, "%s", record->trial.reason ? record->trial.reason : "");
    }
    if (record->change != STORE_FINISH_TRIAL && record->change != STORE_RELEASE_TRIAL)
        row->start_us = record->trial.start_us / 1000000 * 1000000;
    row->complete_us = record->trial.complete_us / 1000000 * 1000000;
    trial->n_results += record->change == STORE_FINISH_TRIAL;
}

static void put_point(struct row_trial *trial, struct report_point point)
{
    size_t at = 0;
    while (at < trial->row.n_points && trial->points[at].step < point.step)
        at++;
    if (at == trial->row.n_points || trial->points[at].step != point.step) {
        assert_true(trial->row.n_points < WORLD_MAX_POINTS);
        memmove(&trial->points[at + 1], &trial->points[at], (trial->row.n_points++ - at) * sizeof point);
    }
    trial->points[at] = point;
}

static void put_report(struct row_trial *trial, const struct store_record *record)
{
    while (record->report.removes_later && trial->row.n_points &&
           trial->points[trial->row.n_points - 1].step >= record->report.points[0].step)
        trial->row.n_points--;
    for (size_t i = 0; i < record->report.n_points; i++)
        put_point(trial, record->report.points[i]);
    trial->row.points = trial->points;
    trial->row.last_step = trial->points[trial->row.n_points - 1].step;
    trial->row.last_value = trial->points[trial->row.n_points - 1].value;
}

/* ---- committing a record ---- */

static void give_foreign(struct store_record *record, size_t n, struct store_trial *rows)
{
    record->n_foreign = n;
    record->foreign = rows;
}

static struct store_trial *strangers(struct row_study *rows, size_t *n)
{
    struct store_trial *found = memory_array(rows->n_trials - rows->n_known + 1, sizeof *found);
    for (*n = 0; rows->n_known < rows->n_trials; rows->n_known++)
        found[(*n)++] = rows->trials[rows->n_known]->row;
    return found;
}

static void put_first_ask(struct row_study *rows, const struct store_record *record)
{
    if (record->trial.first_ask_us)
        rows->first_ask_us = record->trial.first_ask_us;
}

static enum store_result create_trial(struct world *world, struct row_study *rows,
                                      struct store_record *record)
{
    if (rows->n_known < rows->n_trials || record->trial.number != (int64_t)rows->n_trials) {
        size_t n;
        struct store_trial *found = strangers(rows, &n);
        give_foreign(record, n, found);
        world->n_strangers++;
        return STORE_STRANGERS;
    }
    assert_true(record->trial.number < rows->max_trials); /* budgets are exact */
    struct row_trial *trial = rows_add_trial(world, rows);
    rows->n_known++;
    trial->is_created = true;
    record->trial.trial_id = trial->row.trial_id;
    put_trial(trial, record);
    put_first_ask(rows, record);
    return STORE_DONE;
}

static enum store_result conflict(struct row_trial *trial, struct store_record *record)
{
    struct store_trial *found = memory_array(1, sizeof *found);
    if (trial)
        *found = trial->row;
    give_foreign(record, trial ? 1 : 0, found);
    return STORE_CONFLICT;
}

static enum store_result change_trial(struct row_study *rows, struct store_record *record)
{
    struct row_trial *trial = row_by_id(rows, record->trial.trial_id);
    if (!trial || trial->row.state != record->trial.from)
        return conflict(trial, record);
    put_trial(trial, record);
    put_first_ask(rows, record);
    return STORE_DONE;
}

static enum store_result report(struct row_study *rows, struct store_record *record)
{
    struct row_trial *trial = row_by_id(rows, record->report.trial_id);
    if (!trial || trial->row.state != TRIAL_RUNNING)
        return conflict(trial, record);
    put_report(trial, record);
    return STORE_DONE;
}

static enum store_result look(struct world *world, struct row_study *rows, struct store_record *record)
{
    size_t n_new;
    struct store_trial *found_new = strangers(rows, &n_new);
    struct store_trial *found = memory_array(n_new + record->look.n_trials + 1, sizeof *found);
    size_t n = 0;
    for (size_t i = 0; i < record->look.n_trials; i++) {
        struct row_trial *trial = row_by_id(rows, record->look.trial_ids[i]);
        if (trial)
            found[n++] = trial->row;
    }
    memcpy(found + n, found_new, n_new * sizeof *found);
    free(found_new);
    give_foreign(record, n + n_new, found);
    world->n_looks++;
    if (record->look.n_trials > world->n_most_looked_at)
        world->n_most_looked_at = record->look.n_trials;
    return STORE_DONE;
}

static enum store_result create_study(struct world *world, struct store_record *record)
{
    if (world_rows(world, record->study.name))
        return STORE_EXISTS;
    struct row_study *rows =
        rows_add_study(world, record->study.name, record->study.n_directions, record->study.directions);
    record->study_id = rows->study_id;
    put_study(rows, record);
    snprintf(rows->uid, sizeof rows->uid, "%s", record->uid);
    rows->seq = record->seq;
    return STORE_DONE;
}

enum store_result rows_apply(struct world *world, struct store_record *record)
{
    struct row_study *rows = rows_by_id(world, record->study_id);
    if (record->change == STORE_CREATE_STUDY)
        return create_study(world, record);
    if (!rows)
        return STORE_CONFLICT;
    if (record->change == STORE_LOOK)
        return look(world, rows, record);
    enum store_result result = STORE_DONE;
    if (record->change == STORE_CREATE_TRIAL)
        result = create_trial(world, rows, record);
    else if (record->change == STORE_REPORT)
        result = report(rows, record);
    else if (record->change == STORE_CHANGE_STUDY)
        put_study(rows, record);
    else if (record->change != STORE_DELETE_STUDY)
        result = change_trial(rows, record);
    if (result == STORE_DONE) {
        assert_true(record->seq > rows->seq); /* seq rises within a study */
        rows->seq = record->seq;
        snprintf(rows->uid, sizeof rows->uid, "%s", record->uid);
        world->n_commits++;
    }
    if (record->change == STORE_DELETE_STUDY)
        rows_remove_study(world, rows);
    return result;
}

void rows_finish_read(struct world *world)
{
    struct store_read *read = world->reads;
    struct row_study *rows = rows_by_id(world, read->study_id);
    world->reads = read->next;
    read->trials = memory_array(read->n_trials + 1, sizeof *read->trials);
    for (size_t i = 0; i < read->n_trials; i++) {
        struct row_trial *trial = rows ? row_by_id(rows, read->trial_ids[i]) : NULL;
        if (!trial)
            continue;
        read->trials[i].trial_id = trial->row.trial_id;
        read->trials[i].points = trial->points;
        read->trials[i].n_points = trial->row.n_points;
        read->trials[i].failure = trial->failure[0] ? trial->failure : NULL;
        read->trials[i].reason = trial->reason[0] ? trial->reason : NULL;
    }
    struct store_cold_trial *trials = read->trials;
    read->done(read);
    free(trials);
}

/* ---- loading, finding ---- */

void rows_load_study(struct world *world, struct row_study *rows, const struct store_sink *sink)
{
    struct store_study study = {
        .study_id = rows->study_id,
        .name = rows->name,
        .n_directions = rows->n_directions,
        .spec_json = rows->spec_json,
        .space = rows->space,
        .state = rows->state,
        .reason = rows->reason,
        .seq = rows->seq,
        .epoch = world->epoch,
        .first_ask_us = rows->first_ask_us,
        .user_attrs = rows->user_attrs,
    };
    snprintf(study.uid, sizeof study.uid, "%s", rows->uid);
    memcpy(study.directions, rows->directions, sizeof study.directions);
    void *opaque = sink->study_begin(sink->user, &study);
    for (size_t i = 0; opaque && i < rows->n_trials; i++) {
        struct store_trial row = rows->trials[i]->row;
        bool has_points = row.state == TRIAL_RUNNING && row.is_ours;
        row.n_points = has_points ? row.n_points : 0;
        if (row.state != TRIAL_WAITING)
            row.fixed_params = NULL;
        sink->trial(sink->user, opaque, &row);
    }
    if (!opaque)
        return;
    rows->n_known = rows->n_trials;
    sink->study_end(sink->user, opaque);
}

static struct store_found *find_known(struct store_find *find, const char *name)
{
    for (size_t i = 0; i < find->n_known; i++) {
        if (strcmp(find->known[i].name, name) == 0)
            return &find->known[i];
    }
    return NULL;
}

void rows_finish_find(struct world *world)
{
    struct store_find *find = world->find;
    struct store_sink sink = studies_sink(world->studies);
    world->find = NULL;
    world->n_finds++;
    find->error = world->cannot_find ? -1 : 0;
    for (size_t i = 0; i < find->n_known; i++)
        find->known[i].is_gone = true;
    for (struct row_study *rows = find->error ? NULL : world->rows; rows; rows = rows->next) {
        struct store_found *known = find_known(find, rows->name);
        bool is_same = known && known->study_id == rows->study_id &&
                       (!known->uid[0] || strcmp(known->uid, rows->uid) == 0);
        if (known)
            known->is_gone = !is_same;
        if (!known || (is_same && known->is_wanted))
            rows_load_study(world, rows, &sink);
    }
    find->done(find);
}
