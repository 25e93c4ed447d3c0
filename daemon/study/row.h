/* SPDX-License-Identifier: MIT */
/* Trials as the database has them, put into memory. */
#pragma once

#include "daemon/sampler/history.h"
#include "daemon/study/state.h"

/* A new trial with all that its row says, ABSENT still: counts, lists and history come with the move to
 * row_stage(). */
struct trial *row_make(struct study *study, const struct store_trial *row);
/* Takes over the row's parameters, values and times. */
void row_update(struct study *study, struct trial *trial, const struct store_trial *row);
enum trial_stage row_stage(const struct store_trial *row);
/* What the history needs of a finished row beside parameters and values. */
struct history_trial row_finished(const struct store_trial *row);
