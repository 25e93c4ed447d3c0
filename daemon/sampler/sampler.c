/* SPDX-License-Identifier: MIT */
/* The table of samplers: choosing one by the spec's name, and calling it. */
#include "daemon/sampler/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/sampler_kind.h"
#include "proto/memory.h"
#include "proto/require.h"

static const struct sampler_kind *const kinds[] = {&sampler_tpe, &sampler_random};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

/* Samplers that Optuna has and this version has not. */
static const char *const lacking_types[] = {"brute_force", "cmaes",         "gp",  "grid", "nsgaii",
                                            "nsgaiii",     "partial_fixed", "qmc", NULL};

struct sampler {
    const struct sampler_kind *kind;
    void *state;
};

static const struct sampler_kind *find_kind(const char *type)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i]->type, type) == 0)
            return kinds[i];
    return NULL;
}

static bool is_in(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static const struct sampler_kind *read_kind(struct json_reader *reader)
{
    const char *names[N_KINDS + 1] = {};

    for (size_t i = 0; i < N_KINDS; i++)
        names[i] = kinds[i]->type;

    int found = spec_read_type(reader, "sampler", names, lacking_types);

    return found < 0 ? NULL : kinds[found];
}

static void check_options(const struct sampler_kind *kind, const struct spec *spec,
                          struct json_reader *reader)
{
    const char *key;
    json_t *value;

    json_object_foreach (spec->sampler, key, value)
        if (is_in(kind->lacking_options, key)) {
            json_read_fail(reader, key,
                           "Optuna's option \"%s\" is not supported by this version; leave it out", key);
            return;
        }
    if (json_read_int(reader, "version", 1, INT32_MAX, kind->version) != kind->version)
        json_read_fail(reader, "version", "this studyd has version %d of the sampler %s", kind->version,
                       kind->type);
}

int sampler_complete_spec(struct spec *spec, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, spec->sampler, "sampler", problem);

    const struct sampler_kind *kind = read_kind(&reader);

    if (!kind)
        return -1;
    json_read_any(&reader, "seed"); /* read with the spec */
    check_options(kind, spec, &reader);
    kind->complete_options(spec, &reader);
    if (json_reader_close(&reader))
        return -1;
    json_object_set_new(spec->sampler, "version", json_integer(kind->version));
    return 0;
}

struct sampler *sampler_new(const struct spec *spec)
{
    struct sampler *sampler = memory_new(sizeof *sampler);

    sampler->kind = find_kind(json_string_value(json_object_get(spec->sampler, "type")));
    require(sampler->kind);
    sampler->state = sampler->kind->state_new(spec);
    return sampler;
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    sampler->kind->state_free(sampler->state);
    free(sampler);
}

void sampler_suggest(struct sampler *sampler, const struct sampler_view *view, int64_t number, double *params)
{
    sampler->kind->suggest(sampler->state, view, number, params);
}

size_t sampler_size_bytes(const struct sampler *sampler)
{
    return sizeof *sampler + sampler->kind->size_bytes(sampler->state);
}
