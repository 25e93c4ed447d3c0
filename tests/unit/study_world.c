/* SPDX-License-Identifier: MIT */
/* A world for the study room: see the header. */
#include "tests/unit/study_world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"

#define START_US INT64_C(1700000000000000)

/* -------------------------------------------------------------------------------------------------- ports */

static int64_t now_ms(void *user)
{
    return ((struct world *)user)->now_ms;
}

static int64_t wall_us(void *user)
{
    struct world *world = user;
    return START_US + world->now_ms * 1000;
}

static uint64_t world_random(struct world *world)
{
    world->random += 0x9e3779b97f4a7c15;
    uint64_t z = world->random;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void random_bytes(void *user, void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)world_random(user);
}

static int submit(void *user, struct store_record *record)
{
    struct world *world = user;
    if (world->takes_nothing)
        return -1;
    record->next = NULL;
    *world->queue_end = record;
    world->queue_end = &record->next;
    world->n_queued++;
    return 0;
}

static int read_trials(void *user, struct store_read *read)
{
    struct world *world = user;
    if (world->takes_nothing)
        return -1;
    read->next = world->reads;
    world->reads = read;
    return 0;
}

static void sample(void *user, struct sampler_job *job)
{
    struct world *world = user;
    assert_true(world->n_jobs < 32);
    world->jobs[world->n_jobs++] = job;
}

static void wake(void *user, int64_t at_ms)
{
    ((struct world *)user)->wake_ms = at_ms;
}

/* --------------------------------------------------------------------------------------------------- rows */

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

static struct row_study *add_study(struct world *world, const char *name, size_t n_directions,
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
    rows->n_directions = n_directions;
    memcpy(rows->directions, directions, n_directions * sizeof *directions);
    rows->space = json_object();
    rows->user_attrs = json_object();
    return rows;
}

static struct row_trial *add_trial(struct world *world, struct row_study *rows)
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

static void remove_study(struct world *world, struct row_study *rows)
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

static size_t count_params(const char *spec_json)
{
    struct problem problem = {0};
    json_t *json = json_parse(spec_json, strlen(spec_json), &problem);
    size_t n = json_object_size(json_object_get(json, "space"));
    json_decref(json);
    assert_true(n <= WORLD_MAX_PARAMS);
    return n;
}

static void put_study(struct row_study *rows, const struct store_record *record)
{
    put_text(&rows->state, record->study.state);
    put_text(&rows->reason, record->study.reason);
    if (record->study.spec_json) {
        put_text(&rows->spec_json, record->study.spec_json);
        rows->n_params = count_params(rows->spec_json);
    }
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
    snprintf(trial->failure, sizeof trial->failure, "%s", record->trial.failure ? record->trial.failure : "");
    snprintf(trial->reason, sizeof trial->reason, "%s", record->trial.reason ? record->trial.reason : "");
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

/* ---------------------------------------------------------------------------------------- committing a record */

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

static enum store_result create_trial(struct world *world, struct row_study *rows, struct store_record *record)
{
    if (rows->n_known < rows->n_trials || record->trial.number != (int64_t)rows->n_trials) {
        size_t n;
        struct store_trial *found = strangers(rows, &n);
        give_foreign(record, n, found);
        world->n_strangers++;
        return STORE_STRANGERS;
    }
    struct row_trial *trial = add_trial(world, rows);
    rows->n_known++;
    trial->is_created = true;
    record->trial.trial_id = trial->row.trial_id;
    put_trial(trial, record);
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
    return STORE_DONE;
}

static enum store_result create_study(struct world *world, struct store_record *record)
{
    if (world_rows(world, record->study.name))
        return STORE_EXISTS;
    struct row_study *rows =
        add_study(world, record->study.name, record->study.n_directions, record->study.directions);
    record->study_id = rows->study_id;
    put_study(rows, record);
    snprintf(rows->uid, sizeof rows->uid, "%s", record->uid);
    rows->seq = record->seq;
    return STORE_DONE;
}

static enum store_result apply(struct world *world, struct store_record *record)
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
        remove_study(world, rows);
    return result;
}

static struct store_record *take_first(struct world *world)
{
    struct store_record *record = world->queue;
    world->queue = record->next;
    if (!world->queue)
        world->queue_end = &world->queue;
    world->n_queued--;
    return record;
}

static void finish(struct store_record *record, enum store_result result)
{
    const struct store_trial *foreign = record->foreign;
    record->result = result;
    snprintf(record->detail, sizeof record->detail, "%s", result == STORE_REFUSED ? "value too long" : "");
    record->done(record);
    free((void *)foreign);
}

void world_settle_first(struct world *world, enum store_result result)
{
    struct store_record *record = take_first(world);
    record->foreign = NULL;
    record->n_foreign = 0;
    finish(record, result == STORE_DONE ? apply(world, record) : result);
}

