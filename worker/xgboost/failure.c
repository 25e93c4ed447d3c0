/* SPDX-License-Identifier: MIT */
/* Formats the reason of a failed trial. */
#include "worker/xgboost/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut may end in the middle of a character, and would be no UTF-8. */
static void drop_cut_character(char *text)
{
    size_t size = strlen(text), begin = size;
    while (begin > 0 && ((unsigned char)text[begin - 1] & 0xc0) == 0x80)
        begin--;
    if (begin > 0 && (unsigned char)text[begin - 1] >= 0xc0)
        text[begin - 1] = '\0';
}

int failure_set(struct failure *failure, enum trial_failure kind, const char *format, ...)
{
    if (failure->is_set)
        return -1;
    failure->is_set = true;
    failure->kind = kind;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(failure->reason, sizeof failure->reason, format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof failure->reason)
        drop_cut_character(failure->reason);
    return -1;
}
