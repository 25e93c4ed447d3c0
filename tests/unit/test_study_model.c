/* SPDX-License-Identifier: MIT */
/*
 * Thousands of random steps against the whole state machine, with a store that fails, delays, refuses and
 * restarts, and an Optuna that writes beside it. After each rest the database is held against all that was
 * acknowledged and against memory:
 *
 * - no trial has two results; numbers of ours lie inside the budget (the world's store checks that, too);
 * - whatever was acknowledged stands in the database;
 * - memory shows what the database has, and the same after a restart;
 * - who follows the list of changes with its cursor, over restarts, too, has missed nothing;
 * - every call is answered once.
 */
#include <stdio.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"
#include "tests/unit/study_world.h"

#define N_STUDIES 2
#define MAX_CALLS 400
#define MAX_OFFERS 4000
#define MAX_TRIALS 1000
static const char *const names[N_STUDIES] = {"one", "two"};
static const char visitor[] = "visitor"; /* a study that Optuna makes and deletes, again and again */

enum kind { ASK, TELL, REPORT, HEARTBEAT, ENQUEUE, CHANGE, VISIT };

/* A call under way. */
struct pending {
    enum kind kind;
    int study;
    struct test_ask ask;
    struct test_call call;
    struct test_offer offer; /* TELL, REPORT */
    enum trial_state state;  /* TELL */
    double value;            /* TELL, REPORT */
    int32_t step;            /* REPORT */
};

/* A trial that somebody was given. */
struct held {
    int study;
    struct test_offer offer;
    bool is_told; /* and acknowledged */
    enum trial_state state;
    double value;
    int32_t last_step; /* acknowledged report, -1: none */
};

/* Somebody who reads what changed, and keeps the cursor over restarts. */
struct follower {
    int64_t cursor;
    struct trial_view seen[MAX_TRIALS];
};

struct model {
    struct world world;
    uint64_t random;
    size_t n_pending, n_held;
    struct pending *pending[MAX_CALLS];
    struct held held[MAX_OFFERS];
    struct follower followers[N_STUDIES];
    int64_t max_trials[N_STUDIES]; /* the highest so far */
    int n_requests, n_restarts, n_answered, n_failed;
};

static size_t draw(struct model *model, size_t n)
{
    model->random = model->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(model->random >> 33) % n;
}

static struct study *study_of(struct model *model, int study)
{
    return studies_find(model->world.studies, names[study]);
}

/* ---- the calls ---- */

static struct pending *open_pending(struct model *model, enum kind kind)
{
    struct pending *pending = memory_new(sizeof *pending);
    pending->kind = kind;
    pending->study = (int)draw(model, N_STUDIES);
    assert_true(model->n_pending < MAX_CALLS);
    model->pending[model->n_pending++] = pending;
    return pending;
}

static void start_ask(struct model *model)
{
    char id[20];
    struct pending *pending = open_pending(model, ASK);
    bool is_repeated = model->n_requests && draw(model, 3) == 0;
    int request = is_repeated ? (int)draw(model, (size_t)model->n_requests) : model->n_requests++;
    int64_t count = 1 + request % 3; /* the same id always with the same body */
    snprintf(id, sizeof id, "id-%d", request);
    world_start_ask(&model->world, &pending->ask, study_of(model, pending->study),
                    request % 2 ? "odd" : "even", count, (double)draw(model, 20), draw(model, 4) ? id : NULL);
    pending->ask.is_gone = draw(model, 10) == 0;
}

static struct held *draw_held(struct model *model)
{
    if (!model->n_held)
        return NULL;
    size_t n_last = model->n_held < 8 ? model->n_held : 8;
    return &model
                ->held[draw(model, 5) ? model->n_held - 1 - draw(model, n_last) : draw(model, model->n_held)];
}

static void start_tell(struct model *model)
{
    static const enum trial_state states[] = {TRIAL_COMPLETE, TRIAL_COMPLETE, TRIAL_COMPLETE,
                                              TRIAL_PRUNED,   TRIAL_FAIL,     TRIAL_WAITING};
    struct held *held = draw_held(model);
    if (!held)
        return;
    struct pending *pending = open_pending(model, TELL);
    pending->study = held->study;
    pending->offer = held->offer;
    pending->state = states[draw(model, 6)];
    pending->value = (double)draw(model, 3); /* repeats are often the same, and often not */
    struct study *study = study_of(model, held->study);
    if (pending->state == TRIAL_FAIL)
        world_start_fail(&model->world, &pending->call, study, held->offer.number, held->offer.lease,
                         draw(model, 2) ? FAILURE_OBJECTIVE : FAILURE_KILLED);
    else
        world_start_tell(&model->world, &pending->call, study, held->offer.number, held->offer.lease,
                         pending->state, pending->value);
}

