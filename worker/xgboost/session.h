/* SPDX-License-Identifier: MIT */
/* The runner protocol's side of this program: trials in, reports and results out, until the input ends. */
#pragma once

#include "worker/xgboost/trainer.h"

/* Serves trials from `in_fd` one by one and answers on `out_fd`. The exit code: 0 when the input ended; 1
 * where the process should be replaced (it ran out of memory) or the other side does not keep to the
 * protocol. */
int session_serve(struct trainer *trainer, int in_fd, int out_fd);
