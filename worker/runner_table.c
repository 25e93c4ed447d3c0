/* SPDX-License-Identifier: MIT */
/* The table of runners' names and commands. */
#include "worker/runner_table.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

static struct runner_entry *find(const struct runner_table *table, const char *name, size_t length)
{
    for (size_t i = 0; i < table->n_entries; i++)
        if (strlen(table->entries[i].name) == length && memcmp(table->entries[i].name, name, length) == 0)
            return &table->entries[i];
    return NULL;
}

void runner_table_set(struct runner_table *table, const char *name, size_t name_length,
                      struct command *command)
{
    struct runner_entry *entry = find(table, name, name_length);

    if (!entry) {
        table->entries = memory_resize(table->entries, table->n_entries + 1, sizeof table->entries[0]);
        entry = &table->entries[table->n_entries++];
        *entry = (struct runner_entry){.name = memory_strndup(name, name_length)};
    }
    command_deinit(&entry->command);
    entry->command = *command;
    *command = (struct command){};
}

int runner_table_read(struct runner_table *table, const struct option_list *items, struct problem *problem)
{
    for (size_t i = 0; i < items->n_items; i++) {
        const char *item = items->items[i], *equals = strchr(item, '=');
        struct problem reason = {};
        struct command command;

        if (!equals || equals == item)
            return problem_set(
                problem, PROBLEM_INVALID, "",
                "a runner is NAME=COMMAND, as in quadratic=\"python3 quadratic.py\", and this is \"%s\"",
                item);
        if (command_read(&command, equals + 1, &reason)) {
            command_deinit(&command);
            return problem_set(problem, PROBLEM_INVALID, "", "runner %.*s: %s", (int)(equals - item), item,
                               reason.detail);
        }
        runner_table_set(table, item, (size_t)(equals - item), &command);
    }
    if (table->n_entries > RUNNER_TABLE_MOST)
        return problem_set(problem, PROBLEM_INVALID, "", "there are %zu runners; %d are the limit",
                           table->n_entries, RUNNER_TABLE_MOST);
    return 0;
}

const struct runner_entry *runner_table_find(const struct runner_table *table, const char *name)
{
    return find(table, name, strlen(name));
}

json_t *runner_table_names(const struct runner_table *table)
{
    json_t *names = json_array();

    for (size_t i = 0; i < table->n_entries; i++)
        json_array_append_new(names, json_string(table->entries[i].name));
    return names;
}

void runner_table_deinit(struct runner_table *table)
{
    for (size_t i = 0; i < table->n_entries; i++) {
        free(table->entries[i].name);
        command_deinit(&table->entries[i].command);
    }
    free(table->entries);
    *table = (struct runner_table){};
}
