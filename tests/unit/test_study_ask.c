/* SPDX-License-Identifier: MIT */
/* Asks: numbers, budgets, order, waiting, repeated requests, failures of the store. */
#include <string.h>

#include "tests/unit/study_world.h"

/* An ask is given the next number, sampled inside the space, and answered when it is committed. */
static void test_gives_next_number(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    world->is_held = true;
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    assert_false(ask.is_done);
    struct trial_view view;
    assert_int_equal(study_get_trial(study, 0, &view), -1); /* not committed: readers do not see it */
    world->is_held = false;
    world_run(world);
    assert_true(ask.is_done);
    assert_string_equal(ask.state, "running");
    assert_int_equal(ask.offers[0].number, 0);
    assert_int_equal(ask.offers[0].attempt, 1);
    assert_true(ask.offers[0].x >= 0 && ask.offers[0].x <= 1);
    assert_true(ask.offers[0].n >= 1 && ask.offers[0].n <= 10);
    assert_int_equal(strlen(ask.offers[0].lease), 32);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    assert_int_equal(world_row(world, "s", 0)->row.state, TRIAL_RUNNING);
    assert_int_equal(world_ask(world, study).number, 1);
}

/* max_trials is exact with many asks at once, and the study is finished when all are told. */
static void test_budget_is_exact(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 5");
    struct test_ask asks[4];
    size_t n = 0;
    for (int i = 0; i < 4; i++)
        world_start_ask(world, &asks[i], study, "w", 2, 30, NULL);
    world_run(world);
    for (int i = 0; i < 4; i++)
        n += asks[i].n_offers;
    assert_int_equal(n, 5);
    assert_int_equal(asks[2].n_offers, 1);
    assert_false(asks[3].is_done);
    for (int i = 0; i < 3; i++) {
        for (size_t j = 0; j < asks[i].n_offers; j++)
            assert_int_equal(world_tell(world, study, &asks[i].offers[j], 1), PROBLEM_NONE);
    }
    assert_int_equal(study_state(study), STUDY_FINISHED);
    assert_string_equal(study_reason(study), "max_trials reached (5)");
    assert_true(asks[3].is_done);
    assert_string_equal(asks[3].state, "finished");
    assert_int_equal(world_rows(world, "s")->n_trials, 5);
    assert_string_equal(world_rows(world, "s")->state, "finished");
}

/* An ask that gets nothing is answered "waiting" after wait_s, or at once without. */
static void test_waits_for_wait_s(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_ask late, at_once;
    world_ask(world, study);
    world_start_ask(world, &late, study, "w", 1, 10, NULL);
    world_start_ask(world, &at_once, study, "w", 1, 0, NULL);
    world_run(world);
    assert_true(at_once.is_done);
    assert_string_equal(at_once.state, "waiting");
    world_pass(world, 9999);
    assert_false(late.is_done);
    world_pass(world, 1);
    assert_true(late.is_done);
    assert_string_equal(late.state, "waiting");
}

/* A crowd is served in order as fast as trials are sampled, also who does not want to wait: none is begun
 * that would be committed too late for its ask. */
static void test_crowd(void **state)
{
    enum { N_ASKS = 300 };
    static struct test_ask asks[N_ASKS];
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    world->is_sampler_held = true;
    for (int i = 0; i < N_ASKS; i++)
        world_start_ask(world, &asks[i], study, "w", 1, i % 2 ? 30 : 0, NULL);
    world_run(world);
    assert_true(study_n_waiting_asks(study) >= N_ASKS - 128);
    assert_false(asks[N_ASKS - 1].is_done || asks[N_ASKS - 2].is_done);
    world_pass(world, 4999);
    world->is_sampler_held = false;
    world_run(world);
    for (int i = 0; i < N_ASKS; i++) {
        assert_true(asks[i].is_done);
        assert_int_equal(asks[i].n_offers, 1);
        assert_int_equal(asks[i].offers[0].number, i);
    }
}