static void finish_read(struct world *world)
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

/* -------------------------------------------------------------------------------------------- running */

/* One record; an AWAY takes along all of its study that is queued behind it, as the store does. */
static void commit_first(struct world *world)
{
    if (!world->n_faults) {
        world_settle_first(world, STORE_DONE);
        return;
    }
    enum store_result fault = world->fault;
    world->n_faults--;
    struct store_record *failed[256];
    size_t n_failed = 1;
    failed[0] = take_first(world);
    int64_t study_id = failed[0]->study_id;
    struct store_record *rest = world->queue;
    world->queue = NULL;
    world->queue_end = &world->queue;
    world->n_queued = 0;
    for (struct store_record *next; rest; rest = next) {
        next = rest->next;
        if (fault == STORE_AWAY && rest->study_id == study_id)
            failed[n_failed++] = rest;
        else
            (void)!submit(world, rest);
    }
    for (size_t i = 0; i < n_failed; i++) {
        failed[i]->foreign = NULL;
        failed[i]->n_foreign = 0;
        finish(failed[i], fault);
    }
}

bool world_step(struct world *world)
{
    if (world->wake_ms <= world->now_ms) {
        world->wake_ms = INT64_MAX;
        studies_tick(world->studies);
    } else if (world->n_jobs && !world->is_sampler_held) {
        struct sampler_job *job = world->jobs[0];
        memmove(world->jobs, world->jobs + 1, --world->n_jobs * sizeof *world->jobs);
        job->run(job);
        job->done(job);
    } else if (world->reads && !world->is_held) {
        finish_read(world);
    } else if (world->queue && !world->is_held) {
        commit_first(world);
    } else {
        return false;
    }
    return true;
}

void world_run(struct world *world)
{
    for (int i = 0; world_step(world); i++)
        assert_true(i < 100000); /* it must come to rest */
}

void world_pass(struct world *world, int64_t ms)
{
    int64_t end_ms = world->now_ms + ms;
    world_run(world);
    while (world->wake_ms <= end_ms) {
        world->now_ms = world->wake_ms;
        world_run(world);
    }
    world->now_ms = end_ms;
    world_run(world);
}

void world_lose_store(struct world *world)
{
    world->takes_nothing = true;
    studies_store_away(world->studies, true);
    while (world->queue)
        world_settle_first(world, STORE_AWAY);
}

void world_find_store(struct world *world)
{
    world->takes_nothing = false;
    studies_store_away(world->studies, false);
    world_run(world);
}

/* ------------------------------------------------------------------------------------------ begin and end */

static struct studies *make_studies(struct world *world)
{
    struct study_ports ports = {world, now_ms, wall_us, random_bytes, submit, read_trials, sample, wake};
    return studies_new(&ports);
}

void world_init(struct world *world)
{
    *world = (struct world){.now_ms = 1000, .wake_ms = INT64_MAX, .random = 1, .last_id = 100};
    world->queue_end = &world->queue;
    world->studies = make_studies(world);
    studies_loaded(world->studies);
}

static void end_studies(struct world *world)
{
    world->is_held = world->takes_nothing = world->is_sampler_held = false;
    studies_stop(world->studies);
    world_run(world);
    assert_int_equal(studies_open_calls(world->studies), 0);
    studies_free(world->studies);
}

void world_deinit(struct world *world)
{
    end_studies(world);
    while (world->rows)
        remove_study(world, world->rows);
}

static void load_study(struct store_sink *sink, struct row_study *rows)
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
        .user_attrs = rows->user_attrs,
    };
    snprintf(study.uid, sizeof study.uid, "%s", rows->uid);
    memcpy(study.directions, rows->directions, sizeof study.directions);
    void *opaque = sink->study_begin(sink->user, &study);
    for (size_t i = 0; i < rows->n_trials; i++) {
        struct store_trial row = rows->trials[i]->row;
        bool has_points = row.state == TRIAL_RUNNING && row.is_ours;
        row.n_points = has_points ? row.n_points : 0;
        if (row.state != TRIAL_WAITING)
            row.fixed_params = NULL;
        sink->trial(sink->user, opaque, &row);
    }
    rows->n_known = rows->n_trials;
    sink->study_end(sink->user, opaque);
}

void world_restart(struct world *world)
{
    while (world->queue)
        world_settle_first(world, STORE_AWAY);
    world->takes_nothing = true;
    studies_store_away(world->studies, true);
    end_studies(world);
    world->wake_ms = INT64_MAX;
    world->studies = make_studies(world);
    struct store_sink sink = studies_sink(world->studies);
    for (struct row_study *rows = world->rows; rows; rows = rows->next)
        load_study(&sink, rows);
    studies_loaded(world->studies);
}

