/* SPDX-License-Identifier: MIT */
/* The study room's small parts: timers, gates, the heap of numbers, requests, hashes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/study/gate.h"
#include "daemon/study/number_heap.h"
#include "daemon/study/outcome.h"
#include "daemon/study/requests.h"
#include "daemon/study/timer.h"

static int order[1000];
static int n_order;

static void note(void *owner)
{
    order[n_order++] = *(int *)owner;
}

/* Timers fire by their deadline, moved and cancelled ones too. */
static void test_timers(void **state)
{
    (void)state;
    struct timers timers = {0};
    struct timer each[200] = {0};
    int ids[200];
    n_order = 0;
    for (int i = 0; i < 200; i++) {
        ids[i] = i * 37 % 200;
        each[i] = (struct timer){.fire = note, .owner = &ids[i]};
        timer_set(&timers, &each[i], 5000 - ids[i]);
    }
    for (int i = 0; i < 200; i++)
        timer_set(&timers, &each[i], ids[i]); /* moved */
    for (int i = 0; i < 200; i++) {
        if (ids[i] % 2)
            timer_cancel(&timers, &each[i]);
    }
    assert_int_equal(timers_next_ms(&timers), 0);
    timers_fire(&timers, 99);
    assert_int_equal(n_order, 50);
    timers_fire(&timers, 200);
    assert_int_equal(n_order, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], 2 * i);
    assert_true(timers_next_ms(&timers) == INT64_MAX);
    timers_deinit(&timers);
}

/* Who waits at a gate. */
struct guest {
    struct waiter waiter;
    int id;
    struct gate *shuts; /* when it resumes; or NULL */
};

static void resume(void *owner)
{
    struct guest *guest = owner;
    order[n_order++] = guest->id;
    if (guest->shuts)
        gate_shut(guest->shuts);
}

/* A gate resumes in order until somebody shuts it again; who left is not resumed. */
static void test_gate(void **state)
{
    (void)state;
    struct gate gate = {0};
    struct guest guests[5] = {0};
    n_order = 0;
    gate_shut(&gate);
    for (int i = 0; i < 5; i++) {
        guests[i] = (struct guest){.waiter = {.resume = resume, .owner = &guests[i]}, .id = i};
        gate_wait(&gate, &guests[i].waiter);
    }
    guests[2].shuts = &gate;
    gate_leave(&guests[0].waiter);
    gate_leave(&guests[4].waiter);
    gate_open(&gate);
    assert_int_equal(n_order, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    gate_wait(&gate, &guests[4].waiter);
    gate_open(&gate);
    assert_int_equal(n_order, 4);
    assert_int_equal(order[2], 3);
    assert_int_equal(order[3], 4);
}

/* Numbers come out lowest first. */
static void test_heap(void **state)
{
    (void)state;
    struct number_heap heap = {0};
    assert_int_equal(number_heap_top(&heap), -1);
    for (int64_t i = 0; i < 500; i++)
        number_heap_push(&heap, i * 263 % 500);
    for (int64_t i = 0; i < 500; i++) {
        assert_int_equal(number_heap_top(&heap), i);
        number_heap_pop(&heap);
    }
    number_heap_deinit(&heap);
}

static void make_key(unsigned char key[REQUEST_KEY_SIZE], int id, int body)
{
    memset(key, 0, REQUEST_KEY_SIZE);
    memcpy(key, &id, sizeof id);
    memcpy(key + 8, &body, sizeof body);
}

/* Requests are found by id, told apart by body, forgotten when they brought nothing, and their places used
 * again. */
static void test_requests(void **state)
{
    (void)state;
    struct requests requests = {0};
    unsigned char key[REQUEST_KEY_SIZE];
    for (int i = 0; i < 1000; i++) {
        make_key(key, i, 1);
        uint32_t index = requests_get(&requests, key);
        requests_begin(&requests, index);
        if (i % 2)
            requests_add_number(&requests, index, i);
        requests_end(&requests, index);
    }
    assert_int_equal(requests.n_requests, 500);
    assert_true(requests.end < 600);
    for (int i = 0; i < 1000; i++) {
        make_key(key, i, 2);
        uint32_t index = requests_find(&requests, key);
        assert_int_equal(index != 0, i % 2);
        if (!index)
            continue;
        assert_false(requests_has_body(&requests, index, key));
        make_key(key, i, 1);
        assert_true(requests_has_body(&requests, index, key));
        assert_int_equal(requests.items[index].numbers[0], i);
    }
    requests_deinit(&requests);
}

/* Every part of a tell changes its hash; the hash itself is stored, so its value is fixed for ever. */
static void test_outcome(void **state)
{
    (void)state;
    double one[] = {1}, other[] = {-1, 0};
    struct tell_message base = {.state = TRIAL_COMPLETE, .n_values = 1, .values = one};
    unsigned char hashes[8][STORE_OUTCOME_SIZE];
    struct tell_message messages[8];
    for (int i = 0; i < 8; i++)
        messages[i] = base;
    messages[1].values = other;
    messages[2].values = other;
    messages[2].n_values = 2;
    messages[3].state = TRIAL_FAIL;
    messages[4].state = TRIAL_FAIL;
    messages[4].failure = FAILURE_OOM;
    messages[5].reason = (char *)"";
    messages[6].user_attrs = json_pack("{s:i}", "a", 1);
    messages[7].constraints = one;
    messages[7].n_constraints = 1;
    for (int i = 0; i < 8; i++) {
        outcome_hash(&messages[i], hashes[i]);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(hashes[i], hashes[j], STORE_OUTCOME_SIZE);
    }
    json_decref(messages[6].user_attrs);
    static const unsigned char fixed[STORE_OUTCOME_SIZE] = {0xa1, 0x44, 0x84, 0x1a, 0xcf, 0x0e, 0x8d, 0x66,
                                                            0x75, 0x4f, 0x83, 0x81, 0xc0, 0xcf, 0x7d, 0xfe};
    assert_memory_equal(hashes[0], fixed, STORE_OUTCOME_SIZE);
    base.values = (double[]){-0.0};
    outcome_hash(&base, hashes[0]);
    base.values = (double[]){0.0};
    outcome_hash(&base, hashes[1]);
    assert_memory_equal(hashes[0], hashes[1], STORE_OUTCOME_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),   cmocka_unit_test(test_gate),    cmocka_unit_test(test_heap),
        cmocka_unit_test(test_requests), cmocka_unit_test(test_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
