/* SPDX-License-Identifier: MIT */
/* The one shape of a trial, everywhere in the API. */
#pragma once

#include "daemon/study/study.h"
#include "proto/json_write.h"

void trial_put_json(const struct spec *spec, const struct trial_view *view,
                    const struct store_cold_trial *cold, struct json_writer *writer);
/* What says why: the failure's class and reason ("oom: CUDA out of memory"), one of them, or NULL. Owned by
 * the caller. */
[[nodiscard]] char *trial_reason(const struct store_cold_trial *cold);
/* The external parameters as an object. */
void trial_put_params(const struct spec *spec, const struct trial_view *view,
                      const struct store_cold_trial *cold, struct json_writer *writer);