/* One who does not want to wait is not held for long, where the crowd before him is. */
static void test_held_crowd(void **state)
{
    enum { N_ASKS = 200 };
    static struct test_ask asks[N_ASKS];
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    world->is_sampler_held = true;
    for (int i = 0; i < N_ASKS; i++)
        world_start_ask(world, &asks[i], study, "w", 1, i == N_ASKS - 2 ? 30 : 0, NULL);
    world_pass(world, 5000);
    assert_int_equal(asks[0].problem, PROBLEM_STORE_AWAY); /* begun, and not known to be committed */
    assert_string_equal(asks[N_ASKS - 1].state, "waiting");
    assert_false(asks[N_ASKS - 2].is_done);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(asks[N_ASKS - 2].n_offers, 1);
}

/* A trial that comes back goes to who waited longest, and not to one whose client has gone. */
static void test_serves_in_order(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_offer offer = world_ask(world, study);
    int64_t asked_seq = world_view(study, 0).asked_seq;
    struct test_ask gone, first, second;
    world_start_ask(world, &gone, study, "gone", 1, 30, NULL);
    world_start_ask(world, &first, study, "first", 1, 30, NULL);
    world_start_ask(world, &second, study, "second", 1, 30, NULL);
    world_run(world);
    gone.is_gone = true;
    assert_int_equal(world_tell_state(world, study, &offer, TRIAL_WAITING), PROBLEM_NONE);
    assert_true(gone.is_done && first.is_done);
    assert_int_equal(gone.n_offers, 0);
    assert_int_equal(first.n_offers, 1);
    assert_int_equal(first.offers[0].number, 0);
    assert_int_equal(first.offers[0].attempt, 2);
    assert_true(first.offers[0].x == offer.x); /* the parameters stay */
    assert_false(second.is_done);
    assert_string_equal(world_view(study, 0).worker, "first");
    assert_int_equal(world_view(study, 0).asked_seq, asked_seq); /* when it was sampled and asked for first */
    assert_int_equal(world_row(world, "s", 0)->row.asked_seq, asked_seq);
}

/* Open again before enqueued before new; the lowest number first. */
static void test_order_of_supply(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer zero = world_ask(world, study);
    struct test_offer one = world_ask(world, study);
    struct test_call enqueued;
    world_start_enqueue(world, &enqueued, study, "{\"x\": 0.25}", NULL);
    world_run(world);
    assert_int_equal(enqueued.problem, PROBLEM_NONE);
    assert_int_equal(enqueued.call.number, 2);
    world_tell_state(world, study, &one, TRIAL_WAITING);
    world_tell_state(world, study, &zero, TRIAL_WAITING);
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 4, 0, NULL);
    world_run(world);
    assert_int_equal(ask.n_offers, 4);
    int64_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += ask.offers[i].number * (i < 2 ? 1 : 0);
    assert_int_equal(sum, 1); /* 0 and 1 go straight to the store, ahead of what must be sampled */
    assert_int_equal(ask.offers[0].number, 0);
    assert_int_equal(ask.offers[2].number, 2);
    assert_true(ask.offers[2].x == 0.25); /* what was enqueued replaces its draw */
    assert_true(ask.offers[2].n >= 1);    /* the rest is sampled */
    assert_int_equal(ask.offers[3].number, 3);
}

/* Paused: an ask holds until its time, then "paused"; resumed it is served. Stopped: answered at once. */
static void test_states(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask ask, other;
    assert_int_equal(world_set_state(world, study, "paused"), PROBLEM_NONE);
    world_start_ask(world, &ask, study, "w", 1, 5, NULL);
    world_start_ask(world, &other, study, "w", 1, 60, NULL);
    world_pass(world, 5000);
    assert_true(ask.is_done);
    assert_string_equal(ask.state, "paused");
    assert_false(other.is_done);
    assert_int_equal(world_set_state(world, study, "running"), PROBLEM_NONE);
    assert_true(other.is_done);
    assert_int_equal(other.n_offers, 1);
    assert_int_equal(world_set_state(world, study, "stopped"), PROBLEM_NONE);
    assert_string_equal(study_reason(study), "stopped by request");
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_run(world);
    assert_true(ask.is_done);
    assert_string_equal(ask.state, "stopped");
    assert_int_equal(world_set_state(world, study, "running"), PROBLEM_NONE);
    world_ask(world, study);
}

