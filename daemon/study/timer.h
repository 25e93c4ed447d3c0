/* SPDX-License-Identifier: MIT */
/* Deadlines in virtual time: one heap for all of them, so that the loop needs to know only the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lives inside its owner; zeroed is "not set". The owner cancels it before it goes. */
struct timer {
    void (*fire)(void *owner);
    void *owner;
    int64_t at_ms;
    size_t place; /* in the heap, from 1; 0: not set */
};

/* Zeroed is empty. */
struct timers {
    size_t n_timers, capacity;
    struct timer **heap; /* owned array of borrowed timers; heap[0] comes first */
};

void timers_deinit(struct timers *timers); /* none may be set */
/* Sets it, or moves it. */
void timer_set(struct timers *timers, struct timer *timer, int64_t at_ms);
void timer_cancel(struct timers *timers, struct timer *timer); /* fine where it is not set */
bool timer_is_set(const struct timer *timer);
/* The earliest deadline, or INT64_MAX. */
int64_t timers_next_ms(const struct timers *timers);
/* Fires what is due, each timer unset first. A fire() may set and cancel timers, its own too, but only for
 * later. */
void timers_fire(struct timers *timers, int64_t now_ms);
