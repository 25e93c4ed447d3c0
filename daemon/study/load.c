/* SPDX-License-Identifier: MIT */
/*
 * Filling memory with what the database holds. Runs on the store's reader thread while the loop thread stays
 * away; for studies that appear while we serve, on the loop thread.
 *
 * Finished trials enter the history in the order in which they finished (those of Optuna, which have no
 * order, first), and the list of changes likewise. What has no seq of its own there, or a newer one that its
 * row does not tell (an open trial), gets one behind the last: who follows the list sees it once more.
 *
 * Such seqs, and those of what Optuna does later, are stored nowhere. So each owner of the database begins
 * beyond all that the owners before it can have given, and no seq is given twice.
 */
#include "daemon/study/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pruner/pruner.h"
#include "daemon/sampler/sampler.h"
#include "daemon/study/control.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/respace.h"
#include "daemon/study/row.h"
#include "daemon/study/seek.h"
#include "proto/json_read.h"
#include "proto/log.h"
#include "proto/memory.h"

/* What one owner gives without storing it: a study has 2^31 numbers at most, each is listed once at the start
 * and changed from outside three times at most (it appears, is taken, ends). As much again for its own
 * changes. */
#define OWNER_SEQ_BITS 34

/* A finished trial until the history is in order. */
struct finished {
    struct trial *trial;
    struct history_trial entry;
};

/* One study while it is loaded. */
struct loading {
    struct study *study;
    bool is_known; /* it was here before, and is filled anew */
    size_t n_finished, capacity;
    struct finished *finished; /* owned */
};

/* ---- the spec ---- */

/* A spec of Optuna's own name would be refused as one that we create. */
static struct spec *read_spec(const struct store_study *row, struct problem *problem)
{
    json_t *json = json_parse(row->spec_json, strlen(row->spec_json), problem);
    if (json_is_object(json))
        json_object_set_new(json, "name", json_string("study"));
    struct spec *spec = json ? spec_read(json, 0, problem) : NULL;
    json_decref(json);
    if (!spec)
        return NULL;
    free(spec->name);
    spec->name = memory_strdup(row->name);
    if (sampler_complete_spec(spec, problem) == 0 && pruner_complete_spec(spec, problem) == 0)
        return spec;
    spec_free(spec);
    return NULL;
}

/* `known`: the study that is filled anew, or NULL. */
static struct study *make_study(struct studies *studies, const struct store_study *row, struct study *known)
{
    struct problem problem = {0};
    struct spec *spec = row->spec_json ? read_spec(row, &problem) : NULL;
    bool is_usable = spec || !row->spec_json;
    if (!spec)
        spec = spec_derive(row->name, row->n_directions, row->directions, row->space);
    struct study *study = known;
    if (known)
        study_empty(study, spec);
    else
        study = study_new(studies, row->name, spec);
    study->has_stored_spec = row->spec_json != NULL;
    study->is_usable = is_usable;
    free(study->reason);
    study->reason = memory_strdup(row->reason);
    if (!is_usable) {
        char reason[700];
        snprintf(reason, sizeof reason, "its stored spec cannot be used: %s", problem.detail);
        free(study->reason);
        study->reason = memory_strdup(reason);
        log_error("study cannot be used study=\"%s\" reason=\"%s\"", row->name, reason);
    }
    return study;
}

static enum study_state read_state(const char *name)
{
    int state = STUDY_FINISHED;
    while (state > STUDY_RUNNING && strcmp(study_state_names[state], name) != 0)
        state--;
    return (enum study_state)state;
}

/* The last seq that was given, or may have been. */
static int64_t last_seq(const struct store_study *row)
{
    int64_t before_owner = (row->epoch - 1) << OWNER_SEQ_BITS;
    return row->seq > before_owner ? row->seq : before_owner;
}

static void *study_begin(void *user, const struct store_study *row)
{
    struct studies *studies = user;
    struct study *known = studies->is_loaded ? studies_find(studies, row->name) : NULL;
    if (studies->is_loaded && !seek_accepts(studies, row->name, known))
        return NULL;
    struct loading *loading = memory_new(sizeof *loading);
    struct study *study = make_study(studies, row, known);
    loading->study = study;
    loading->is_known = known;
    study->study_id = row->study_id;
    study->has_row = row->uid[0];
    if (study->has_row)
        memcpy(study->uid, row->uid, sizeof study->uid);
    study->state = read_state(row->state);
    study->first_ask_us = row->first_ask_us;
    study->is_first_ask_stored = row->first_ask_us;
    if (study->last_seq < last_seq(row))
        study->last_seq = last_seq(row);
    if (row->user_attrs)
        json_object_update(study->user_attrs, row->user_attrs);
    return loading;
}

