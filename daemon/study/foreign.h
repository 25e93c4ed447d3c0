/* SPDX-License-Identifier: MIT */
/* What other programs (Optuna) do to our studies, taken into memory. */
#pragma once

#include "daemon/study/state.h"

/* A row as it is in the database now: a trial that is new here, or that was changed from outside. */
void foreign_take_in(struct study *study, const struct store_trial *row);
/* Those that came along with a change; trials that are reserved here are left to their own change. */
void foreign_take_in_all(struct study *study, const struct store_trial *rows, size_t n_rows);
/* Looks, every 2 s at most, for what Optuna has done, while somebody waits for a trial or reads. Called at
 * the end of a turn. */
void foreign_watch(struct study *study);
void foreign_init_timer(struct study *study);
