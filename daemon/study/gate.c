/* SPDX-License-Identifier: MIT */
/* Gates: who waits until a reservation is over, in order of arrival. */
#include "daemon/study/gate.h"

#include <stddef.h>

#include "proto/require.h"

void gate_shut(struct gate *gate)
{
    require(!gate->is_shut);
    gate->is_shut = true;
}

void gate_wait(struct gate *gate, struct waiter *waiter)
{
    require(gate->is_shut && !waiter->gate);
    waiter->gate = gate;
    waiter->next = NULL;
    if (gate->last)
        gate->last->next = waiter;
    else
        gate->first = waiter;
    gate->last = waiter;
}

void gate_leave(struct waiter *waiter)
{
    struct gate *gate = waiter->gate;
    if (!gate)
        return;
    struct waiter *before = NULL;
    struct waiter *each = gate->first;
    for (; each != waiter; each = each->next)
        before = each;
    if (before)
        before->next = waiter->next;
    else
        gate->first = waiter->next;
    if (gate->last == waiter)
        gate->last = before;
    waiter->gate = NULL;
}

void gate_open(struct gate *gate)
{
    require(gate->is_shut);
    gate->is_shut = false;
    while (!gate->is_shut && gate->first) {
        struct waiter *waiter = gate->first;
        gate_leave(waiter);
        waiter->resume(waiter->owner);
    }
}
