/* SPDX-License-Identifier: MIT */
/* The search space: parameters by name, and the values of all of them. */
#include "proto/space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "proto/require.h"

#define MAX_NAME_BYTES 255

static int check_name(const char *name, const char *path, struct problem *problem)
{
    size_t size = strlen(name);

    if (size < 1 || size > MAX_NAME_BYTES)
        return problem_set(problem, PROBLEM_INVALID, path,
                           "%s: a parameter's name has 1 to %d bytes, and this has %zu", path, MAX_NAME_BYTES,
                           size);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return problem_set(problem, PROBLEM_INVALID, path,
                               "%s: a parameter's name cannot hold control characters, and one holds \\x%02x",
                               path, (unsigned char)*c);
    return 0;
}

static int read_param(struct space_param *param, const char *name, json_t *json, const char *path,
                      struct problem *problem)
{
    char param_path[sizeof problem->field];

    if (check_name(name, path, problem))
        return -1;
    param->name = memory_strdup(name);
    param->name_hash = space_hash_name(name);
    json_path_join(param_path, sizeof param_path, path, name);
    return distribution_read(&param->distribution, json, param_path, problem);
}

struct space *space_read(json_t *json, const char *path, struct problem *problem)
{
    size_t n_params = json_object_size(json);
    const char *name;
    json_t *value;

    if (!json_is_object(json) || n_params < 1 || n_params > SPACE_MAX_PARAMS) {
        problem_set(
            problem, PROBLEM_INVALID, path,
            "%s: must be an object of 1 to %d parameters, such as {\"x\": {\"type\": \"float\", \"low\": 0, "
            "\"high\": 1}}",
            path, SPACE_MAX_PARAMS);
        return NULL;
    }

    struct space *space = memory_new(sizeof *space);

    space->params = memory_array(n_params, sizeof space->params[0]);
    json_object_foreach (json, name, value)
        if (read_param(&space->params[space->n_params++], name, value, path, problem)) {
            space_free(space);
            return NULL;
        }
    return space;
}

void space_free(struct space *space)
{
    if (!space)
        return;
    for (size_t i = 0; i < space->n_params; i++) {
        free(space->params[i].name);
        distribution_deinit(&space->params[i].distribution);
    }
    free(space->params);
    free(space);
}

json_t *space_to_json(const struct space *space)
{
    json_t *json = json_object();

    for (size_t i = 0; i < space->n_params; i++)
        json_object_set_new(json, space->params[i].name,
                            distribution_to_json(&space->params[i].distribution));
    return json;
}

ptrdiff_t space_find(const struct space *space, const char *name)
{
    uint64_t hash = space_hash_name(name);

    for (size_t i = 0; i < space->n_params; i++)
        if (space->params[i].name_hash == hash && strcmp(space->params[i].name, name) == 0)
            return (ptrdiff_t)i;
    return -1;
}

uint64_t space_hash_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
    return hash;
}

static int fail_unknown_param(const struct space *space, json_t *json, const char *path,
                              struct problem *problem)
{
    MEMORY_AUTO const char **names = memory_array(space->n_params + 1, sizeof names[0]);
    char param_path[sizeof problem->field];
    const char *name;
    json_t *value;

    for (size_t i = 0; i < space->n_params; i++)
        names[i] = space->params[i].name;
    json_object_foreach (json, name, value)
        if (space_find(space, name) < 0)
            break;
    require(name);

    const char *nearest = problem_nearest(name, names);

    json_path_join(param_path, sizeof param_path, path, name);
    return problem_set(problem, PROBLEM_INVALID, param_path,
                       "%s: the search space has no such parameter%s%s%s", param_path,
                       nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

int space_values_from_json(const struct space *space, json_t *json, const char *path, double *values,
                           struct problem *problem)
{
    size_t n_found = 0;

    if (!json_is_object(json))
        return problem_set(problem, PROBLEM_INVALID, path, "%s: must be an object of parameters and values",
                           path);
    for (size_t i = 0; i < space->n_params; i++) {
        json_t *value = json_object_get(json, space->params[i].name);
        char param_path[sizeof problem->field];

        values[i] = NAN;
        if (!value)
            continue;
        n_found++;
        json_path_join(param_path, sizeof param_path, path, space->params[i].name);
        if (distribution_value_from_json(&space->params[i].distribution, value, &values[i], param_path,
                                         problem))
            return -1;
    }
    return n_found == json_object_size(json) ? 0 : fail_unknown_param(space, json, path, problem);
}

void space_put_values(const struct space *space, const double *values, struct json_writer *writer)
{
    json_begin_object(writer);
    for (size_t i = 0; i < space->n_params; i++) {
        if (isnan(values[i]))
            continue;
        json_put_key(writer, space->params[i].name);
        distribution_put_value(&space->params[i].distribution, values[i], writer);
    }
    json_end_object(writer);
}
