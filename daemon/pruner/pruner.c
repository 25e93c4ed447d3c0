/* SPDX-License-Identifier: MIT */
/* The table of pruners: choosing one by the spec's name, and asking it. */
#include "daemon/pruner/pruner.h"

#include <string.h>

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
static const char *const lacking_types[] = {"hyperband",          "median",    "patient",  "percentile",
                                            "successive_halving", "threshold", "wilcoxon", NULL};

static const struct pruner_kind *find_kind(const char *type)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

int pruner_complete_spec(struct spec *spec, struct problem *problem)
{
    const char *names[N_KINDS + 1] = {};
    struct json_reader reader;

    for (size_t i = 0; i < N_KINDS; i++)
        names[i] = kinds[i].type;
    json_reader_open(&reader, spec->pruner, "pruner", problem);
    if (spec_read_type(&reader, "pruner", names, lacking_types) < 0)
        return -1;
    return json_reader_close(&reader);
}

bool pruner_should_prune(const struct spec *spec, const struct report_point *points, size_t n_points)
{
    const struct pruner_kind *kind = find_kind(json_string_value(json_object_get(spec->pruner, "type")));

    require(kind);
    return kind->should_prune(spec, points, n_points);
}
