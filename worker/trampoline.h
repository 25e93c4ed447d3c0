/* SPDX-License-Identifier: MIT */
/* What a runner's process does before it becomes the runner: `study-worker --exec PROGRAM [ARGUMENT]…`. */
#pragma once

#define TRAMPOLINE_OPTION "--exec"
#define TRAMPOLINE_PARENT "STUDY_WORKER_PID" /* environment: the supervisor's process id */

/* Ties this process to the supervisor (it is killed when the supervisor ends, however that happens), closes
 * what it inherited, and executes `words` (NULL-terminated). Returns only on failure, with an exit code as a
 * shell's: 127 where there is no such program, else 126. */
[[nodiscard]] int trampoline_exec(char **words);
