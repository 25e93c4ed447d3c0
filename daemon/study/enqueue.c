/* SPDX-License-Identifier: MIT */
/* Enqueue: a trial that waits to be run with given parameters, the others sampled when it is handed out. */
#include <stdlib.h>

#include "daemon/study/control.h"
#include "daemon/study/draft.h"
#include "daemon/study/op.h"
#include "daemon/study/outcome.h"
#include "daemon/study/params.h"
#include "daemon/study/seek.h"
#include "proto/memory.h"

static bool has_key(const struct op *op)
{
    return op->enqueue.request_id;
}

static void draft_settled(struct draft *draft, enum draft_fate fate, const struct problem *problem)
{
    struct op *op = draft->owner;
    if (!op->answer.is_given) {
        if (fate == DRAFT_DONE)
            op->call->number = draft->number;
        else
            *op->problem = *problem;
    }
    op_answer(op);
    if (op->request)
        requests_end(&op->study->requests, op->request);
    op_settle(op);
}

/* The same request again: the trial that it made, or a wait until the first is known. */
static bool is_repeated(struct op *op)
{
    struct requests *requests = &op->study->requests;
    uint32_t index = requests_find(requests, op->key);
    if (!index)
        return false;
    const struct request *request = &requests->items[index];
    if (!requests_has_body(requests, index, op->key)) {
        op_fail(op, PROBLEM_REQUEST_ID_REUSED, "request_id",
                "this request_id was used with another body; give each new request an id of its own");
    } else if (request->gate) {
        op_wait(op, request->gate);
    } else if (request->n_numbers == 0) {
        return false; /* the first brought nothing */
    } else {
        op->call->number = request->numbers[0];
        op_answer(op);
    }
    return true;
}

/* 0, or -1 where it was answered or waits. */
static int check(struct op *op)
{
    struct study *study = op->study;
    if (studies_check_open(op->studies, op->problem) < 0) {
        op_answer(op);
    } else if (seek_again(study)) {
        op_wait(op, &study->gate);
    } else if (control_check_usable(study, op->problem) < 0) {
        op_answer(op);
    } else if (study->state == STUDY_STOPPED ||
               (study->state == STUDY_FINISHED && drafts_have_number(study))) {
        op_fail(op, PROBLEM_STUDY_STOPPED, "", "study \"%s\" is %s; set it running first", study->name,
                study_state_names[study->state]);
    } else if (!drafts_have_number(study)) {
        op_fail(op, PROBLEM_STUDY_STOPPED, "",
                "all %lld trials of the study are given out; raise max_trials first",
                (long long)study->spec->max_trials);
    } else if (study->has_stored_spec) {
        return 0;
    } else if (op->has_waited_for_spec) {
        op_fail(op, PROBLEM_STORE_AWAY, "", "the study's spec could not be stored; repeat the request");
    } else {
        op->has_waited_for_spec = true;
        control_store_spec(study);
        if (study->gate.is_shut) {
            op_wait(op, &study->gate);
        } else {
            change_set_refused(op->problem);
            op_answer(op);
        }
    }
    return -1;
}

static void begin(struct op *op)
{
    struct study *study = op->study;
    if (study->is_deleted) {
        op_fail(op, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", study->name);
        return;
    }
    MEMORY_AUTO double *fixed = memory_array(study->spec->space->n_params + 1, sizeof *fixed);
    if (has_key(op) && is_repeated(op))
        return;
    if (check(op) < 0)
        return;
    if (space_values_from_json(study->spec->space, op->enqueue.params, "params", fixed, op->problem) < 0) {
        op_answer(op);
        return;
    }
    if (has_key(op)) {
        op->request = requests_get(&study->requests, op->key);
        requests_begin(&study->requests, op->request);
    }
    struct draft *draft = draft_new(study, DRAFT_ENQUEUE, NULL);
    draft->settled = draft_settled;
    draft->owner = op;
    draft->key = has_key(op) ? op->key : NULL;
    op->fixed_params = params_to_json(study->spec->space, fixed);
    draft->fixed_params = op->fixed_params;
    draft->user_attrs = op->enqueue.user_attrs;
    draft->fixed = fixed;
    fixed = NULL;
    op_begin_change(op);
    draft_queue(draft);
}

void study_enqueue(struct studies *studies, struct study *study, const struct enqueue_message *message,
                   const unsigned char *body_hash, struct trial_call *call)
{
    struct op *op = op_new(studies, study, call, -1, begin);
    op->enqueue.params = json_incref(message->params);
    op->enqueue.user_attrs = json_incref(message->user_attrs);
    op->enqueue.request_id = memory_strdup(message->request_id);
    if (message->request_id)
        outcome_request_key(message->request_id, body_hash, op->key);
    call->state = TRIAL_WAITING;
    begin(op);
    studies_end_call(studies);
}
