/* SPDX-License-Identifier: MIT */
/* Suggestions on the sampler pool, at most one job of a study at a time. */
#pragma once

#include "daemon/study/state.h"

/* Samples the study's train; drafts_sampled() follows. */
void sampling_start(struct study *study);
void sampling_init_timer(struct study *study);
