/* SPDX-License-Identifier: MIT */
/* A study's own course: its state, its budgets, its stored spec, its end. */
#pragma once

#include "daemon/study/state.h"

struct op;

/* The first ask starts the clock of max_seconds; nothing happens at later ones. */
void control_start_clock(struct study *study);
void control_init_timer(struct study *study);
/* Sets the timer of max_seconds anew: the budget changed, or the study was loaded. */
void control_set_clock(struct study *study);
/* Does max_seconds leave time to start another trial? */
bool control_is_in_time(const struct study *study);
/* Are there parameters to sample? Not where Optuna has just made the study. */
bool control_has_space(const struct study *study);
/* 0, or -1 with `problem` where nothing can be sampled in this study. */
[[nodiscard]] int control_check_usable(const struct study *study, struct problem *problem);
/* Finishes the study where its budgets are used up and nothing is open, stops it where too many trials have
 * failed. Called at the end of a turn. */
void control_check_end(struct study *study);
/* Stores the derived spec of a study that Optuna made, before anything is sampled from it. Shuts the study's
 * gate; nothing happens where it is shut already, or the store takes no change. */
void control_store_spec(struct study *study);
/* The study is no longer in the database, as the log says with `why`: nothing of it can be reached any more.
 */
void control_vanished(struct study *study, const char *why);
/* What a study stores of its spec. Free it. */
char *control_spec_json(const struct spec *spec);
/* For an op that changes a study: the state and reason as they are; shuts the gate. 0, or -1 where it was
 * answered. */
[[nodiscard]] int control_submit(struct op *op, enum store_change change, void (*settled)(void *op));