static void start_report(struct model *model)
{
    struct held *held = draw_held(model);
    if (!held)
        return;
    struct pending *pending = open_pending(model, draw(model, 4) ? REPORT : HEARTBEAT);
    struct study *study = study_of(model, held->study);
    pending->study = held->study;
    pending->offer = held->offer;
    pending->step = (int32_t)draw(model, 30);
    pending->value = (double)draw(model, 1000);
    if (pending->kind == REPORT)
        world_start_report(&model->world, &pending->call, study, held->offer.number, held->offer.lease,
                           pending->step, pending->value);
    else
        world_start_heartbeat(&model->world, &pending->call, study, held->offer.number, held->offer.lease);
}

static void start_enqueue(struct model *model)
{
    struct pending *pending = open_pending(model, ENQUEUE);
    world_start_enqueue(&model->world, &pending->call, study_of(model, pending->study), "{\"x\": 0.5}", NULL);
}

static void start_change(struct model *model)
{
    struct pending *pending = open_pending(model, CHANGE);
    size_t n_trials = world_rows(&model->world, names[pending->study])->n_trials;
    struct study_change change = {.state = draw(model, 3) ? "running" : "paused"};
    change.has_max_trials = draw(model, 2);
    if (change.has_max_trials)
        change.state = NULL;
    int64_t *highest = &model->max_trials[pending->study];
    change.max_trials = draw(model, 3) ? *highest + 20 : (int64_t)(1 + draw(model, n_trials + 6));
    if (*highest < change.max_trials)
        *highest = change.max_trials;
    world_start_change(&model->world, &pending->call, study_of(model, pending->study), &change);
}

/* Whatever comes of it: it is answered. */
static void start_visit(struct model *model)
{
    struct study *study = studies_find(model->world.studies, visitor);
    struct pending *pending = study ? open_pending(model, draw(model, 2) ? VISIT : ENQUEUE) : NULL;
    if (!study)
        studies_seek(model->world.studies);
    else if (pending->kind == VISIT)
        world_start_ask(&model->world, &pending->ask, study, "visitor", 1, (double)draw(model, 20), NULL);
    else
        world_start_enqueue(&model->world, &pending->call, study, "{\"x\": 0.5}", NULL);
}

static void move_visitor(struct model *model)
{
    struct row_study *rows = world_rows(&model->world, visitor);
    if (!rows)
        rows = world_optuna_study(&model->world, visitor, draw(model, 2) ? NULL : "{}");
    else if (draw(model, 2))
        world_optuna_delete(&model->world, visitor);
    else
        world_optuna_trial(&model->world, rows, TRIAL_RUNNING);
}

/* ---- what is acknowledged ---- */

static void note_offers(struct model *model, const struct pending *pending)
{
    for (size_t i = 0; i < pending->ask.n_offers && model->n_held < MAX_OFFERS; i++)
        model->held[model->n_held++] =
            (struct held){.study = pending->study, .offer = pending->ask.offers[i], .last_step = -1};
}

static void note_tell(struct model *model, const struct pending *pending)
{
    for (size_t i = 0; i < model->n_held; i++) {
        struct held *held = &model->held[i];
        if (held->study != pending->study || strcmp(held->offer.lease, pending->offer.lease) != 0)
            continue;
        held->is_told = true;
        held->state = pending->call.call.state;
        held->value = pending->value;
    }
}

static bool is_ask(const struct pending *pending)
{
    return pending->kind == ASK || pending->kind == VISIT;
}

static void note_answer(struct model *model, const struct pending *pending)
{
    bool is_well =
        is_ask(pending) ? pending->ask.problem == PROBLEM_NONE : pending->call.problem == PROBLEM_NONE;
    model->n_answered++;
    model->n_failed += !is_well;
    if (is_well && pending->kind == ASK)
        note_offers(model, pending);
    if (is_well && pending->kind == TELL)
        note_tell(model, pending);
}

static void collect(struct model *model)
{
    size_t n = 0;
    for (size_t i = 0; i < model->n_pending; i++) {
        struct pending *pending = model->pending[i];
        bool is_done = is_ask(pending) ? pending->ask.is_done : pending->call.is_done;
        if (!is_done) {
            model->pending[n++] = pending;
            continue;
        }
        note_answer(model, pending);
        free(pending);
    }
    model->n_pending = n;
}

/* ---- checks ---- */

static void check_held(struct model *model, const struct held *held)
{
    const struct row_trial *row = world_row(&model->world, names[held->study], held->offer.number);
    assert_true(row->row.attempt >= held->offer.attempt);
    assert_true(row->params[0] == held->offer.x && row->params[1] == held->offer.n);
    if (row->row.attempt == held->offer.attempt)
        assert_string_equal(row->row.lease, held->offer.lease);
    if (!held->is_told || held->state == TRIAL_WAITING)
        return;
    assert_int_equal(row->row.state, held->state);
    assert_int_equal(row->row.attempt, held->offer.attempt);
    if (held->state == TRIAL_COMPLETE)
        assert_true(row->values[0] == held->value);
}

