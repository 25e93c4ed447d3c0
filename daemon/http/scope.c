/* SPDX-License-Identifier: MIT */
/* Reads a list of studies, and finds names in it. */
#include "daemon/http/scope.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

struct scope {
    char *text;
};

static bool is_item(const char *item, size_t length)
{
    const char *star = memchr(item, '*', length);

    return length > 0 && (!star || star == item + length - 1);
}

static bool is_list(const char *text)
{
    for (size_t length;; text += length + 1) {
        length = strcspn(text, ",");
        if (!is_item(text, length))
            return false;
        if (!text[length])
            return true;
    }
}

struct scope *scope_read(const char *text, struct problem *problem)
{
    if (strpbrk(text, " \t\r\n") || !is_list(text)) {
        problem_set(problem, PROBLEM_INVALID, "token_file",
                    "\"%.80s\" is no list of studies; one is wine,exp-* : names, or how names begin and a *, "
                    "with commas and no blanks (a name that holds one is meant by what stands before it and "
                    "a *)",
                    text);
        return NULL;
    }

    struct scope *scope = memory_new(sizeof *scope);

    scope->text = memory_strdup(text);
    return scope;
}

void scope_free(struct scope *scope)
{
    if (!scope)
        return;
    free(scope->text);
    free(scope);
}

bool scope_has(const struct scope *scope, const char *study)
{
    for (const char *item = scope->text;; item++) {
        size_t length = strcspn(item, ",");
        bool is_prefix = item[length - 1] == '*';

        if (is_prefix ? strncmp(item, study, length - 1) == 0
                      : strncmp(item, study, length) == 0 && !study[length])
            return true;
        item += length;
        if (!*item)
            return false;
    }
}

const char *scope_text(const struct scope *scope)
{
    return scope->text;
}