/* ------------------------------------------------------------------------------------------- studies, Optuna */

#define SPACE "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, \"n\": {\"type\": \"int\", \"low\": 1, \"high\": 10}, " \
              "\"c\": {\"type\": \"categorical\", \"choices\": [\"a\", \"b\"]}}"

struct study *world_create(struct world *world, const char *name, const char *more)
{
    char text[1000];
    struct test_call call;
    snprintf(text, sizeof text, "{\"name\": \"%s\", \"space\": " SPACE ", \"sampler\": {\"type\": \"random\", \"seed\": 1}%s%s}",
             name, more ? ", " : "", more ? more : "");
    world_start_create(world, &call, text, false);
    world_run(world);
    assert_true(call.is_done);
    assert_string_equal(call.detail, "");
    return call.study_call.study;
}

struct row_study *world_optuna_study(struct world *world, const char *name, const char *space)
{
    struct problem problem = {0};
    struct row_study *rows = add_study(world, name, 1, &(enum direction){DIRECTION_MINIMIZE});
    json_decref(rows->space);
    rows->space = json_parse(space ? space : SPACE, strlen(space ? space : SPACE), &problem);
    rows->n_params = json_object_size(rows->space);
    return rows;
}

struct row_trial *world_optuna_trial(struct world *world, struct row_study *rows, enum trial_state state)
{
    struct row_trial *trial = add_trial(world, rows);
    trial->row.state = state;
    if (state == TRIAL_WAITING)
        return trial;
    trial->row.start_us = START_US;
    for (size_t i = 0; i < rows->n_params; i++)
        trial->params[i] = 1;
    trial->row.params = trial->params;
    return trial;
}

void world_optuna_finish(struct row_trial *trial, enum trial_state state, double value)
{
    trial->row.state = state;
    trial->row.complete_us = START_US;
    trial->values[0] = value;
    trial->row.values = trial->values;
    trial->row.n_values = state == TRIAL_COMPLETE;
    trial->n_results++;
}

/* ---------------------------------------------------------------------------------------------------- calls */

static void ask_done(struct ask_call *call)
{
    struct test_ask *ask = call->user;
    assert_false(ask->is_done);
    ask->is_done = true;
    ask->problem = call->problem.type;
    snprintf(ask->detail, sizeof ask->detail, "%s", call->problem.detail);
    snprintf(ask->state, sizeof ask->state, "%s", call->state ? call->state : "");
    ask->n_offers = call->n_offers;
    for (size_t i = 0; i < call->n_offers; i++) {
        const struct ask_offer *offer = &call->offers[i];
        struct test_offer *copy = &ask->offers[i];
        snprintf(copy->study, sizeof copy->study, "%s", offer->study);
        copy->number = offer->number;
        copy->attempt = offer->attempt;
        snprintf(copy->lease, sizeof copy->lease, "%s", offer->lease);
        copy->x = json_number_value(json_object_get(offer->params, "x"));
        copy->n = json_number_value(json_object_get(offer->params, "n"));
        const char *c = json_string_value(json_object_get(offer->params, "c"));
        snprintf(copy->c, sizeof copy->c, "%s", c ? c : "");
    }
}

static bool ask_is_gone(struct ask_call *call)
{
    return ((struct test_ask *)call->user)->is_gone;
}

static void start_ask(struct world *world, struct test_ask *ask, struct study *study, struct ask_message *message)
{
    unsigned char body_hash[16] = {(unsigned char)message->count};
    *ask = (struct test_ask){.call = {.done = ask_done, .is_gone = ask_is_gone, .user = ask}};
    study_ask(world->studies, study, message, body_hash, &ask->call);
    assert_false(ask->is_done); /* never before it returns */
}

void world_start_ask(struct world *world, struct test_ask *ask, struct study *study, const char *worker, int64_t count,
                     double wait_s, const char *request_id)
{
    struct ask_message message = {(char *)worker, count, wait_s, (char *)request_id, NULL};
    start_ask(world, ask, study, &message);
}

void world_start_ask_of_all(struct world *world, struct test_ask *ask, const char *worker, const char *runner,
                            double wait_s)
{
    struct ask_message message = {(char *)worker, 1, wait_s, NULL, runner ? json_pack("[s]", runner) : NULL};
    start_ask(world, ask, NULL, &message);
    json_decref(message.runners);
}

struct test_offer world_ask(struct world *world, struct study *study)
{
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    assert_true(ask.is_done);
    assert_string_equal(ask.detail, "");
    assert_int_equal(ask.n_offers, 1);
    return ask.offers[0];
}

static void trial_done(struct trial_call *call)
{
    struct test_call *test = call->user;
    assert_false(test->is_done);
    test->is_done = true;
    test->problem = call->problem.type;
    snprintf(test->detail, sizeof test->detail, "%s", call->problem.detail);
}

