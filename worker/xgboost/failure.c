/* SPDX-License-Identifier: MIT */
/* Formats the reason of a failed trial. */
#include "worker/xgboost/failure.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(struct failure *failure, enum trial_failure kind, const char *format, ...)
{
    if (failure->is_set)
        return -1;
    failure->is_set = true;
    failure->kind = kind;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure->reason, sizeof failure->reason, format, arguments);
    va_end(arguments);
    return -1;
}
