/* SPDX-License-Identifier: MIT */
/*
 * Suggestions on the sampler pool. A job has copies of all that it reads but the history, whose finished
 * entries never move, and the space; so nothing that the loop does meanwhile is seen by it.
 */
#include "daemon/study/sampling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/draft.h"
#include "daemon/study/lifecycle.h"
#include "proto/memory.h"

struct sampling {
    struct sampler_job job;
    struct study *study;
    const struct spec *spec;   /* borrowed */
    struct sampler *sampler;   /* the study's, lent; made here where it has none */
    struct sampler_view view;  /* `open` has room for the drafts */
    struct sampler_open *open; /* owned */
    double *open_params;       /* owned */
    size_t n_drafts;
    int64_t *numbers; /* owned [n_drafts] */
    double *fixed;    /* owned [n_drafts][n_params], NaN where free */
    double *params;   /* owned, the result */
};

static void sampling_free(struct sampling *sampling)
{
    free(sampling->open);
    free(sampling->open_params);
    free(sampling->numbers);
    free(sampling->fixed);
    free(sampling->params);
    free(sampling);
}

/* In ascending number. */
static void insert_open(struct sampling *sampling, int64_t number, const double *params)
{
    size_t at = sampling->view.n_open++;
    for (; at > 0 && sampling->open[at - 1].number > number; at--)
        sampling->open[at] = sampling->open[at - 1];
    sampling->open[at] = (struct sampler_open){number, params};
}

/* Pool thread. Each draft sees those before it as open trials. */
static void run(struct sampler_job *job)
{
    struct sampling *sampling = (struct sampling *)job;
    size_t n_params = sampling->spec->space->n_params;
    if (!sampling->sampler)
        sampling->sampler = sampler_new(sampling->spec);
    for (size_t i = 0; i < sampling->n_drafts; i++) {
        double *params = sampling->params + i * n_params;
        sampler_suggest(sampling->sampler, &sampling->view, sampling->numbers[i], params);
        for (size_t j = 0; j < n_params; j++) {
            if (!isnan(sampling->fixed[i * n_params + j]))
                params[j] = sampling->fixed[i * n_params + j];
        }
        insert_open(sampling, sampling->numbers[i], params);
    }
}

static void done(struct sampler_job *job)
{
    struct sampling *sampling = (struct sampling *)job;
    struct study *study = sampling->study;
    struct studies *studies = study->studies;
    study->sampling = NULL;
    study->sampler = sampling->sampler;
    timer_set_in(studies, &study->sampler_timer, SAMPLER_IDLE_MS);
    drafts_sampled(study, sampling->params);
    sampling_free(sampling);
    study_unref(study);
    studies_end_turn(studies);
}

/* Open are: trials in memory, and drafts that are sampled and on their way. */
static void put_open(struct sampling *sampling, const struct study *study)
{
    size_t n_params = study->spec->space->n_params;
    size_t n_open = study->n_open + study->sent.n_drafts;
    sampling->open = memory_array(n_open + sampling->n_drafts + 1, sizeof *sampling->open);
    sampling->open_params = memory_array(n_open * n_params + 1, sizeof *sampling->open_params);
    double *copy = sampling->open_params;
    for (size_t i = 0; i < study->n_open; i++) {
        if (!study->open[i]->params)
            continue;
        trial_put_observed(study, study->open[i], copy);
        insert_open(sampling, study->open[i]->number, copy);
        copy += n_params;
    }
    for (const struct draft *draft = study->sent.first; draft; draft = draft->next) {
        if (!draft->params)
            continue;
        memcpy(copy, draft->params, n_params * sizeof *copy);
        insert_open(sampling, draft->number, copy);
        copy += n_params;
    }
}

static void put_drafts(struct sampling *sampling, const struct study *study)
{
    size_t n_params = study->spec->space->n_params;
    size_t n_drafts = study->train.n_drafts;
    sampling->numbers = memory_array(n_drafts, sizeof *sampling->numbers);
    sampling->params = memory_array(n_drafts * n_params + 1, sizeof *sampling->params);
    sampling->fixed = memory_array(n_drafts * n_params + 1, sizeof *sampling->fixed);
    for (struct draft *draft = study->train.first; draft; draft = draft->next) {
        if (draft->kind == DRAFT_ENQUEUE)
            continue;
        const double *fixed = draft->trial ? draft->trial->open->fixed : NULL;
        for (size_t j = 0; j < n_params; j++)
            sampling->fixed[sampling->n_drafts * n_params + j] = fixed ? fixed[j] : NAN;
        sampling->numbers[sampling->n_drafts++] = draft->number;
        draft->sampled_seq = change_settled_seq(study);
    }
}

void sampling_start(struct study *study)
{
    struct studies *studies = study->studies;
    struct sampling *sampling = memory_new(sizeof *sampling);
    sampling->job = (struct sampler_job){run, done};
    sampling->study = study;
    sampling->spec = study->spec;
    sampling->sampler = study->sampler;
    put_drafts(sampling, study);
    put_open(sampling, study);
    sampling->view.history = study->history;
    sampling->view.n_finished = history_size(study->history);
    sampling->view.open = sampling->open;
    study->sampling = sampling;
    timer_cancel(&studies->timers, &study->sampler_timer);
    study_ref(study);
    studies->ports.sample(studies->ports.user, &sampling->job);
}

/* What it knew is in the history; the next ask builds it again. */
static void drop_idle(void *owner)
{
    struct study *study = owner;
    sampler_free(study->sampler);
    study->sampler = NULL;
}

void sampling_init_timer(struct study *study)
{
    study->sampler_timer = (struct timer){.fire = drop_idle, .owner = study};
}
