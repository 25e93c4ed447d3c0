/* SPDX-License-Identifier: MIT */
/* Changes under way: their seqs, their order, what their results mean. */
#include "daemon/study/change.h"

#include "daemon/study/foreign.h"
#include "daemon/study/state.h"
#include "proto/require.h"

static void link_last(struct study *study, struct change *change)
{
    change->next = NULL;
    if (study->last_change)
        study->last_change->next = change;
    else
        study->first_change = change;
    study->last_change = change;
}

static void unlink_from(struct study *study, struct change *change)
{
    struct change *before = NULL;
    struct change *each = study->first_change;
    for (; each != change; each = each->next)
        before = each;
    if (before)
        before->next = change->next;
    else
        study->first_change = change->next;
    if (study->last_change == change)
        study->last_change = before;
}

/* The store's answer. Rows that Optuna wrote come with it; those of a conflict belong to whoever had the
 * conflict. */
static void change_done(struct store_record *record)
{
    struct change *change = record->user;
    struct study *study = change->study;
    struct studies *studies = study->studies;
    unlink_from(study, change);
    study->has_row |= record->result == STORE_DONE && record->change != STORE_LOOK;
    if (record->result != STORE_CONFLICT && !study->is_deleted)
        foreign_take_in_all(study, record->foreign, record->n_foreign);
    change->settled(change->owner);
    study_mark(study);
    study_unref(study);
    studies_end_turn(studies);
}

int change_submit(struct change *change, struct study *study, void (*settled)(void *owner), void *owner)
{
    struct studies *studies = study->studies;
    change->study = study;
    change->settled = settled;
    change->owner = owner;
    change->record.study_id = study->study_id;
    change->record.uid = study->uid;
    change->record.user = change;
    change->record.done = change_done;
    bool is_look = change->record.change == STORE_LOOK;
    change->record.seq = study->last_seq + !is_look;
    if (studies->ports.submit(studies->ports.user, &change->record) < 0)
        return -1;
    study->last_seq = change->record.seq;
    study_ref(study);
    link_last(study, change);
    return 0;
}

bool change_is_done(const struct change *change)
{
    return change->record.result == STORE_DONE && !change->study->is_deleted;
}

void change_set_problem(const struct change *change, struct problem *problem)
{
    const struct study *study = change->study;
    const char *detail = change->record.detail;
    if (study->is_deleted)
        problem_set(problem, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted meanwhile", study->name);
    else if (change->record.result == STORE_REFUSED)
        problem_set(problem, PROBLEM_STORE_REFUSED, "", "%s",
                    *detail ? detail : "the database refused the change");
    else
        problem_set(problem, PROBLEM_STORE_AWAY, "",
                    "the change may or may not be stored%s%s; repeat the request", *detail ? ": " : "",
                    detail);
}

void change_set_refused(struct problem *problem)
{
    problem_set(problem, PROBLEM_STORE_AWAY, "",
                "the database takes no changes now, or too many wait for it; repeat the request");
}

int64_t change_settled_seq(const struct study *study)
{
    /* A look takes no seq of its own, and so does not hold back the one before it. */
    const struct change *change = study->first_change;
    while (change && change->record.change == STORE_LOOK)
        change = change->next;
    return change ? change->record.seq - 1 : study->last_seq;
}
