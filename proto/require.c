/* SPDX-License-Identifier: MIT */
/* Ends the process at a broken invariant, after one log line that names it. */
#include "proto/require.h"

#include <stdlib.h>

#include "proto/log.h"

void require_failed(const char *condition, const char *file, int line)
{
    log_error("broken invariant, aborting: condition=\"%s\" at=%s:%d", condition, file, line);
    abort();
}