static void check_trial(const struct row_trial *row, const struct trial_view *view)
{
    assert_int_equal(view->state, row->row.state);
    assert_int_equal(view->trial_id, row->row.trial_id);
    assert_true(row->n_results <= 1);
    assert_int_equal(row->n_results, row->row.state == TRIAL_COMPLETE || row->row.state == TRIAL_PRUNED ||
                                         row->row.state == TRIAL_FAIL);
    if (row->row.is_ours)
        assert_int_equal(view->attempt, row->row.attempt);
    assert_int_equal(view->sampled_seq, row->row.sampled_seq);
    assert_int_equal(view->asked_seq, row->row.asked_seq);
    assert_int_equal(view->finished_seq, row->row.finished_seq);
    assert_int_equal(view->n_values, row->row.n_values);
    if (view->n_values)
        assert_true(view->values[0] == row->values[0]);
    assert_int_equal(view->params != NULL, row->row.params != NULL);
    if (view->params)
        assert_memory_equal(view->params, row->params, 3 * sizeof(double));
}

/* One page; false where there is no more. */
static bool follow(struct model *model, int index)
{
    struct follower *follower = &model->followers[index];
    struct study *study = study_of(model, index);
    int64_t numbers[3], next;
    size_t n = study_list_changed(study, follower->cursor, ~0u, 1 + draw(model, 3), numbers, &next);
    assert_true(n ? next > follower->cursor : next >= follower->cursor);
    for (size_t i = 0; i < n; i++)
        follower->seen[numbers[i]] = world_view(study, numbers[i]);
    follower->cursor = next;
    return n;
}

static void check_follower(struct model *model, int index)
{
    struct study *study = study_of(model, index);
    while (follow(model, index))
        ;
    for (int64_t number = 0; number < MAX_TRIALS; number++) {
        const struct trial_view *seen = &model->followers[index].seen[number];
        struct trial_view view;
        if (study_get_trial(study, number, &view) < 0)
            continue;
        assert_int_equal(view.trial_id, seen->trial_id);
        assert_int_equal(view.state, seen->state);
        assert_int_equal(view.attempt, seen->attempt);
    }
}

/* Foreign trials are known when somebody has looked, so this is for when all have been told. */
static void check_study(struct model *model, int index)
{
    const struct row_study *rows = world_rows(&model->world, names[index]);
    struct study *study = study_of(model, index);
    int64_t counts[TRIAL_WAITING + 1] = {0};
    for (size_t i = 0; i < rows->n_trials; i++) {
        const struct row_trial *row = rows->trials[i];
        struct trial_view view;
        if (row->is_created)
            assert_true(row->row.number < model->max_trials[index]);
        if (i >= rows->n_known)
            continue;
        assert_int_equal(study_get_trial(study, (int64_t)i, &view), 0);
        counts[view.state]++;
        if (row->row.is_ours && !row->is_taken)
            check_trial(row, &view);
    }
    for (size_t i = 0; i <= TRIAL_WAITING; i++)
        assert_int_equal(counts[i], study_counts(study)[i]);
    assert_string_equal(study_state_names[study_state(study)], rows->state);
}

static void rest(struct model *model)
{
    struct world *world = &model->world;
    world->is_held = world->is_sampler_held = false;
    world->n_faults = 0;
    if (world->takes_nothing)
        world_find_store(world);
    world_run(world);
    collect(model);
    for (size_t i = 0; i < model->n_held; i++)
        check_held(model, &model->held[i]);
    for (int i = 0; i < N_STUDIES; i++)
        check_study(model, i);
    for (int i = 0; i < N_STUDIES; i++)
        check_follower(model, i);
}

/* ---- what happens around ---- */

struct seen {
    int64_t counts[TRIAL_WAITING + 1], best;
    size_t n_best;
};

static struct seen look_at(struct model *model, int index)
{
    struct seen seen = {0};
    struct study *study = study_of(model, index);
    memcpy(seen.counts, study_counts(study), sizeof seen.counts);
    seen.n_best = study_best(study, 1, &seen.best);
    return seen;
}

/* After a rest, a restart shows the same; what Optuna did meanwhile aside. */
static void restart_at_rest(struct model *model)
{
    struct seen before[N_STUDIES];
    rest(model);
    bool is_known[N_STUDIES];
    for (int i = 0; i < N_STUDIES; i++) {
        const struct row_study *rows = world_rows(&model->world, names[i]);
        is_known[i] = rows->n_known == rows->n_trials;
        for (size_t j = 0; j < rows->n_trials; j++)
            is_known[i] &= rows->trials[j]->row.is_ours && !rows->trials[j]->is_taken;
        before[i] = look_at(model, i);
    }
    world_restart(&model->world);
    for (int i = 0; i < N_STUDIES; i++) {
        struct seen after = look_at(model, i);
        if (is_known[i])
            assert_memory_equal(&before[i], &after, sizeof after);
    }
    model->n_restarts++;
}