/* The same request_id gives the same trials, also while the first is under way and after a restart; another
 * body is 422. */
static void test_request_id(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask first, second, third;
    world->is_held = true;
    world_start_ask(world, &first, study, "w", 2, 0, "id-1");
    world_start_ask(world, &second, study, "w", 2, 0, "id-1");
    world_start_ask(world, &third, study, "w", 3, 0, "id-1");
    world_run(world);
    assert_true(third.is_done);
    assert_int_equal(third.problem, PROBLEM_REQUEST_ID_REUSED);
    assert_false(first.is_done || second.is_done);
    world->is_held = false;
    world_run(world);
    assert_true(first.is_done && second.is_done);
    assert_int_equal(first.n_offers, 2);
    assert_int_equal(second.n_offers, 2);
    assert_string_equal(first.offers[1].lease, second.offers[1].lease);
    assert_int_equal(world_rows(world, "s")->n_trials, 2);
    world_restart(world);
    study = studies_find(world->studies, "s");
    world_start_ask(world, &second, study, "w", 2, 0, "id-1");
    world_run(world);
    assert_int_equal(second.n_offers, 2);
    assert_string_equal(first.offers[0].lease, second.offers[0].lease);
    assert_true(first.offers[0].x == second.offers[0].x);
    /* A trial that was handed on is no longer this request's. */
    assert_int_equal(world_tell_state(world, study, &first.offers[0], TRIAL_WAITING), PROBLEM_NONE);
    world_start_ask(world, &third, study, "w", 1, 0, "id-2");
    world_run(world);
    assert_int_equal(third.offers[0].number, 0);
    world_start_ask(world, &second, study, "w", 2, 0, "id-1");
    world_run(world);
    assert_int_equal(second.n_offers, 1);
    assert_int_equal(second.offers[0].number, 1);
    world_restart(world);
    study = studies_find(world->studies, "s");
    world_start_ask(world, &second, study, "w", 2, 0, "id-1");
    world_run(world);
    assert_int_equal(second.n_offers, 1);
    assert_int_equal(second.offers[0].number, 1);
    /* To an ask without an id, too. */
    assert_int_equal(world_tell_state(world, study, &second.offers[0], TRIAL_WAITING), PROBLEM_NONE);
    world_ask(world, study);
    world_restart(world);
    study = studies_find(world->studies, "s");
    world_start_ask(world, &second, study, "w", 2, 0, "id-1");
    world_run(world);
    assert_int_equal(second.n_offers, 2); /* the id is forgotten: these are new */
    assert_int_equal(second.offers[0].number, 2);
}

/* A repeated ask that comes while its trial is being told is given that trial, and no other; where it is
 * handed back it is this request's no longer. */
static void test_request_while_told(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask first, again;
    struct test_call call;
    world_start_ask(world, &first, study, "w", 1, 0, "id");
    world_run(world);
    world->is_held = true;
    world_start_tell(world, &call, study, 0, first.offers[0].lease, TRIAL_COMPLETE, 1);
    world_start_ask(world, &again, study, "w", 1, 0, "id");
    world_run(world);
    assert_false(again.is_done);
    world->is_held = false;
    world_run(world);
    assert_int_equal(again.n_offers, 1);
    assert_int_equal(again.offers[0].number, 0);
    assert_string_equal(again.offers[0].lease, first.offers[0].lease);
    assert_int_equal(world_rows(world, "s")->n_trials, 1);

    world_start_ask(world, &first, study, "w", 1, 0, "id-2");
    world_run(world);
    world->is_held = true;
    world_start_tell(world, &call, study, 1, first.offers[0].lease, TRIAL_WAITING, 0);
    world_start_ask(world, &again, study, "w", 1, 0, "id-2");
    world_run(world);
    world->is_held = false;
    world_run(world);
    assert_int_equal(again.n_offers, 1);
    assert_int_equal(again.offers[0].number, 1);
    assert_int_equal(again.offers[0].attempt, 2);
}

static void assert_brings(struct world *world, int64_t number)
{
    struct test_ask again;
    world_start_ask(world, &again, studies_find(world->studies, "s"), "w", 1, 0, "id");
    world_run(world);
    assert_int_equal(again.n_offers, 1);
    assert_int_equal(again.offers[0].number, number);
}

