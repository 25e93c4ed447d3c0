/* SPDX-License-Identifier: MIT */
/*
 * A command line as words, without a shell.
 *
 * Words are separated by blanks. Within '…' everything is itself; within "…" too, but for \" and \\;
 * elsewhere a backslash makes the next character itself. There are no variables, wildcards, pipes or
 * redirections: who wants them names a shell: sh -c "…".
 */
#pragma once

#include <stddef.h>

#include "proto/problem.h"

/* A zeroed struct is no command. */
struct command {
    size_t n_words;
    char **words; /* owned, NULL behind the last */
};

/* 0, or -1 with `problem` for an open quote, a backslash at the end, or no word at all. */
[[nodiscard]] int command_read(struct command *command, const char *text, struct problem *problem);
void command_add(struct command *command, const char *word);
void command_deinit(struct command *command);
