/* SPDX-License-Identifier: MIT */
/* Trials as the database has them, put into memory. */
#include "daemon/study/row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/draft.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/params.h"
#include "daemon/study/report.h"
#include "proto/log.h"
#include "proto/memory.h"

static bool has_outcome(const struct store_trial *row)
{
    static const unsigned char none[STORE_OUTCOME_SIZE]; /* what a trial that is handed out gets */
    return row->has_outcome && memcmp(row->outcome, none, STORE_OUTCOME_SIZE) != 0;
}

/* Some parameters, and not all: what Optuna's retry leaves of a trial whose worker died between two suggests.
 */
static bool has_partial_params(const struct store_trial *row)
{
    for (size_t i = 0; row->params && i < row->n_params; i++)
        if (isnan(row->params[i]))
            return true;
    return false;
}

/* A trial that runs without a lease, or although its lease has told, was started by Optuna. */
enum trial_stage row_stage(const struct store_trial *row)
{
    if (row->state == TRIAL_WAITING)
        return row->params && !has_partial_params(row) ? STAGE_AGAIN : STAGE_ENQUEUED;
    if (row->state == TRIAL_RUNNING)
        return row->is_ours && row->lease[0] && !has_outcome(row) ? STAGE_HELD : STAGE_FOREIGN;
    return STAGE_OVER;
}

struct history_trial row_finished(const struct store_trial *row)
{
    return (struct history_trial){
        .state = row->state,
        .last_step = row->last_step,
        .last_value = row->last_value,
        .violation = row->violation,
    };
}

static void put_params(struct study *study, struct trial *trial, const struct store_trial *row)
{
    size_t n_params = study->spec->space->n_params;
    size_t n_given = row->n_params < n_params ? row->n_params : n_params;
    if (!row->params && row->state != TRIAL_COMPLETE && row->state != TRIAL_PRUNED)
        return;
    if (row_stage(row) == STAGE_ENQUEUED)
        return;
    if (!trial->params)
        trial->params = trial_params_new(study);
    if (row->params)
        memcpy(trial->params, row->params, n_given * sizeof *row->params);
}

static void put_values(struct study *study, struct trial *trial, const struct store_trial *row)
{
    size_t n = row->n_values < study->spec->n_directions ? row->n_values : study->spec->n_directions;
    if (!row->values || !trial->params)
        return;
    trial->n_values = (unsigned char)n;
    memcpy(trial_values(study, trial), row->values, n * sizeof *row->values);
}

void row_update(struct study *study, struct trial *trial, const struct store_trial *row)
{
    trial->start_us = row->start_us;
    trial->complete_us = row->complete_us;
    put_params(study, trial, row);
    put_values(study, trial, row);
}

static void put_enqueued(struct study *study, struct trial *trial, json_t *fixed_params)
{
    size_t n_left_out = params_from_enqueued(study->spec->space, fixed_params, trial->open->fixed);
    if (n_left_out)
        log_warning(
            "enqueued parameters outside the space are sampled instead study=\"%s\" number=%lld count=%zu",
            study->name, (long long)trial->number, n_left_out);
}

/* What is a row already cannot be another value. */
static void put_stored(struct study *study, struct trial *trial, const struct store_trial *row)
{
    size_t n_params = study->spec->space->n_params;
    trial->open->stored = trial_params_new(study);
    for (size_t i = 0; i < n_params && i < row->n_params; i++) {
        trial->open->stored[i] = row->params[i];
        if (!isnan(row->params[i]))
            trial->open->fixed[i] = row->params[i];
    }
}

static void put_fixed(struct study *study, struct trial *trial, const struct store_trial *row)
{
    bool has_stored = row->params && row_stage(row) == STAGE_ENQUEUED;
    if (!row->fixed_params && !has_stored)
        return;
    trial->open->fixed = trial_params_new(study);
    if (row->fixed_params)
        put_enqueued(study, trial, row->fixed_params);
    if (has_stored)
        put_stored(study, trial, row);
}

static void put_ours(struct study *study, struct trial *trial, const struct store_trial *row)
{
    trial->is_ours = row->is_ours && row_stage(row) != STAGE_FOREIGN;
    trial->attempt = (int32_t)row->attempt;
    trial->retries = (int32_t)row->retries;
    trial->sampled_seq = row->sampled_seq;
    trial->asked_seq = row->asked_seq;
    trial->finished_seq = row->finished_seq;
    trial->has_outcome = has_outcome(row);
    memcpy(trial->outcome, row->outcome, STORE_OUTCOME_SIZE);
    lease_set_text(trial, row->lease);
    worker_take(trial, workers_get(&study->studies->workers, row->worker, 0));
    draft_put_requests(study, trial, &row->request);
}

struct trial *row_make(struct study *study, const struct store_trial *row)
{
    struct trial *trial = trial_make(study, row->number);
    trial->trial_id = row->trial_id;
    row_update(study, trial, row);
    put_ours(study, trial, row);
    if (row_stage(row) == STAGE_OVER)
        return trial;
    trial_open(study, trial);
    put_fixed(study, trial, row);
    report_load(trial, row->points, row->n_points);
    return trial;
}
