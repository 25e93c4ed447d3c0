/* SPDX-License-Identifier: MIT */
/* Deadlines: a binary heap whose entries know their place, so that moving one costs O(log n). */
#include "daemon/study/timer.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

static void put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

static struct timer *at(const struct timers *timers, size_t place)
{
    return timers->heap[place - 1];
}

static void rise(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    for (; place > 1 && at(timers, place / 2)->at_ms > timer->at_ms; place /= 2)
        put(timers, place, at(timers, place / 2));
    put(timers, place, timer);
}

static void sink(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    while (2 * place <= timers->n_timers) {
        size_t child = 2 * place;
        if (child < timers->n_timers && at(timers, child + 1)->at_ms < at(timers, child)->at_ms)
            child++;
        if (at(timers, child)->at_ms >= timer->at_ms)
            break;
        put(timers, place, at(timers, child));
        place = child;
    }
    put(timers, place, timer);
}

void timers_deinit(struct timers *timers)
{
    require(timers->n_timers == 0);
    free(timers->heap);
    *timers = (struct timers){0};
}

void timer_set(struct timers *timers, struct timer *timer, int64_t at_ms)
{
    if (!timer->place) {
        if (timers->n_timers == timers->capacity) {
            timers->capacity = timers->capacity ? 2 * timers->capacity : 16;
            timers->heap = memory_resize(timers->heap, timers->capacity, sizeof *timers->heap);
        }
        put(timers, ++timers->n_timers, timer);
    }
    timer->at_ms = at_ms;
    rise(timers, timer);
    sink(timers, timer);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    if (!place)
        return;
    timer->place = 0;
    struct timer *last = at(timers, timers->n_timers--);
    if (last == timer)
        return;
    put(timers, place, last);
    rise(timers, last);
    sink(timers, last);
}

bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}

int64_t timers_next_ms(const struct timers *timers)
{
    return timers->n_timers ? timers->heap[0]->at_ms : INT64_MAX;
}

void timers_fire(struct timers *timers, int64_t now_ms)
{
    while (timers_next_ms(timers) <= now_ms) {
        struct timer *timer = timers->heap[0];
        timer_cancel(timers, timer);
        timer->fire(timer->owner);
    }
}
