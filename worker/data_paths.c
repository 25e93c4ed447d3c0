/* SPDX-License-Identifier: MIT */
/* Turns what a study calls its data into a path that this worker's owner allows. */
#include "worker/data_paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/memory.h"

/* A path that is wrong ends the worker at its start, not at its first trial. */
static int read_name(struct data_paths *paths, const char *item, struct problem *problem)
{
    const char *equals = strchr(item, '=');

    if (!equals || equals == item || !equals[1] || memchr(item, '/', (size_t)(equals - item)))
        return problem_set(
            problem, PROBLEM_INVALID, "",
            "data is NAME=PATH, the name without a slash, as in wine=/data/wine.csv, and this is \"%s\"",
            item);
    if (access(equals + 1, R_OK) < 0)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "data %.200s: %s; give --data the path of a file that can be read here", item,
                           strerror(errno));
    paths->names[paths->n_names] = memory_strndup(item, (size_t)(equals - item));
    paths->paths[paths->n_names++] = memory_strdup(equals + 1);
    return 0;
}

int data_paths_read(struct data_paths *paths, const struct option_list *names, const struct option_list *dirs,
                    struct problem *problem)
{
    *paths = (struct data_paths){.names = memory_array(names->n_items + 1, sizeof paths->names[0]),
                                 .paths = memory_array(names->n_items + 1, sizeof paths->paths[0]),
                                 .dirs = memory_array(dirs->n_items + 1, sizeof paths->dirs[0])};
    for (size_t i = 0; i < names->n_items; i++)
        if (read_name(paths, names->items[i], problem))
            return -1;
    for (size_t i = 0; i < dirs->n_items; i++) {
        char *dir = realpath(dirs->items[i], NULL);

        if (!dir)
            return problem_set(problem, PROBLEM_INVALID, "", "data_dir %s: %s", dirs->items[i],
                               strerror(errno));
        paths->dirs[paths->n_dirs++] = dir;
    }
    return 0;
}

static const char *find_name(const struct data_paths *paths, const char *data, struct problem *problem)
{
    BUFFER_AUTO struct buffer known = {};

    for (size_t i = 0; i < paths->n_names; i++) {
        if (strcmp(paths->names[i], data) == 0)
            return paths->paths[i];
        buffer_printf(&known, "%s%s", i > 0 ? ", " : "", paths->names[i]);
    }
    problem_set(problem, PROBLEM_INVALID, "",
                "this worker has no data called \"%.80s\" (it has: %s); start it with --data %.80s=PATH",
                data, known.size ? buffer_text(&known) : "none", data);
    return NULL;
}

static bool is_below(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return true;
    return strncmp(path, dir, length) == 0 && path[length] == '/';
}

static bool is_allowed(const struct data_paths *paths, const char *path)
{
    struct stat status;
    bool is_allowed = false;

    /* A runner may wait for ever for a FIFO, or read a device that does something then. */
    if (stat(path, &status) < 0 || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return false;
    for (size_t i = 0; i < paths->n_dirs; i++)
        is_allowed |= is_below(path, paths->dirs[i]);
    return is_allowed;
}

/* One answer for what is missing and what is out of bounds: a study is no way to look around a disk. */
static char *resolve_path(const struct data_paths *paths, const char *data, struct problem *problem)
{
    char *path = paths->n_dirs ? realpath(data, NULL) : NULL;

    if (path && is_allowed(paths, path))
        return path;
    free(path);
    if (paths->n_dirs)
        problem_set(
            problem, PROBLEM_INVALID, "",
            "data %.200s: no such file below the directories that this worker may read (its --data-dir)",
            data);
    else
        problem_set(
            problem, PROBLEM_INVALID, "",
            "data %.200s: this worker takes names only; start it with --data NAME=PATH, or, for paths "
            "in studies, with the --data-dir that they lie below",
            data);
    return NULL;
}

char *data_paths_resolve(const struct data_paths *paths, const char *data, struct problem *problem)
{
    if (strchr(data, '/'))
        return resolve_path(paths, data, problem);

    const char *named = find_name(paths, data, problem);
    char *path = named ? realpath(named, NULL) : NULL;

    if (named && !path)
        problem_set(problem, PROBLEM_INVALID, "",
                    "data %.200s: %s; it was there when this worker was started with --data %.80s", named,
                    strerror(errno), data);
    return path;
}

static void free_all(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

void data_paths_deinit(struct data_paths *paths)
{
    free_all(paths->names, paths->n_names);
    free_all(paths->paths, paths->n_names);
    free_all(paths->dirs, paths->n_dirs);
    *paths = (struct data_paths){};
}
