/* SPDX-License-Identifier: MIT */
/* Asks: who waits for a trial, and who gets the next one. */
#pragma once

#include "daemon/study/state.h"

/* Gives what there is to those who wait, in order of arrival. Called at the end of a turn. */
void asks_serve(struct study *study);
/* Answers those who wait for this study, where its state leaves nothing to wait for. */
void asks_answer_state(struct study *study);
/* The same, with a problem: the study is deleted, its spec cannot be stored. */
void asks_fail(struct study *study, const struct problem *problem);
/* The asks of all studies: answers those that have nothing left to wait for. */
void asks_answer_all(struct studies *studies);
/* studyd stops. */
void asks_stop(struct studies *studies);
/* Does anybody wait for a trial of this study? */
bool asks_are_waiting(const struct study *study);
