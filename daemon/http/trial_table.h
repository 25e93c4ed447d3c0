/* SPDX-License-Identifier: MIT */
/* All trials of a study as one CSV table, however many there are. */
#pragma once

#include "daemon/http/request.h"

/* Those whose state's bit (1 << state) is in `states`, in the order of their numbers. */
void trial_table_answer(struct request *request, struct study *study, unsigned states);
