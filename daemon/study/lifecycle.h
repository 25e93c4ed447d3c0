/* SPDX-License-Identifier: MIT */
/* How a trial moves from stage to stage, and what the study keeps in step with that. */
#pragma once

#include "daemon/sampler/history.h"
#include "daemon/study/state.h"

/* The place of a trial that was ABSENT; trial_move() makes it visible. */
struct trial *trial_make(struct study *study, int64_t number);
/* Gives it what an unfinished trial needs. */
void trial_open(struct study *study, struct trial *trial);
double *trial_params_new(const struct study *study); /* all NaN; room for the values behind */
double *trial_values(const struct study *study,
                     const struct trial *trial); /* NULL where it has no parameters */

/* The parameters as a sampler may see them: NaN also where Optuna chose one outside today's range. */
void trial_put_observed(const struct study *study, const struct trial *trial, double *observed);

/* Moves it to another stage that the table allows. What the new stage needs is set already, but for `state`,
 * which is derived. Keeps the counts, the list of open trials and the trials to be handed out. `seq` of the
 * change, or 0 where it is none (a lease lapses, or is renewed). */
void trial_move(struct study *study, struct trial *trial, enum trial_stage stage, int64_t seq);
/* Moves it to OVER, and into the history and the best. `finished` has all but number, params and values; the
 * trial has its values already. */
void trial_finish(struct study *study, struct trial *trial, const struct history_trial *finished,
                  int64_t seq);
/* The parts of trial_finish(), for trials that are loaded: the move, then the history in its order, then the
 * list of changes in its. */
void trial_load_finished(struct study *study, struct trial *trial, enum trial_state state);
void trial_list_change(struct study *study, struct trial *trial, int64_t seq);
void trial_enter_history(struct study *study, struct trial *trial, const struct history_trial *finished);
/* The row of a trial that is not over has vanished from the database. */
void trial_vanish(struct study *study, struct trial *trial);

/* May it be handed out again when it lapses, or fails by no fault of its own? */
bool trial_has_retries(const struct study *study, const struct trial *trial);
bool trial_is_reserved(const struct trial *trial);
void trial_reserve(struct trial *trial);
/* The change that reserved it is over: who waits goes on, and what the trial needs no more is freed. */
void trial_release(struct study *study, struct trial *trial);
/* Who is to be handed out first: the lowest of those that are open again, else the lowest enqueued one; or
 * NULL. */
struct trial *trial_next(struct study *study, bool with_enqueued);
/* Reserves what trial_next() has found. */
void trial_take(struct study *study, struct trial *trial);