static void crash(struct model *model)
{
    world_restart(&model->world);
    model->n_restarts++;
}

static void disturb(struct model *model)
{
    struct world *world = &model->world;
    struct row_study *rows = world_rows(world, names[draw(model, N_STUDIES)]);
    struct row_trial *trial = rows->n_trials ? rows->trials[draw(model, rows->n_trials)] : NULL;
    switch (draw(model, 14)) {
    case 0:
        world->is_held = !world->is_held;
        break;
    case 1:
        world->is_sampler_held = !world->is_sampler_held;
        break;
    case 2:
        world->fault = STORE_AWAY;
        world->n_faults = 1 + draw(model, 3);
        break;
    case 3:
        world->fault = STORE_REFUSED;
        world->n_faults = 1;
        break;
    case 4:
        world_optuna_trial(world, rows, draw(model, 2) ? TRIAL_WAITING : TRIAL_RUNNING);
        break;
    case 5:
        if (trial && !trial->row.is_ours && trial->row.state == TRIAL_RUNNING)
            world_optuna_finish(trial, TRIAL_COMPLETE, 1);
        break;
    case 6:
        if (trial && trial->row.state == TRIAL_WAITING && !trial->row.params) {
            trial->row.state = TRIAL_RUNNING;
            trial->is_taken = true;
        }
        break;
    case 7:
        if (world->takes_nothing)
            world_find_store(world);
        else
            world_lose_store(world);
        break;
    case 8:
        crash(model);
        break;
    case 9:
        restart_at_rest(model);
        break;
    case 10:
        start_change(model);
        break;
    case 11:
        move_visitor(model);
        break;
    case 12:
        world->cannot_find = !world->cannot_find;
        break;
    default:
        rest(model);
    }
}

static void act(struct model *model)
{
    int index = (int)draw(model, N_STUDIES);
    switch (draw(model, 18)) {
    case 17:
        start_visit(model);
        break;
    case 16:
        study_watch(study_of(model, index));
        follow(model, index);
        break;
    case 0:
    case 1:
    case 2:
        start_ask(model);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        start_tell(model);
        break;
    case 7:
    case 8:
        start_report(model);
        break;
    case 9:
        start_enqueue(model);
        break;
    case 10:
        disturb(model);
        break;
    case 11:
        if (model->world.takes_nothing && draw(model, 2))
            world_find_store(&model->world);
        world_pass(&model->world, (int64_t)draw(model, 4000));
        break;
    default:
        for (size_t n = draw(model, 6); n && world_step(&model->world); n--)
            ;
    }
    collect(model);
    if (model->n_pending > MAX_CALLS / 2)
        rest(model);
}

static void run_model(uint64_t seed, int n_steps)
{
    struct model *model = memory_new(sizeof *model);
    model->random = seed;
    world_init(&model->world);
    model->world.random = seed;
    for (int i = 0; i < N_STUDIES; i++) {
        world_create(&model->world, names[i], "\"max_trials\": 60, \"lease_s\": 5, \"retries\": 2");
        model->max_trials[i] = 60;
    }
    for (int step = 0; step < n_steps; step++)
        act(model);
    rest(model);
    world_pass(&model->world, 70000); /* longer than any wait */
    collect(model);
    assert_int_equal(model->n_pending, 0);
    assert_int_equal(studies_open_calls(model->world.studies), 0);
    assert_true(model->n_answered > n_steps / 4);
    rest(model);
    print_message("seed %llu: %d calls answered, %d with a problem, %d restarts, %zu + %zu trials\n",
                  (unsigned long long)seed, model->n_answered, model->n_failed, model->n_restarts,
                  world_rows(&model->world, "one")->n_trials, world_rows(&model->world, "two")->n_trials);
    world_deinit(&model->world);
    free(model);
}

/* Twenty runs of four thousand steps. STUDY_MODEL_SEED=n runs one alone, STUDY_MODEL_RUNS=n so many. */
static void test_random_steps(void **state)
{
    (void)state;
    const char *seed = getenv("STUDY_MODEL_SEED");
    const char *runs = getenv("STUDY_MODEL_RUNS");
    log_set_level(LOG_LEVEL_ERROR);
    if (seed) {
        run_model(strtoull(seed, NULL, 10), 4000);
        return;
    }
    for (uint64_t i = 1; i <= (runs ? strtoull(runs, NULL, 10) : 20); i++)
        run_model(i, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