static void study_done(struct study_call *call)
{
    struct test_call *test = call->user;
    assert_false(test->is_done);
    test->is_done = true;
    test->problem = call->problem.type;
    snprintf(test->detail, sizeof test->detail, "%s", call->problem.detail);
}

static void open_call(struct test_call *call)
{
    *call = (struct test_call){.call = {.done = trial_done, .user = call}, .study_call = {.done = study_done, .user = call}};
}

void world_start_tell(struct world *world, struct test_call *call, struct study *study, int64_t number, const char *lease,
                      enum trial_state state, double value)
{
    struct tell_message message = {.lease = (char *)lease, .state = state};
    message.values = &value;
    message.n_values = state == TRIAL_COMPLETE;
    open_call(call);
    study_tell(world->studies, study, number, &message, &call->call);
    assert_false(call->is_done);
}

void world_start_fail(struct world *world, struct test_call *call, struct study *study, int64_t number, const char *lease,
                      enum trial_failure failure)
{
    struct tell_message message = {
        .lease = (char *)lease, .state = TRIAL_FAIL, .failure = failure, .reason = (char *)"it broke"};
    open_call(call);
    study_tell(world->studies, study, number, &message, &call->call);
}

void world_start_report(struct world *world, struct test_call *call, struct study *study, int64_t number,
                        const char *lease, int32_t step, double value)
{
    struct report_point point = {step, value};
    struct report_message message = {(char *)lease, 1, &point};
    open_call(call);
    study_report(world->studies, study, number, &message, &call->call);
    assert_false(call->is_done);
}

void world_start_heartbeat(struct world *world, struct test_call *call, struct study *study, int64_t number,
                           const char *lease)
{
    open_call(call);
    study_heartbeat(world->studies, study, number, lease, &call->call);
    assert_false(call->is_done);
}

void world_start_enqueue(struct world *world, struct test_call *call, struct study *study, const char *params,
                         const char *request_id)
{
    struct problem problem = {0};
    unsigned char body_hash[16] = {(unsigned char)strlen(params)};
    struct enqueue_message message = {json_parse(params, strlen(params), &problem), NULL, (char *)request_id};
    open_call(call);
    study_enqueue(world->studies, study, &message, body_hash, &call->call);
    json_decref(message.params);
    assert_false(call->is_done);
}

void world_start_create(struct world *world, struct test_call *call, const char *spec, bool exist_ok)
{
    struct problem problem = {0};
    json_t *json = json_parse(spec, strlen(spec), &problem);
    struct spec *read = spec_read(json, 7, &problem);
    assert_string_equal(problem.detail, "");
    json_decref(json);
    open_call(call);
    studies_create(world->studies, read, exist_ok, &call->study_call);
    assert_false(call->is_done);
}

void world_start_change(struct world *world, struct test_call *call, struct study *study,
                        const struct study_change *change)
{
    open_call(call);
    study_change(world->studies, study, change, &call->study_call);
    assert_false(call->is_done);
}

void world_start_delete(struct world *world, struct test_call *call, struct study *study, bool force)
{
    open_call(call);
    study_delete(world->studies, study, force, &call->study_call);
    assert_false(call->is_done);
}

static enum problem_type finish_call(struct world *world, struct test_call *call)
{
    world_run(world);
    assert_true(call->is_done);
    return call->problem;
}

enum problem_type world_tell(struct world *world, struct study *study, const struct test_offer *offer, double value)
{
    struct test_call call;
    world_start_tell(world, &call, study, offer->number, offer->lease, TRIAL_COMPLETE, value);
    return finish_call(world, &call);
}

enum problem_type world_fail(struct world *world, struct study *study, const struct test_offer *offer,
                             enum trial_failure failure)
{
    struct test_call call;
    world_start_fail(world, &call, study, offer->number, offer->lease, failure);
    return finish_call(world, &call);
}

enum problem_type world_tell_state(struct world *world, struct study *study, const struct test_offer *offer,
                                   enum trial_state state)
{
    struct test_call call;
    world_start_tell(world, &call, study, offer->number, offer->lease, state, 0);
    return finish_call(world, &call);
}

enum problem_type world_report(struct world *world, struct study *study, const struct test_offer *offer, int32_t step,
                               double value)
{
    struct test_call call;
    world_start_report(world, &call, study, offer->number, offer->lease, step, value);
    return finish_call(world, &call);
}

enum problem_type world_set_state(struct world *world, struct study *study, const char *state)
{
    struct test_call call;
    world_start_change(world, &call, study, &(struct study_change){.state = state});
    return finish_call(world, &call);
}

struct trial_view world_view(const struct study *study, int64_t number)
{
    struct trial_view view;
    assert_int_equal(study_get_trial(study, number, &view), 0);
    return view;
}