/* What it handed back and Optuna took is the request's no longer: while Optuna runs it, when that has
 * finished it, and across a restart. */
static void test_request_whose_trial_optuna_took(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask first;
    struct test_call call;
    world_start_ask(world, &first, study, "w", 1, 0, "id");
    world_run(world);
    world_start_tell(world, &call, study, 0, first.offers[0].lease, TRIAL_WAITING, 0);
    world_run(world);
    struct row_trial *row = world_row(world, "s", 0);
    row->row.state = TRIAL_RUNNING;
    row->is_taken = true;
    study_watch(study);
    world_pass(world, 3000);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    assert_brings(world, 1);
    world_optuna_finish(row, TRIAL_COMPLETE, 1);
    study_watch(study);
    world_pass(world, 3000);
    assert_int_equal(world_view(study, 0).state, TRIAL_COMPLETE);
    assert_brings(world, 1);
    world_restart(world);
    assert_brings(world, 1);
}

/* A request that brought nothing leaves nothing behind: the same id works later. */
static void test_request_without_trial(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    world_start_ask(world, &ask, study, "w", 1, 0, "id");
    world_run(world);
    assert_string_equal(ask.state, "waiting");
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world_start_ask(world, &ask, study, "w", 1, 0, "id");
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
}

/* Optuna takes the number first: its trial is taken in, and the draft that had the number is the one too
 * many. */
static void test_strangers(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 4");
    struct row_study *rows = world_rows(world, "s");
    world_ask(world, study);
    world->is_held = true;
    struct test_ask ask, other;
    world_start_ask(world, &ask, study, "w", 2, 0, NULL);
    world_run(world);
    world_start_ask(world, &other, study, "w", 1, 60, NULL);
    world_run(world);
    world_optuna_trial(world, rows, TRIAL_RUNNING);
    world->is_held = false;
    world_run(world);
    assert_true(ask.is_done && other.is_done);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(ask.offers[0].number, 2);
    assert_int_equal(other.offers[0].number, 3);
    assert_int_equal(rows->n_trials, 4);
    assert_false(world_view(study, 1).is_ours);
    assert_int_equal(study_counts(study)[TRIAL_RUNNING], 4);
}

/* An ask that loses what it was promised waits on at its old place, and asks of all studies have their place,
 * too. */
static void test_order_of_arrival(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_offer offer = world_ask(world, study);
    struct test_ask first, of_all, third;
    world->is_held = true;
    world_start_ask(world, &first, study, "first", 1, 60, NULL);
    world_start_ask_of_all(world, &of_all, "all", NULL, 60);
    world_start_ask(world, &third, study, "third", 1, 60, NULL);
    world_run(world);
    world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING);
    world->is_held = false;
    world_run(world);
    assert_false(first.is_done || of_all.is_done || third.is_done);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    assert_int_equal(first.n_offers, 1);
    assert_false(of_all.is_done);
    world_tell_state(world, study, &first.offers[0], TRIAL_WAITING);
    assert_int_equal(of_all.n_offers, 1);
    world_tell_state(world, study, &of_all.offers[0], TRIAL_WAITING);
    assert_int_equal(third.n_offers, 1);
}

/* A trial that could not be handed on is there for the next ask. */
static void test_restart_dropped(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world_start_ask(world, &ask, study, "w", 1, 0, NULL);
    world_run(world);
    assert_int_equal(ask.problem, PROBLEM_STORE_AWAY);
    offer = world_ask(world, study);
    assert_int_equal(offer.number, 0);
    assert_int_equal(offer.attempt, 2);
}

/* Optuna takes the number first: ours is sampled again for the next one. */
static void test_stranger_takes_number(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    world_optuna_finish(world_optuna_trial(world, world_rows(world, "s"), TRIAL_RUNNING), TRIAL_COMPLETE, 3);
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(offer.number, 1);
    assert_int_equal(world_view(study, 0).state, TRIAL_COMPLETE);
    assert_true(world_view(study, 0).values[0] == 3);
    assert_true(world_row(world, "s", 1)->row.sampled_seq >= world_view(study, 0).seq);
}

