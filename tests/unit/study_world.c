/* SPDX-License-Identifier: MIT */
/* A world for the study room: see the header. */
#include "tests/unit/study_world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "tests/unit/study_rows.h"

#define START_US INT64_C(1700000000000000)

/* ---- ports ---- */

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

static int find_studies(void *user, struct store_find *find)
{
    struct world *world = user;
    if (world->takes_nothing)
        return -1;
    assert_null(world->find); /* one at a time */
    find->error = 0;
    world->find = find;
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

/* ---- the store's queue ---- */

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
    finish(record, result == STORE_DONE ? rows_apply(world, record) : result);
}

/* ---- running ---- */

/* One record; where it fails, all of its study that is queued behind it is dropped, as the store does. */
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
        if (rest->study_id == study_id)
            failed[n_failed++] = rest;
        else
            (void)!submit(world, rest);
    }
    for (size_t i = 0; i < n_failed; i++) {
        failed[i]->foreign = NULL;
        failed[i]->n_foreign = 0;
        finish(failed[i], i == 0 ? fault : STORE_AWAY);
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
        rows_finish_read(world);
    } else if (world->find && !world->is_held) {
        rows_finish_find(world);
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

/* ---- begin and end ---- */

static struct studies *make_studies(struct world *world)
{
    struct study_ports ports = {world,       now_ms,       wall_us, random_bytes, submit,
                                read_trials, find_studies, sample,  wake};
    return studies_new(&ports);
}

void world_init(struct world *world)
{
    *world = (struct world){.now_ms = 1000, .wake_ms = INT64_MAX, .random = 1, .last_id = 100, .epoch = 1};
    world->queue_end = &world->queue;
    world->studies = make_studies(world);
    studies_loaded(world->studies);
}

static void end_studies(struct world *world)
{
    world->is_held = world->takes_nothing = world->is_sampler_held = world->cannot_find = false;
    studies_stop(world->studies);
    world_run(world);
    assert_int_equal(studies_open_calls(world->studies), 0);
    studies_free(world->studies);
}

void world_deinit(struct world *world)
{
    end_studies(world);
    while (world->rows)
        rows_remove_study(world, world->rows);
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world_init(world);
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    world_deinit(*state);
    free(*state);
    return 0;
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
    world->epoch++;
    for (struct row_study *rows = world->rows; rows; rows = rows->next)
        rows_load_study(world, rows, &sink);
    studies_loaded(world->studies);
}

/* ---- studies, Optuna ---- */

#define SPACE                                                                                         \
    "{\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}, \"n\": {\"type\": \"int\", \"low\": 1, " \
    "\"high\": 10}, "                                                                                 \
    "\"c\": {\"type\": \"categorical\", \"choices\": [\"a\", \"b\"]}}"

struct study *world_create(struct world *world, const char *name, const char *more)
{
    char text[1000];
    struct test_call call;
    snprintf(text, sizeof text,
             "{\"name\": \"%s\", \"space\": " SPACE ", \"sampler\": {\"type\": \"random\", \"seed\": 1}%s%s}",
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
    struct row_study *rows = rows_add_study(world, name, 1, &(enum direction){DIRECTION_MINIMIZE});
    json_decref(rows->space);
    rows->space = json_parse(space ? space : SPACE, strlen(space ? space : SPACE), &problem);
    rows->n_params = json_object_size(rows->space);
    return rows;
}

struct row_trial *world_optuna_trial(struct world *world, struct row_study *rows, enum trial_state state)
{
    struct row_trial *trial = rows_add_trial(world, rows);
    trial->row.state = state;
    if (state == TRIAL_WAITING)
        return trial;
    trial->row.start_us = START_US;
    for (size_t i = 0; i < rows->n_params; i++)
        trial->params[i] = 1;
    trial->row.params = trial->params;
    return trial;
}

void world_optuna_delete(struct world *world, const char *name)
{
    rows_remove_study(world, world_rows(world, name));
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

/* ---- calls ---- */

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

static void start_ask(struct world *world, struct test_ask *ask, struct study *study,
                      struct ask_message *message)
{
    unsigned char body_hash[16] = {(unsigned char)message->count};
    *ask = (struct test_ask){.call = {.done = ask_done, .is_gone = ask_is_gone, .user = ask}};
    study_ask(world->studies, study, message, body_hash, &ask->call);
    assert_false(ask->is_done); /* never before it returns */
}

void world_start_ask(struct world *world, struct test_ask *ask, struct study *study, const char *worker,
                     int64_t count, double wait_s, const char *request_id)
{
    struct ask_message message = {(char *)worker, count, wait_s, (char *)request_id, NULL};
    start_ask(world, ask, study, &message);
}

void world_start_ask_of_all(struct world *world, struct test_ask *ask, const char *worker, const char *runner,
                            double wait_s)
{
    struct ask_message message = {.worker = (char *)worker, .count = 1, .wait_s = wait_s};
    message.runners = runner ? json_pack("[s]", runner) : NULL;
    start_ask(world, ask, NULL, &message);
    json_decref(message.runners);
}

void world_start_ask_except(struct world *world, struct test_ask *ask, const char *worker, const char *except,
                            double wait_s)
{
    struct ask_message message = {.worker = (char *)worker, .count = 1, .wait_s = wait_s};
    message.except = json_pack("[s]", except);
    start_ask(world, ask, NULL, &message);
    json_decref(message.except);
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
    *call = (struct test_call){.call = {.done = trial_done, .user = call},
                               .study_call = {.done = study_done, .user = call}};
}

void world_start_tell(struct world *world, struct test_call *call, struct study *study, int64_t number,
                      const char *lease, enum trial_state state, double value)
{
    struct tell_message message = {.lease = (char *)lease, .state = state};
    message.values = &value;
    message.n_values = state == TRIAL_COMPLETE;
    open_call(call);
    study_tell(world->studies, study, number, &message, &call->call);
    assert_false(call->is_done);
}

void world_start_fail(struct world *world, struct test_call *call, struct study *study, int64_t number,
                      const char *lease, enum trial_failure failure)
{
    struct tell_message message = {
        .lease = (char *)lease, .state = TRIAL_FAIL, .failure = failure, .reason = (char *)"it broke"};
    open_call(call);
    study_tell(world->studies, study, number, &message, &call->call);
}

void world_start_report(struct world *world, struct test_call *call, struct study *study, int64_t number,
                        const char *lease, int32_t step, double value)
{
    world_start_points(world, call, study, number, lease, 1, &(struct report_point){step, value});
}

void world_start_points(struct world *world, struct test_call *call, struct study *study, int64_t number,
                        const char *lease, size_t n_points, const struct report_point *points)
{
    struct report_message message = {(char *)lease, n_points, (struct report_point *)points};
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

enum problem_type world_tell(struct world *world, struct study *study, const struct test_offer *offer,
                             double value)
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

enum problem_type world_report(struct world *world, struct study *study, const struct test_offer *offer,
                               int32_t step, double value)
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
