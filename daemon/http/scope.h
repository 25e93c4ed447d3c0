/* SPDX-License-Identifier: MIT */
/* The studies that a token is held to: "wine,exp-*" names one, and all that begin with "exp-". */
#pragma once

#include <stdbool.h>

#include "proto/problem.h"

struct scope;

/* NULL with `problem` (of the field "token_file") where an item is empty, or holds a blank or a '*' that is
 * not its end. */
[[nodiscard]] struct scope *scope_read(const char *text, struct problem *problem);
void scope_free(struct scope *scope); /* NULL is fine */
bool scope_has(const struct scope *scope, const char *study);
/* As it was read. */
const char *scope_text(const struct scope *scope);
