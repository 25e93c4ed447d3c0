/* SPDX-License-Identifier: MIT */
/* A trial's reports: kept in memory, stored behind the answer. */
#pragma once

#include "daemon/study/state.h"

/* Queues what is reported and not yet on its way to the database. 0, or -1 where the store does not take it
 * now. */
[[nodiscard]] int report_flush(struct study *study, struct trial *trial);
/* Takes over the reports that the database has. */
void report_load(struct trial *trial, const struct report_point *points, size_t n_points);
