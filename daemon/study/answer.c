/* SPDX-License-Identifier: MIT */
/* Answers on their way out: a queue. */
#include "daemon/study/answer.h"

#include <stddef.h>

#include "proto/require.h"

void answer_give(struct answers *answers, struct answer *answer)
{
    require(!answer->is_given);
    answer->is_given = true;
    answer->next = NULL;
    if (answers->last)
        answers->last->next = answer;
    else
        answers->first = answer;
    answers->last = answer;
}

void answers_deliver(struct answers *answers)
{
    struct answer *answer = answers->first;
    *answers = (struct answers){0};
    while (answer) {
        struct answer *next = answer->next;
        answer->deliver(answer->owner);
        answer = next;
    }
}
