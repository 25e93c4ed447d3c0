/* SPDX-License-Identifier: MIT */
/* Answers on their way out: they are collected, and delivered at the end of a turn, so that no call is
 * answered within itself. */
#pragma once

#include <stdbool.h>

/* Lives inside its call; zeroed is "not given". */
struct answer {
    struct answer *next;
    void (*deliver)(void *owner); /* calls `done`; may free the owner */
    void *owner;
    bool is_given;
};

/* Zeroed is empty. */
struct answers {
    struct answer *first, *last;
};

/* Once for each. */
void answer_give(struct answers *answers, struct answer *answer);
/* Delivers what is there. Answers that are given meanwhile stay for the next time. */
void answers_deliver(struct answers *answers);