/* The store drops what was queued: 503, and the numbers are given again without a gap. */
static void test_store_drops(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask asks[3];
    world->is_held = true;
    for (int i = 0; i < 2; i++) {
        world_start_ask(world, &asks[i], study, "w", 2, 60, NULL);
        world_run(world);
    }
    world->is_sampler_held = true;
    world_start_ask(world, &asks[2], study, "w", 1, 60, NULL);
    world_run(world);
    world->fault = STORE_AWAY;
    world->n_faults = 1;
    world->is_held = false;
    world_run(world);
    world->is_sampler_held = false;
    world_run(world);
    assert_int_equal(asks[0].problem, PROBLEM_STORE_AWAY);
    assert_int_equal(asks[1].problem, PROBLEM_STORE_AWAY);
    assert_int_equal(asks[2].n_offers, 1);
    assert_int_equal(asks[2].offers[0].number, 0);
    assert_int_equal(world->n_strangers,
                     0); /* what was sampled behind the dropped ones did not go to the store */
}

/* A record that the database refuses: its ask is told, the one behind it is dropped, the number is the next
 * ask's. */
static void test_store_refuses(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask refused, next;
    world->is_held = true;
    world_start_ask(world, &refused, study, "w", 1, 0, NULL);
    world_start_ask(world, &next, study, "w", 1, 0, NULL);
    world_run(world);
    world->fault = STORE_REFUSED;
    world->n_faults = 1;
    world->is_held = false;
    world_run(world);
    assert_int_equal(refused.problem, PROBLEM_STORE_REFUSED);
    assert_string_equal(refused.detail, "value too long");
    assert_int_equal(next.problem, PROBLEM_STORE_AWAY);
    assert_int_equal(world_ask(world, study).number, 0);
}

/* Not committed in 5 s: 503 once; committed after all, the trial stands, and the repeated request gets it. */
static void test_slow_commit(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_ask ask;
    world->is_held = true;
    world_start_ask(world, &ask, study, "w", 1, 60, "id");
    world_pass(world, 4999);
    assert_false(ask.is_done);
    world_pass(world, 1);
    assert_true(ask.is_done);
    assert_int_equal(ask.problem, PROBLEM_STORE_AWAY);
    world->is_held = false;
    world_run(world);
    assert_int_equal(world_view(study, 0).state, TRIAL_RUNNING);
    world_start_ask(world, &ask, study, "w", 1, 60, "id");
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(ask.offers[0].number, 0);
}

/* While the store is away new asks are refused at once; one that waits is answered 503 at its end. */
static void test_store_away(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_ask waits, comes;
    world_ask(world, study);
    world_start_ask(world, &waits, study, "w", 1, 10, NULL);
    world_run(world);
    world_lose_store(world);
    world_start_ask(world, &comes, study, "w", 1, 10, NULL);
    world_run(world);
    assert_int_equal(comes.problem, PROBLEM_STORE_AWAY);
    world_pass(world, 10000);
    assert_true(waits.is_done);
    assert_int_equal(waits.problem, PROBLEM_STORE_AWAY);
}

/* Of all studies: the fitting one with fewest running trials; waiting, then finished when all that fit are
 * over. */
static void test_ask_of_all(void **state)
{
    struct world *world = *state;
    struct study *busy = world_create(world, "busy", "\"max_trials\": 2, \"objective\": {\"runner\": \"r\"}");
    struct study *idle = world_create(world, "idle", "\"max_trials\": 1, \"objective\": {\"runner\": \"r\"}");
    world_create(world, "other", "\"objective\": {\"runner\": \"q\"}");
    struct test_offer offer = world_ask(world, busy);
    struct test_ask asks[4];
    world_start_ask_of_all(world, &asks[0], "w", "r", 0);
    world_run(world);
    assert_string_equal(asks[0].offers[0].study, "idle");
    world_start_ask_of_all(world, &asks[1], "w", "r", 0);
    world_run(world);
    assert_string_equal(asks[1].offers[0].study, "busy");
    world_start_ask_of_all(world, &asks[2], "w", "r", 30);
    world_start_ask_of_all(world, &asks[3], "w", "nobody", 1);
    world_run(world);
    assert_false(asks[2].is_done);
    world_pass(world, 1000);
    assert_true(asks[3].is_done);
    assert_string_equal(asks[3].state, "waiting"); /* nothing fits: something may come */
    world_tell(world, busy, &offer, 1);
    world_tell(world, busy, &asks[1].offers[0], 1);
    assert_false(asks[2].is_done);
    world_tell(world, idle, &asks[0].offers[0], 1);
    assert_true(asks[2].is_done);
    assert_string_equal(asks[2].state, "finished");
}

