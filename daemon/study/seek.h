/* SPDX-License-Identifier: MIT */
/* Studies that come and go in the database beside us (made, and deleted, by Optuna). */
#pragma once

#include "daemon/study/state.h"

void seek_init_timer(struct studies *studies);
/* Looks which studies there are where somebody wants to know, 2 s after the last time at the earliest. Called
 * at the end of a turn. */
void seek_watch(struct studies *studies);
/* studyd stops: there is no look any more, and nothing to wait for. */
void seek_stop(struct studies *studies);
/* Of a study without a stored spec: is what memory has of it too old to make a spec of it, or to say that
 * there is nothing to make one of? Then it is read anew, and its gate is shut until that is over. */
[[nodiscard]] bool seek_again(struct study *study);
/* May a study of this name, which the store has just brought, be taken in? `known` is the one that memory
 * has, to be filled anew, or NULL. */
bool seek_accepts(const struct studies *studies, const char *name, const struct study *known);
/* The study was read anew, or never will be: its gate opens. */
void seek_end_reading(struct study *study);
