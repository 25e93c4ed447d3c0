/* SPDX-License-Identifier: MIT */
/* What one kind of sampler implements; only files of this folder include it. */
#pragma once

#include "daemon/sampler/sampler.h"
#include "proto/json_read.h"

struct sampler_kind {
    const char *type; /* the spec's name */
    int version;      /* raised by any change of any bit of a suggestion; stored in the spec */
    /* Optuna's options of this sampler that we do not have, NULL-terminated; or NULL. They get an error that
     * says so. */
    const char *const *lacking_options;
    /* Reads its own options (all but type, seed, version) and writes their defaults into spec->sampler.
     * Errors stick to the reader. */
    void (*complete_options)(struct spec *spec, struct json_reader *reader);
    void *(*state_new)(const struct spec *spec);
    void (*state_free)(void *state);
    void (*suggest)(void *state, const struct sampler_view *view, int64_t number, double *params);
    size_t (*size_bytes)(const void *state);
};

extern const struct sampler_kind sampler_random;
extern const struct sampler_kind sampler_tpe;

/* One parameter drawn as Optuna's RandomSampler does, for random start-up trials. */
double random_suggest_param(const struct space_param *param, uint64_t seed, int64_t number);
