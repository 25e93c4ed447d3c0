/* SPDX-License-Identifier: MIT */
/* The study room's world: its store's rows. */
#pragma once

#include "tests/unit/study_world.h"

struct row_study *rows_add_study(struct world *world, const char *name, size_t n_directions,
                                 const enum direction *directions);
struct row_trial *rows_add_trial(struct world *world, struct row_study *rows);
void rows_remove_study(struct world *world, struct row_study *rows);
/* Does what the record says, where the rows are as it expects them. `foreign` is owned by the caller then. */
enum store_result rows_apply(struct world *world, struct store_record *record);
/* Answers the first read. */
void rows_finish_read(struct world *world);
/* Gives the sink what the study holds. */
void rows_load_study(struct world *world, struct row_study *rows, const struct store_sink *sink);
/* Answers the look for studies that is under way. */
void rows_finish_find(struct world *world);