/* At max_seconds no new trial starts, one that is open again still does; then the study is finished. */
static void test_max_seconds(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_seconds\": 100");
    world_pass(world, 50000); /* counts from the first ask */
    struct test_offer offer = world_ask(world, study);
    struct test_ask ask;
    world_pass(world, 50000);
    world_ask(world, study);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    world_pass(world, 50001);
    world_start_ask(world, &ask, study, "w", 5, 0, NULL);
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(ask.offers[0].number, 0);
    assert_int_equal(study_state(study), STUDY_RUNNING);
}

/* A trial that is on its way when the time ends is waited for. */
static void test_max_seconds_under_way(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_seconds\": 2");
    struct test_ask ask;
    world->is_held = true;
    world_start_ask(world, &ask, study, "w", 1, 60, NULL);
    world_pass(world, 3000);
    world->is_held = false;
    world_run(world);
    assert_int_equal(ask.n_offers, 1);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    world_tell(world, study, &ask.offers[0], 1);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* A trial that has lapsed, or is enqueued, may still be run: the study is not finished. */
static void test_not_finished(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1, \"lease_s\": 10");
    struct test_call call;
    world_start_enqueue(world, &call, study, "{}", NULL);
    world_run(world);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    assert_int_equal(world_ask(world, study).number, 0);
    world_pass(world, 10000);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    assert_int_equal(world_ask(world, study).attempt, 2);
}

/* Finishing does not work: it is tried again after a while, not in a loop. */
static void test_finish_again(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world->is_held = true;
    world_start_tell(world, &call, study, 0, offer.lease, TRIAL_COMPLETE, 1);
    world_run(world);
    world_settle_first(world, STORE_DONE);
    world->fault = STORE_REFUSED;
    world->n_faults = 2;
    world->is_held = false;
    world_run(world);
    assert_int_equal(world->n_faults, 1);
    world_pass(world, 5000);
    assert_int_equal(world->n_faults, 0);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    world_pass(world, 5000);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

/* Nobody asks any more, and the study is finished by the clock alone. */
static void test_max_seconds_finishes(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_seconds\": 10");
    struct test_offer offer = world_ask(world, study);
    assert_int_equal(world_tell(world, study, &offer, 1), PROBLEM_NONE);
    struct test_ask ask;
    world_pass(world, 9000);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    world_pass(world, 2000);
    assert_int_equal(study_state(study), STUDY_FINISHED);
    assert_string_equal(study_reason(study), "max_seconds reached (10 s)");
    world_start_ask(world, &ask, study, "w", 1, 10, NULL);
    world_run(world);
    assert_string_equal(ask.state, "finished");
}

/* What studyd does when it stops: whoever waits is told, new calls are refused, records under way still
 * count. */
static void test_stop(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 2");
    struct test_ask under_way, waits, comes;
    world_ask(world, study);
    world->is_held = true;
    world_start_ask(world, &under_way, study, "w", 1, 60, NULL);
    world_start_ask(world, &waits, study, "w", 1, 60, NULL);
    world_run(world);
    studies_stop(world->studies);
    assert_int_equal(waits.problem, PROBLEM_STOPPING);
    world_start_ask(world, &comes, study, "w", 1, 60, NULL);
    world_run(world);
    assert_int_equal(comes.problem, PROBLEM_STOPPING);
    world->is_held = false;
    world_run(world);
    assert_int_equal(under_way.n_offers, 1);
}

/* A study that is not wanted gives nothing to an ask of all, neither at once nor when something comes; when
 * the others are over, so is the ask. */
