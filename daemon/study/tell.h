/* SPDX-License-Identifier: MIT */
/* What becomes of a trial: told by its worker, or lost. */
#pragma once

#include "daemon/study/state.h"

/* Fails a LAPSED trial whose retries are spent. Nothing happens where the store takes no change now. */
void tell_lost(struct study *study, struct trial *trial);
/* The row was not as memory had it: memory follows the row that came back, or that is gone. */
void tell_conflict(struct study *study, struct trial *trial, const struct store_record *record);