/* ---- the trials ---- */

static void add_finished(struct loading *loading, struct trial *trial, const struct store_trial *row)
{
    if (loading->n_finished == loading->capacity) {
        loading->capacity = loading->capacity ? 2 * loading->capacity : 64;
        loading->finished = memory_resize(loading->finished, loading->capacity, sizeof *loading->finished);
    }
    loading->finished[loading->n_finished++] = (struct finished){trial, row_finished(row)};
}

static void load_trial(void *user, void *opaque, const struct store_trial *row)
{
    struct loading *loading = opaque;
    struct study *study = loading->study;
    (void)user;
    if (trials_get(&study->trials, row->number)) {
        log_error("two trials have one number, the second is left out study=\"%s\" number=%lld", study->name,
                  (long long)row->number);
        return;
    }
    struct trial *trial = row_make(study, row);
    if (row_stage(row) == STAGE_OVER)
        add_finished(loading, trial, row);
    else
        trial_move(study, trial, row_stage(row), 0);
    bool is_asked = trial->is_ours && trial->start_us && !study->is_first_ask_stored;
    if (is_asked && (!study->first_ask_us || trial->start_us < study->first_ask_us))
        study->first_ask_us = trial->start_us;
}

static int compare_finished(const void *a, const void *b)
{
    const struct trial *left = ((const struct finished *)a)->trial;
    const struct trial *right = ((const struct finished *)b)->trial;
    if (left->finished_seq != right->finished_seq)
        return left->finished_seq < right->finished_seq ? -1 : 1;
    return left->number < right->number ? -1 : 1;
}

/* The finished ones of ours bring their seq; everything else gets one behind it. */
static void list_changes(struct loading *loading)
{
    struct study *study = loading->study;
    for (size_t i = 0; i < loading->n_finished; i++) {
        struct trial *trial = loading->finished[i].trial;
        if (trial->finished_seq)
            trial_list_change(study, trial, trial->finished_seq);
    }
    for (int64_t number = 0; number < study->trials.n_numbers; number++) {
        struct trial *trial = trials_get(&study->trials, number);
        if (trial && (trial->stage != STAGE_OVER || !trial->finished_seq))
            trial_list_change(study, trial, ++study->last_seq);
    }
}

/* What waits for all studies may have waited for this one. */
static void enter_late(const struct loading *loading)
{
    struct study *study = loading->study;
    load_finish(study);
    study_mark(study);
    if (!loading->is_known)
        log_info("study appeared study=\"%s\" trials=%lld reason=\"another program made it\"", study->name,
                 (long long)study->trials.n_numbers);
}

static void study_end(void *user, void *opaque)
{
    struct loading *loading = opaque;
    struct study *study = loading->study;
    if (loading->n_finished)
        qsort(loading->finished, loading->n_finished, sizeof *loading->finished, compare_finished);
    for (size_t i = 0; i < loading->n_finished; i++) {
        trial_load_finished(study, loading->finished[i].trial, loading->finished[i].entry.state);
        trial_enter_history(study, loading->finished[i].trial, &loading->finished[i].entry);
    }
    list_changes(loading);
    if (!loading->is_known)
        studies_add(user, study);
    if (study->studies->is_loaded)
        enter_late(loading);
    free(loading->finished);
    free(loading);
}

struct store_sink studies_sink(struct studies *studies)
{
    return (struct store_sink){studies, study_begin, load_trial, study_end};
}

void load_finish(struct study *study)
{
    if (!study->uid[0])
        studies_random_hex(study->studies, study->uid, sizeof study->uid / 2);
    if (!study->has_stored_spec || !study->is_usable)
        spec_settle_derived(study->studies, study->spec);
    study->read_ms = study->looked_ms = studies_now_ms(study->studies);
    lease_renew_all(study);
    control_set_clock(study);
}
