/* SPDX-License-Identifier: MIT */
/* The running daemon: from settings to the process's exit code. */
#pragma once

#include "daemon/config.h"
#include "proto/problem.h"

/* 0 stopped as asked, 1 failed, 2 wrong settings, 3 the database refuses us. */
enum exit_code { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_SETTINGS = 2, EXIT_STORE = 3 };

/* Serves until it is stopped. `config` was read from `argc` and `argv`, which a reload reads again; it
 * changes then. */
[[nodiscard]] enum exit_code daemon_run(struct config *config, int argc, char **argv);
