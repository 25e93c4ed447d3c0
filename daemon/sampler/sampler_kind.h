/* SPDX-License-Identifier: MIT */
/* What one kind of sampler implements; only files of this folder include it. */
#pragma once

#include "daemon/sampler/sampler.h"

struct sampler_kind {
    const char *type; /* the spec's name */
    int version;      /* raised by any change of any bit of a suggestion; stored in the spec */
    /* Reads options from spec->sampler and writes the defaults into it. 0, or -1 with `problem`. */
    int (*complete_spec)(struct spec *spec, struct problem *problem);
    void *(*state_new)(const struct spec *spec);
    void (*state_free)(void *state);
    void (*suggest)(void *state, const struct sampler_view *view, int64_t number, double *params);
    size_t (*size_bytes)(const void *state);
};

extern const struct sampler_kind sampler_random;
extern const struct sampler_kind sampler_tpe;
