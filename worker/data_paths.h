/* SPDX-License-Identifier: MIT */
/*
 * Which file a study's `objective.data` is on this machine.
 *
 * A text without a slash is a NAME that the worker's owner gave a path (--data NAME=PATH). Any other is a
 * path: a file or directory below one of the directories that the owner listed (--data-dir) when all symbolic
 * links are followed. Where none are listed no path is taken: whoever can create a study could have any file
 * of the worker's read.
 */
#pragma once

#include <stddef.h>

#include "proto/options.h"
#include "proto/problem.h"

struct data_paths {
    size_t n_names;
    char **names, **paths; /* owned, [n_names]; the paths as given */
    size_t n_dirs;
    char **dirs; /* owned; absolute, links followed */
};

/* 0, or -1 with `problem` for an item that is not NAME=PATH, a file that cannot be read or a directory
 * that is not there. */
[[nodiscard]] int data_paths_read(struct data_paths *paths, const struct option_list *names,
                                  const struct option_list *dirs, struct problem *problem);
/* The absolute path (free() it), or NULL with `problem`. */
[[nodiscard]] char *data_paths_resolve(const struct data_paths *paths, const char *data,
                                       struct problem *problem);
void data_paths_deinit(struct data_paths *paths);
