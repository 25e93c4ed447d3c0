/* SPDX-License-Identifier: MIT */
/* The tables: Optuna's, exactly as Optuna makes them, and our own studyd_*. */
#pragma once

#include "daemon/store/sql.h"
#include "proto/buffer.h"

/* Creates what is missing; adopts what Optuna made. A database of another version, or one that is not
 * Optuna's, fails with SQL_FATAL and words that say what to do. */
void schema_ensure(struct sql *sql);

/* The statements that make an empty MySQL database what schema_ensure() makes it. */
void schema_put(struct buffer *out);
