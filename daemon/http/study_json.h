/* SPDX-License-Identifier: MIT */
/* A study as its own page shows it, and as a row of the list. */
#pragma once

#include "daemon/study/study.h"
#include "proto/json_write.h"

void study_put_json(const struct study *study, struct json_writer *writer);
void study_put_summary(const struct study *study, struct json_writer *writer);
