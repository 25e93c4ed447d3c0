/* SPDX-License-Identifier: MIT */
/* Trials as rows of a table (RFC 4180): one column a parameter, one a value. */
#pragma once

#include "daemon/study/study.h"
#include "proto/buffer.h"

#define TRIAL_CSV_TYPE "text/csv; charset=utf-8; header=present"

void trial_csv_put_head(const struct spec *spec, struct buffer *out);
void trial_csv_put(const struct spec *spec, const struct trial_view *view,
                   const struct store_cold_trial *cold, struct buffer *out);
