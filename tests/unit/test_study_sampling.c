/* SPDX-License-Identifier: MIT */
/* What a sampler is shown: the finished trials, and everything that is open, with drafts on their way. */
#include <math.h>
#include <string.h>

#include "tests/unit/study_world.h"

/* The views of the calls so far, noted in place of the real sampler. */
static struct {
    int64_t number;
    size_t n_finished, n_open;
    int64_t open[16];
    double open_x[16];
} calls[16];
static size_t n_calls;

void __wrap_sampler_suggest(struct sampler *sampler, const struct sampler_view *view, int64_t number,
                            double *params);
void __wrap_sampler_suggest(struct sampler *sampler, const struct sampler_view *view, int64_t number,
                            double *params)
{
    assert_non_null(sampler);
    assert_true(n_calls < 16 && view->n_open <= 16);
    calls[n_calls].number = number;
    calls[n_calls].n_finished = view->n_finished;
    calls[n_calls].n_open = view->n_open;
    for (size_t i = 0; i < view->n_open; i++) {
        calls[n_calls].open[i] = view->open[i].number;
        calls[n_calls].open_x[i] = view->open[i].params[0];
    }
    n_calls++;
    params[0] = (double)number / 100;
    params[1] = 1;
    params[2] = 0;
}

static void assert_view(size_t call, int64_t number, size_t n_finished, size_t n_open, const int64_t *open)
{
    assert_true(call < n_calls);
    assert_int_equal(calls[call].number, number);
    assert_int_equal(calls[call].n_finished, n_finished);
    assert_int_equal(calls[call].n_open, n_open);
    for (size_t i = 0; i < n_open; i++)
        assert_int_equal(calls[call].open[i], open[i]);
}
#define OPEN(...)                                                   \
    sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]) \
    {                                                               \
        __VA_ARGS__                                                 \
    }

static int setup(void **state)
{
    n_calls = 0;
    return world_setup(state);
}

/* Finished ones are counted; lapsed ones, handed back ones and Optuna's are open; a value outside the range
 * is none. */
static void test_open(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_offer offers[4];
    for (int i = 0; i < 4; i++)
        offers[i] = world_ask(world, study);
    world_tell(world, study, &offers[0], 1);
    world_fail(world, study, &offers[1], FAILURE_OBJECTIVE);
    world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING)->params[0] = 7;
    world->is_held = true;
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    assert_view(4, 4, 2, OPEN(2, 3));
    world->is_held = false;
    world_run(world); /* a stranger has the number 4: sampled again, beside it */
    assert_view(5, 5, 2, OPEN(2, 3, 4));
    assert_true(isnan(calls[5].open_x[2]));
    assert_int_equal(ask.offers[0].number, 5);
    assert_true(ask.offers[0].x == 0.05);
}

/* Those of one job see each other in order; those of the next see what is on its way to the store. */
static void test_drafts(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask first, second;
    struct test_call enqueued;
    world_start_enqueue(world, &enqueued, study, "{\"x\": 0.75}", NULL);
    world_run(world);
    world->is_held = true;
    world->is_sampler_held = true;
    world_start_ask(world, &first, study, "w", 3, 0, NULL); /* the enqueued one, then two new */
    world_run(world);
    world->is_sampler_held = false;
    world_run(world);
    world_start_ask(world, &second, study, "w", 1, 0, NULL);
    world_run(world);
    assert_view(0, 0, 0, 0, NULL);
    assert_view(1, 1, 0, OPEN(0));
    assert_view(2, 2, 0, OPEN(0, 1));
    assert_true(calls[2].open_x[0] == 0.75); /* as it will be stored */
    assert_view(3, 3, 0, OPEN(0, 1, 2));
    world->is_held = false;
    world_run(world);
    assert_true(first.offers[0].x == 0.75);
    assert_int_equal(n_calls, 4);
    assert_int_equal(second.offers[0].number, 3);
}

/* A draft that was dropped is in no view of a committed trial: what was being sampled behind it is sampled
 * again. */
static void test_dropped(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask first, second;
    world->is_held = true;
    world_start_ask(world, &first, study, "w", 1, 0, NULL);
    world_run(world);
    world->is_sampler_held = true;
    world_start_ask(world, &second, study, "w", 1, 60, NULL);
    world_run(world);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world->is_held = false;
    world_run(world);
    assert_int_equal(first.problem, PROBLEM_STORE_AWAY);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(second.n_offers, 1);
    assert_view(1, 1, 0, OPEN(0));
    assert_view(2, 0, 0, 0, NULL);
    assert_int_equal(world_row(world, "s", 0)->row.sampled_seq,
                     2); /* the seq of the dropped one is settled, too */
}

/* sampled_seq is what was settled when the view was made. */
static void test_sampled_seq(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    struct test_call tell;
    int64_t seq = study_seq(study);
    world->is_held = true;
    world_start_tell(world, &tell, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    world->is_held = false;
    world_run(world);
    assert_view(1, 1, 0, OPEN(0)); /* its tell was not committed yet */
    assert_int_equal(world_view(study, 1).sampled_seq, seq);
    assert_true(world_view(study, 0).finished_seq > seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
        T(test_open),
        T(test_drafts),
        T(test_dropped),
        T(test_sampled_seq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
