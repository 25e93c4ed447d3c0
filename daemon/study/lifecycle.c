/* SPDX-License-Identifier: MIT */
/*
 * How a trial moves from stage to stage. A move happens when its change is committed; until then the trial is
 * where it was, and reserved (its gate is shut).
 *
 *            ask                        tell
 *   ABSENT ------------------> HELD -------------> OVER
 *     |                       ^ | ^                 ^ ^
 *     | enqueue      ask      | | | renewed,        | |
 *     +--------> ENQUEUED ----+ | | handed on       | |
 *     |                         | v                 | |
 *     |                lapses   +-> LAPSED ---------+ |   tell, or lost: its retries are spent
 *     |                         |    |                |
 *     |      handed back, or    v    v                |
 *     |      to be tried again  AGAIN ----> HELD      |   ask
 *     |                                               |
 *     | Optuna starts it                              |
 *     +--------> FOREIGN -----------------------------+   Optuna finishes it
 *
 * Optuna may take a waiting trial over, finish any open one, and delete the study's rows; a loaded trial
 * comes from ABSENT.
 */
#include "daemon/study/lifecycle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/study/lease.h"
#include "proto/memory.h"
#include "proto/require.h"

#define TO(stage) (1u << STAGE_##stage)
static const unsigned legal_moves[STAGE_COUNT] = {
    [STAGE_ABSENT] = TO(ENQUEUED) | TO(AGAIN) | TO(HELD) | TO(FOREIGN) | TO(OVER),
    [STAGE_ENQUEUED] = TO(HELD) | TO(FOREIGN) | TO(OVER) | TO(ABSENT),
    [STAGE_AGAIN] = TO(HELD) | TO(FOREIGN) | TO(OVER) | TO(ABSENT),
    [STAGE_HELD] = TO(LAPSED) | TO(AGAIN) | TO(FOREIGN) | TO(OVER) | TO(ABSENT),
    [STAGE_LAPSED] = TO(HELD) | TO(AGAIN) | TO(FOREIGN) | TO(OVER) | TO(ABSENT),
    [STAGE_FOREIGN] = TO(OVER) | TO(ABSENT),
    [STAGE_OVER] = 0,
};
#undef TO

/* OVER's state is one of three. */
static const enum trial_state stage_states[STAGE_COUNT] = {
    [STAGE_ENQUEUED] = TRIAL_WAITING, [STAGE_AGAIN] = TRIAL_WAITING,   [STAGE_HELD] = TRIAL_RUNNING,
    [STAGE_LAPSED] = TRIAL_RUNNING,   [STAGE_FOREIGN] = TRIAL_RUNNING, [STAGE_OVER] = TRIAL_FAIL,
};

struct trial *trial_make(struct study *study, int64_t number)
{
    struct trial *trial = trials_place(&study->trials, number);
    require(trial->stage == STAGE_ABSENT && !trial->open);
    *trial = (struct trial){.number = number};
    return trial;
}

void trial_open(struct study *study, struct trial *trial)
{
    trial->open = memory_new(sizeof *trial->open);
    trial->open->study = study;
    trial->open->trial = trial;
    lease_init_timer(trial->open);
}

double *trial_params_new(const struct study *study)
{
    size_t n_params = study->spec->space->n_params;
    double *params = memory_array(n_params + study->spec->n_directions, sizeof *params);
    for (size_t i = 0; i < n_params; i++)
        params[i] = NAN;
    return params;
}

double *trial_values(const struct study *study, const struct trial *trial)
{
    return trial->params ? trial->params + study->spec->space->n_params : NULL;
}

