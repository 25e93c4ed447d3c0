/* SPDX-License-Identifier: MIT */
/* The spec of a study that Optuna made: derived from its trials, or attached to them. */
#pragma once

#include "daemon/study/state.h"

/* A spec with this space (abbreviated JSON, may be empty) and the defaults; its seed is drawn later. Never
 * NULL. */
struct spec *spec_derive(const char *name, size_t n_directions, const enum direction *directions,
                         json_t *space);
/* Draws the seed, and completes the spec. Loop thread. */
void spec_settle_derived(struct studies *studies, struct spec *spec);

/* Can this spec take over the study's trials? 0, or -1 with `problem`. */
[[nodiscard]] int study_check_respace(const struct study *study, const struct spec *spec,
                                      struct problem *problem);
/* Takes the spec; all trials are seen in its space from now on. Nothing is being sampled. */
void study_respace(struct study *study, struct spec *spec);
