/* SPDX-License-Identifier: MIT */
/* Creating a study, or attaching a spec to one that Optuna created. */
#include <stdlib.h>
#include <string.h>

#include "daemon/pruner/pruner.h"
#include "daemon/sampler/sampler.h"
#include "daemon/study/control.h"
#include "daemon/study/create.h"
#include "daemon/study/op.h"
#include "daemon/study/respace.h"
#include "daemon/study/seek.h"
#include "proto/log.h"
#include "proto/memory.h"

/* A name that is being created: a second call with the same one waits for the first. */
struct naming {
    struct naming *next;
    char *name;
    struct gate gate;
};

static struct naming *naming_find(const struct studies *studies, const char *name)
{
    struct naming *naming = studies->namings;
    while (naming && strcmp(naming->name, name) != 0)
        naming = naming->next;
    return naming;
}

bool create_is_under_way(const struct studies *studies, const char *name)
{
    return naming_find(studies, name) != NULL;
}

static void naming_begin(struct studies *studies, const char *name)
{
    struct naming *naming = memory_new(sizeof *naming);
    naming->name = memory_strdup(name);
    naming->next = studies->namings;
    studies->namings = naming;
    gate_shut(&naming->gate);
}

/* Those who waited may begin to create the same name themselves; the naming is theirs then. */
static void naming_end(struct studies *studies, const char *name)
{
    struct naming **each = &studies->namings;
    while (strcmp((*each)->name, name) != 0)
        each = &(*each)->next;
    struct naming *naming = *each;
    *each = naming->next;
    gate_open(&naming->gate);
    free(naming->name);
    free(naming);
}

/* ---- new ---- */

/* Optuna has made the name beside us: when the study is here the op begins again, and meets it. */
static void wait_for_existing(struct op *op)
{
    struct studies *studies = op->studies;
    op->spec = op->study->spec;
    op->study->spec = NULL;
    op->study = NULL;
    free(op->spec_json);
    op->spec_json = NULL;
    if (!studies->seek_gate.is_shut)
        gate_shut(&studies->seek_gate);
    studies->is_sought = true;
    op_wait(op, &studies->seek_gate);
}

static void create_settled(void *owner)
{
    struct op *op = owner;
    struct studies *studies = op->studies;
    struct study *study = op->study;
    enum store_result result = op->change.record.result;
    if (result == STORE_DONE) {
        study->study_id = op->change.record.study_id;
        study->has_row = true;
        studies_add(studies, study);
        log_info("study created study=\"%s\" uid=%s", study->name, study->uid);
        if (!op->answer.is_given) {
            op->study_call->study = study;
            op->study_call->was_created = true;
        }
        op_answer(op);
    } else if (result != STORE_EXISTS) {
        op_fail_change(op, &op->change);
    }
    gate_open(&study->gate);
    naming_end(studies, study->name);
    if (result != STORE_DONE)
        study_bury(study); /* nobody knows it: it goes with its change */
    bool is_waited_for = result == STORE_EXISTS && !op->answer.is_given;
    op_settle(op);
    if (is_waited_for)
        wait_for_existing(op);
}

static void create(struct op *op)
{
    struct studies *studies = op->studies;
    struct spec *spec = op->spec;
    op->spec = NULL;
    op->study = study_new(studies, spec->name, spec);
    op->study->has_stored_spec = true;
    op->spec_json = control_spec_json(spec);
    op->state = STUDY_RUNNING;
    studies_random_hex(studies, op->study->uid, sizeof op->study->uid / 2);
    op->change.record.study.n_directions = spec->n_directions;
    op->change.record.study.directions = spec->directions;
    naming_begin(studies, spec->name);
    if (control_submit(op, STORE_CREATE_STUDY, create_settled) == 0)
        return;
    naming_end(studies, spec->name);
    study_free(op->study);
}

/* ---- existing ---- */

/* The first key in which two specs differ that are not equal. A seed that was drawn is no difference, so the
 * sampler is it only where nothing else is. */
static const char *first_difference(const struct spec *a, const struct spec *b)
{
    static const char *const keys[] = {
        "directions",  "space",           "pruner",  "max_trials", "max_failed_trials",
        "max_seconds", "trial_timeout_s", "lease_s", "retries",    "objective",
        NULL};
    json_t *left = spec_to_json(a);
    json_t *right = spec_to_json(b);
    const char *found = "sampler";
    for (size_t i = 0; keys[i]; i++) {
        json_t *one = json_object_get(left, keys[i]);
        json_t *other = json_object_get(right, keys[i]);
        if (!one != !other || (one && !json_equal(one, other))) {
            found = keys[i];
            break;
        }
    }
    json_decref(left);
    json_decref(right);
    return found;
}

static void attach_settled(void *owner)
{
    struct op *op = owner;
    struct study *study = op->study;
    if (change_is_done(&op->change)) {
        struct spec *spec = op->spec;
        op->spec = NULL;
        study_respace(study, spec);
        study->has_stored_spec = true;
        if (!op->answer.is_given)
            op->study_call->study = study;
        op_answer(op);
    } else if (op->change.record.result == STORE_CONFLICT) {
        control_vanished(study, "another program deleted it");
        op_fail_change(op, &op->change);
    } else {
        op_fail_change(op, &op->change);
    }
    gate_open(&study->gate);
    op_settle(op);
}

static void attach(struct op *op, struct study *study)
{
    if (study_check_respace(study, op->spec, op->problem) < 0) {
        op_answer(op);
        return;
    }
    op->study = study;
    op->state = study->state;
    op->reason = memory_strdup(study->reason);
    op->spec_json = control_spec_json(op->spec);
    (void)!control_submit(op, STORE_CHANGE_STUDY, attach_settled);
}

static void meet_existing(struct op *op, struct study *study)
{
    const char *name = study->name;
    if (!op->is_lenient) {
        op_fail(op, PROBLEM_EXISTS, "name",
                "there is a study \"%s\" already; ?exist_ok=true accepts an equal one", name);
    } else if (study->gate.is_shut) {
        op_wait(op, &study->gate);
    } else if (study->has_stored_spec && spec_equal(study->spec, op->spec)) {
        op->study_call->study = study;
        op_answer(op);
    } else if (study->has_stored_spec) {
        const char *key = first_difference(study->spec, op->spec);
        op_fail(op, PROBLEM_EXISTS, key, "study \"%s\" exists with another \"%s\"", name, key);
    } else if (studies_check_open(op->studies, op->problem) < 0) {
        op_answer(op);
    } else if (seek_again(study)) {
        op_wait(op, &study->gate);
    } else {
        attach(op, study);
    }
}

static void create_begin(struct op *op)
{
    struct study *study = studies_find(op->studies, op->spec->name);
    struct naming *naming = naming_find(op->studies, op->spec->name);
    if (study)
        meet_existing(op, study);
    else if (naming)
        op_wait(op, &naming->gate);
    else if (studies_check_open(op->studies, op->problem) < 0)
        op_answer(op);
    else
        create(op);
}

void studies_create(struct studies *studies, struct spec *spec, bool exist_ok, struct study_call *call)
{
    struct op *op = op_new_of_study(studies, NULL, call, create_begin);
    op->spec = spec;
    op->is_lenient = exist_ok;
    if (sampler_complete_spec(spec, &call->problem) < 0 || pruner_complete_spec(spec, &call->problem) < 0)
        op_answer(op);
    else
        create_begin(op);
    studies_end_call(studies);
}
