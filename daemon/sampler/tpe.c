/* SPDX-License-Identifier: MIT */
/* The TPE sampler: its options, and the way of a suggestion. */
#include <stdlib.h>

#include "daemon/sampler/sampler_kind.h"
#include "proto/memory.h"

/* Options of Optuna's TPESampler that only its Python objects or deprecated heuristics can fill. */
static const char *const lacking_options[] = {"consider_endpoints",
                                              "consider_magic_clip",
                                              "consider_prior",
                                              "constraints_func",
                                              "gamma",
                                              "group",
                                              "weights",
                                              "warn_independent_sampling",
                                              NULL};

struct tpe {
    const struct spec *spec;
};

static void tpe_complete_options(struct spec *spec, struct json_reader *reader)
{
    json_t *options = spec->sampler;

    if (spec->n_directions > 1)
        json_read_fail(reader, "type",
                       "tpe serves one objective in this version, and the study has %zu; use "
                       "{\"type\": \"random\"}",
                       spec->n_directions);
    json_object_set_new(options, "n_startup_trials",
                        json_integer(json_read_int(reader, "n_startup_trials", 0, INT32_MAX, 10)));
    json_object_set_new(options, "n_ei_candidates",
                        json_integer(json_read_int(reader, "n_ei_candidates", 1, 10000, 24)));
    json_object_set_new(options, "prior_weight",
                        json_real(json_read_number(reader, "prior_weight", 1e-9, 1e9, 1.0)));
    json_object_set_new(options, "multivariate", json_boolean(json_read_bool(reader, "multivariate", true)));
    json_object_set_new(options, "constant_liar",
                        json_boolean(json_read_bool(reader, "constant_liar", true)));
}

static void *tpe_new(const struct spec *spec)
{
    struct tpe *tpe = memory_new(sizeof *tpe);

    tpe->spec = spec;
    return tpe;
}

static void tpe_suggest(void *state, const struct sampler_view *, int64_t number, double *params)
{
    const struct tpe *tpe = state;

    for (size_t i = 0; i < tpe->spec->space->n_params; i++)
        params[i] = random_suggest_param(&tpe->spec->space->params[i], tpe->spec->seed, number);
}

static size_t tpe_size_bytes(const void *)
{
    return sizeof(struct tpe);
}

const struct sampler_kind sampler_tpe = {.type = "tpe",
                                         .version = 1,
                                         .lacking_options = lacking_options,
                                         .complete_options = tpe_complete_options,
                                         .state_new = tpe_new,
                                         .state_free = free,
                                         .suggest = tpe_suggest,
                                         .size_bytes = tpe_size_bytes};
