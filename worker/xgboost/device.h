/* SPDX-License-Identifier: MIT */
/* Where a trial trains, and that it really does: XGBoost itself falls back to the CPU without an error. */
#pragma once

#include <stdbool.h>

#include "worker/xgboost/failure.h"
#include "worker/xgboost/parameters.h"
#include "worker/xgboost/xgboost_library.h"

struct device {
    bool is_cuda;
    int ordinal; /* among the GPUs that this process sees */
};

/* Takes the device out of the parameters (`device`, `gpu_id`, `tree_method: gpu_hist`); where they say
 * nothing it is the slot's, "cpu" or "cuda:N". 0, or -1 with `failure` where it is not understood. */
[[nodiscard]] int device_choose(struct device *device, struct parameters *parameters, const char *slot,
                                struct failure *failure);

/* 0, or -1 with `failure` where this library, this machine or its driver cannot train there. */
[[nodiscard]] int device_check(const struct device *device, const struct xgboost_library *library,
                               struct failure *failure);

/* Adds the parameters by which this version of the library is told the device. */
void device_apply(const struct device *device, const struct xgboost_library *library,
                  struct parameters *parameters);

/* After the first round: 0, or -1 with `failure` where the booster trains somewhere else. */
[[nodiscard]] int device_verify(const struct device *device, const struct xgboost_library *library,
                                xgboost_booster booster, struct failure *failure);