/* Index of the first open trial whose number is not lower. */
static size_t find_open(const struct study *study, int64_t number)
{
    size_t low = 0;
    size_t high = study->n_open;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (study->open[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_open(struct study *study, size_t at, struct trial *trial)
{
    if (study->n_open == study->open_capacity) {
        study->open_capacity = study->open_capacity ? 2 * study->open_capacity : 16;
        study->open = memory_resize(study->open, study->open_capacity, sizeof *study->open);
    }
    memmove(&study->open[at + 1], &study->open[at], (study->n_open++ - at) * sizeof *study->open);
    study->open[at] = trial;
}

static void list_open(struct study *study, struct trial *trial)
{
    size_t at = find_open(study, trial->number);
    bool is_listed = at < study->n_open && study->open[at] == trial;
    bool is_open =
        trial->stage != STAGE_ABSENT && trial->stage != STAGE_ENQUEUED && trial->stage != STAGE_OVER;
    if (is_open && !is_listed)
        insert_open(study, at, trial);
    if (is_listed && !is_open)
        memmove(&study->open[at], &study->open[at + 1], (--study->n_open - at) * sizeof *study->open);
}

/* Puts it among those to be handed out, where it belongs there. */
static void list_to_hand_out(struct study *study, struct trial *trial)
{
    bool is_again =
        trial->stage == STAGE_AGAIN || (trial->stage == STAGE_LAPSED && trial_has_retries(study, trial));
    if (trial->is_in_heap || (!is_again && trial->stage != STAGE_ENQUEUED))
        return;
    number_heap_push(is_again ? &study->again : &study->enqueued, trial->number);
    trial->is_in_heap = true;
}

static void count_for_worker(const struct trial *trial, int by)
{
    if (trial->worker && trial->stage == STAGE_HELD)
        trial->worker->n_running += (size_t)by;
}

void trial_list_change(struct study *study, struct trial *trial, int64_t seq)
{
    trial->seq = seq;
    changed_add(&study->changed, &study->trials, trial);
}

static void move_to(struct study *study, struct trial *trial, enum trial_stage stage, enum trial_state state,
                    int64_t seq)
{
    require(legal_moves[trial->stage] & 1u << stage);
    if (trial->stage != STAGE_ABSENT) {
        study->counts[trial->state]--;
        study->n_at_stage[trial->stage]--;
    }
    count_for_worker(trial, -1);
    trial->stage = (unsigned char)stage;
    trial->state = (unsigned char)state;
    count_for_worker(trial, 1);
    if (trial->open && stage != STAGE_HELD && stage != STAGE_LAPSED)
        timer_cancel(&study->studies->timers, &trial->open->lease_timer);
    if (stage != STAGE_ABSENT) {
        study->counts[state]++;
        study->n_at_stage[stage]++;
    }
    list_open(study, trial);
    list_to_hand_out(study, trial);
    if (seq)
        trial_list_change(study, trial, seq);
    study_mark(study);
}

void trial_move(struct study *study, struct trial *trial, enum trial_stage stage, int64_t seq)
{
    require(stage != STAGE_OVER);
    move_to(study, trial, stage, stage_states[stage], seq);
}

void trial_load_finished(struct study *study, struct trial *trial, enum trial_state state)
{
    move_to(study, trial, STAGE_OVER, state, 0);
}

/* Who is over needs no more than its row; but one that is reserved keeps its gate. */
static void close_if_free(struct trial *trial)
{
    if ((trial->stage == STAGE_OVER || trial->stage == STAGE_ABSENT) && !trial_is_reserved(trial))
        trial_close(trial);
}

void trial_put_observed(const struct study *study, const struct trial *trial, double *observed)
{
    const struct space *space = study->spec->space;
    for (size_t i = 0; i < space->n_params; i++) {
        bool is_inside =
            trial->params && distribution_contains(&space->params[i].distribution, trial->params[i]);
        observed[i] = is_inside ? trial->params[i] : NAN;
    }
}

void trial_enter_history(struct study *study, struct trial *trial, const struct history_trial *finished)
{
    double buffer[64];
    size_t n_params = study->spec->space->n_params;
    double *observed = n_params <= 64 ? buffer : memory_array(n_params, sizeof *observed);
    trial_put_observed(study, trial, observed);
    struct history_trial entry = *finished;
    entry.number = trial->number;
    entry.params = observed;
    entry.values = entry.state == TRIAL_COMPLETE ? trial_values(study, trial) : NULL;
    history_append(study->history, &entry);
    if (observed != buffer)
        free(observed);
    if (entry.state == TRIAL_COMPLETE && !(entry.violation > 0))
        best_add(&study->best, study->spec, &study->trials, trial);
}

void trial_finish(struct study *study, struct trial *trial, const struct history_trial *finished, int64_t seq)
{
    move_to(study, trial, STAGE_OVER, finished->state, seq);
    trial_enter_history(study, trial, finished);
    close_if_free(trial);
}

void trial_vanish(struct study *study, struct trial *trial)
{
    trial_move(study, trial, STAGE_ABSENT, 0);
    close_if_free(trial);
}

bool trial_has_retries(const struct study *study, const struct trial *trial)
{
    return trial->retries < (int64_t)study->spec->retries;
}

bool trial_is_reserved(const struct trial *trial)
{
    return trial->open && trial->open->gate.is_shut;
}

void trial_reserve(struct trial *trial)
{
    gate_shut(&trial->open->gate);
}

void trial_release(struct study *study, struct trial *trial)
{
    struct trial_open *open = trial->open;
    list_to_hand_out(study, trial);
    lease_go_on(study, trial);
    gate_open(&open->gate);
    close_if_free(trial);
    study_mark(study);
}

/* Entries may be out of date: renewed, told, or taken over since. */
static struct trial *next_of(struct study *study, struct number_heap *heap)
{
    for (int64_t number; (number = number_heap_top(heap)) >= 0; number_heap_pop(heap)) {
        struct trial *trial = trials_get(&study->trials, number);
        if (!trial)
            continue;
        bool is_waiting = trial->state == TRIAL_WAITING || trial->stage == STAGE_LAPSED;
        if (is_waiting && !trial_is_reserved(trial))
            return trial;
        trial->is_in_heap = false;
    }
    return NULL;
}

struct trial *trial_next(struct study *study, bool with_enqueued)
{
    struct trial *trial = next_of(study, &study->again);
    return trial || !with_enqueued ? trial : next_of(study, &study->enqueued);
}

void trial_take(struct study *study, struct trial *trial)
{
    struct number_heap *heap = trial->stage == STAGE_ENQUEUED ? &study->enqueued : &study->again;
    require(number_heap_top(heap) == trial->number);
    number_heap_pop(heap);
    trial->is_in_heap = false;
    trial_reserve(trial);
}