static void test_ask_except(void **state)
{
    struct world *world = *state;
    struct study *good = world_create(world, "good", "\"max_trials\": 1");
    struct study *misspelt = world_create(world, "a-misspelt", NULL); /* which would be the first */
    struct test_ask asks[3];
    struct test_offer offers[2];
    world_start_ask_except(world, &asks[0], "w", "a-misspelt", 30);
    world_run(world);
    assert_string_equal(asks[0].offers[0].study, "good");
    offers[0] = asks[0].offers[0];
    world_start_ask_except(world, &asks[1], "w", "a-misspelt", 30);
    world_start_ask_of_all(world, &asks[2], "other", NULL, 30);
    world_run(world);
    assert_string_equal(asks[2].offers[0].study, "a-misspelt");
    offers[1] = asks[2].offers[0];
    world_tell_state(world, misspelt, &offers[1], TRIAL_WAITING);
    assert_false(asks[1].is_done);
    world_tell(world, good, &offers[0], 1);
    assert_string_equal(asks[1].state, "finished");
}

/* What is open again comes before what is enqueued, whenever somebody asks. */
static void test_again_first(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world_start_enqueue(world, &call, study, "{}", NULL);
    world_run(world);
    world_tell_state(world, study, &offer, TRIAL_WAITING);
    assert_int_equal(world_ask(world, study).number, 0);
    assert_int_equal(world_ask(world, study).number, 1);
    assert_int_equal(world_ask(world, study).number, 2);
}

/* A study that is stopped answers all who wait, those who wait for any study too. */
static void test_stopped_answers_all(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"max_trials\": 1");
    struct test_ask asks[4];
    world_ask(world, study);
    for (int i = 0; i < 3; i++)
        world_start_ask(world, &asks[i], study, "w", 1, 60, NULL);
    world_start_ask_of_all(world, &asks[3], "w", NULL, 60);
    world_run(world);
    world_set_state(world, study, "stopped");
    for (int i = 0; i < 4; i++) {
        assert_true(asks[i].is_done);
        assert_string_equal(asks[i].state, i < 3 ? "stopped" : "finished");
    }
}

/* A repeated ask renews the lease that it tells of. */
static void test_repeat_renews(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", "\"lease_s\": 10");
    struct test_ask ask;
    for (int i = 0; i < 3; i++) {
        world_start_ask(world, &ask, study, "w", 1, 0, "id");
        world_run(world);
        assert_int_equal(ask.offers[0].attempt, 1);
        assert_int_equal(world_view(study, 0).lease_left_ms, 10000);
        world_pass(world, 9000);
    }
}

/* A limit of time that a PATCH sets ends the study, also where nobody asks or tells any more. */
static void test_max_seconds_set_later(void **state)
{
    struct world *world = *state;
    struct study *study = world_create(world, "s", NULL);
    struct test_offer offer = world_ask(world, study);
    struct test_call call;
    world_tell(world, study, &offer, 1);
    world_pass(world, 60000);
    world_start_change(world, &call, study,
                       &(struct study_change){.has_max_seconds = true, .max_seconds = 100});
    world_run(world);
    world_pass(world, 39000);
    assert_int_equal(study_state(study), STUDY_RUNNING);
    world_pass(world, 2000);
    assert_int_equal(study_state(study), STUDY_FINISHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        T(test_gives_next_number),
        T(test_budget_is_exact),
        T(test_waits_for_wait_s),
        T(test_crowd),
        T(test_held_crowd),
        T(test_serves_in_order),
        T(test_order_of_supply),
        T(test_states),
        T(test_request_id),
        T(test_request_while_told),
        T(test_request_whose_trial_optuna_took),
        T(test_request_without_trial),
        T(test_strangers),
        T(test_stranger_takes_number),
        T(test_store_drops),
        T(test_store_refuses),
        T(test_slow_commit),
        T(test_store_away),
        T(test_ask_of_all),
        T(test_ask_except),
        T(test_again_first),
        T(test_stopped_answers_all),
        T(test_repeat_renews),
        T(test_max_seconds_set_later),
        T(test_max_seconds),
        T(test_max_seconds_finishes),
        T(test_stop),
        T(test_order_of_arrival),
        T(test_restart_dropped),
        T(test_max_seconds_under_way),
        T(test_not_finished),
        T(test_finish_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
