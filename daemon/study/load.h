/* SPDX-License-Identifier: MIT */
/* Filling memory with what the database holds: before the first call, and when studies appear later. */
#pragma once

#include "daemon/study/state.h"

/* Loop thread, when it is loaded: draws what is random, starts leases and clocks. */
void load_finish(struct study *study);
