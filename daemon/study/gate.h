/* SPDX-License-Identifier: MIT */
/*
 * A gate is shut while something is reserved, and those who come meanwhile wait before it in order.
 *
 * It opens when the change that shut it is known to be committed or dropped. Then the first in line looks at
 * the world again; if it reserves the thing in its turn, the others go on waiting.
 */
#pragma once

#include <stdbool.h>

struct gate;

/* Lives inside whoever waits; zeroed is "not waiting". */
struct waiter {
    struct waiter *next;
    struct gate *gate; /* NULL: not waiting */
    void (*resume)(void *owner);
    void *owner;
};

/* Zeroed is open. */
struct gate {
    bool is_shut;
    struct waiter *first, *last;
};

void gate_shut(struct gate *gate); /* it is open */
/* It is shut. `waiter` has its resume and owner set. */
void gate_wait(struct gate *gate, struct waiter *waiter);
void gate_leave(struct waiter *waiter); /* fine where it does not wait */
/* Opens it, and resumes those who wait until one of them shuts it. The gate must outlive the call. */
void gate_open(struct gate *gate);
