/* SPDX-License-Identifier: MIT */
/*
 * Samplers: pure functions of (spec with defaults, view of the history, trial number).
 *
 * A sampler object holds only what makes that fast, built on first use and bit-equal however it was grown;
 * dropping and making it again changes no suggestion. To add a sampler: one file with a `struct
 * sampler_kind`, one row in the table of sampler.c, its tests.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/sampler/history.h"
#include "proto/spec.h"

struct sampler;

/* Checks spec->sampler, completes it with the sampler's defaults and its "version". 0, or -1 with `problem`
 * (unknown type or key, a value out of range, more directions than it can serve). Loop thread. */
[[nodiscard]] int sampler_complete_spec(struct spec *spec, struct problem *problem);

/* For a completed spec, which must outlive it. Never NULL. */
[[nodiscard]] struct sampler *sampler_new(const struct spec *spec);
void sampler_free(struct sampler *sampler); /* NULL is fine */

/*
 * The parameters of trial `number`: params[n_params], each inside its distribution. One thread at a time for
 * one sampler; `view` must not be shorter than at its last call (a sampler grows with its study; make a new
 * one to go back).
 */
void sampler_suggest(struct sampler *sampler, const struct sampler_view *view, int64_t number,
                     double *params);

/* Bytes that its caches hold. */
size_t sampler_size_bytes(const struct sampler *sampler);
