/* SPDX-License-Identifier: MIT */
/* The table of pruners: choosing one by the spec's name, and asking it. */
#include "daemon/pruner/pruner.h"

#include <string.h>

#include "proto/json_read.h"
#include "proto/require.h"

struct pruner_kind {
    const char *type;
    bool (*should_prune)(const struct spec *spec, const struct report_point *points, size_t n_points);
};

static bool never(const struct spec *, const struct report_point *, size_t)
{
    return false;
}

static const struct pruner_kind kinds[] = {{"nop", never}};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

/* Pruners that Optuna has and this version has not. */
static const char *const lacking_types[] = {"hyperband",          "median",    "patient", "percentile",
                                            "successive_halving", "threshold", "wilcoxon"};
#define N_LACKING (sizeof lacking_types / sizeof lacking_types[0])

static const struct pruner_kind *find_kind(const char *type)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

static int fail_unknown_type(struct json_reader *reader, const char *type)
{
    const char *names[N_KINDS + N_LACKING + 1] = {};

    for (size_t i = 0; i < N_KINDS; i++)
        names[i] = kinds[i].type;
    for (size_t i = 0; i < N_LACKING; i++) {
        names[N_KINDS + i] = lacking_types[i];
        if (strcmp(lacking_types[i], type) == 0)
            return json_read_fail(reader, "type",
                                  "the pruner \"%s\" is not supported by this version; use nop", type);
    }

    const char *nearest = problem_nearest(type, names);

    return json_read_fail(reader, "type", "there is no pruner \"%.64s\"%s%s%s; this version has nop", type,
                          nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

int pruner_complete_spec(struct spec *spec, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, spec->pruner, "pruner", problem);

    const char *type = json_read_required_string(&reader, "type");

    if (!reader.has_failed && !find_kind(type))
        return fail_unknown_type(&reader, type);
    return json_reader_close(&reader);
}

bool pruner_should_prune(const struct spec *spec, const struct report_point *points, size_t n_points)
{
    const struct pruner_kind *kind = find_kind(json_string_value(json_object_get(spec->pruner, "type")));

    require(kind);
    return kind->should_prune(spec, points, n_points);
}
