/* SPDX-License-Identifier: MIT */
/* Which runners this worker has: a study names one, the worker's owner says which command that is. */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "proto/options.h"
#include "proto/problem.h"
#include "worker/command.h"

#define RUNNER_TABLE_MOST 100 /* as many as one ask may name */

struct runner_entry {
    char *name; /* owned */
    struct command command;
};
struct runner_table {
    size_t n_entries;
    struct runner_entry *entries; /* owned; they stay where they are once the table is read */
};

/* Adds a runner, or replaces the one of that name. Takes the command. */
void runner_table_set(struct runner_table *table, const char *name, size_t name_length,
                      struct command *command);
/* Reads "NAME=COMMAND" items on top of what is there. 0, or -1 with `problem`. */
[[nodiscard]] int runner_table_read(struct runner_table *table, const struct option_list *items,
                                    struct problem *problem);
/* NULL where there is none. */
const struct runner_entry *runner_table_find(const struct runner_table *table, const char *name);
/* ["quadratic", "xgboost"]; new reference. */
[[nodiscard]] json_t *runner_table_names(const struct runner_table *table);
void runner_table_deinit(struct runner_table *table);
