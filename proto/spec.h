/* SPDX-License-Identifier: MIT */
/* The study spec: what a study is, as its creator wrote it, with the defaults filled in. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/json_read.h"
#include "proto/space.h"

#define SPEC_MAX_BYTES 60000 /* as stored; Optuna's columns hold 65,535 */
#define SPEC_MAX_DIRECTIONS 32
#define SPEC_MAX_TRIALS INT32_MAX /* Optuna's trial ids are signed 32-bit integers */
#define SPEC_MIN_SECONDS 0.001
#define SPEC_MAX_SECONDS 1e9
#define SPEC_MAX_LEASE_S 86400.0
#define SPEC_DEFAULT_LEASE_S 60.0
#define SPEC_DEFAULT_RETRIES 2

enum direction { DIRECTION_MINIMIZE, DIRECTION_MAXIMIZE };
extern const char *const direction_names[]; /* "minimize", "maximize", NULL */

struct spec {
    char *name; /* 1 to 255 of A-Za-z0-9._- */
    size_t n_directions;
    enum direction directions[SPEC_MAX_DIRECTIONS];
    struct space *space;
    json_t *sampler; /* owned object, "type" always there; the sampler itself reads and completes the rest */
    uint64_t seed;   /* sampler.seed, 0 to 2^53-1; drawn where the creator gave none */
    bool seed_is_drawn;
    json_t *pruner;            /* owned object, "type" always there */
    int64_t max_trials;        /* -1: no limit */
    int64_t max_failed_trials; /* -1: no limit */
    double max_seconds;        /* -1: no limit */
    double trial_timeout_s;    /* of one attempt; -1: no limit */
    double lease_s;            /* 1 to SPEC_MAX_LEASE_S */
    unsigned retries;          /* 0 to 1,000 */
    char *runner;              /* objective.runner, or NULL where there is no objective */
    json_t *objective;         /* owned object, or NULL; all but `runner` is the runner's own */
};

/* Reads a spec. `drawn_seed` is taken where it has no seed. NULL with `problem` set where it is not valid. */
[[nodiscard]] struct spec *spec_read(json_t *json, uint64_t drawn_seed, struct problem *problem);
void spec_free(struct spec *spec); /* NULL is fine */
/* The whole spec with defaults. New reference. */
[[nodiscard]] json_t *spec_to_json(const struct spec *spec);
/* Equal in everything that is stored; a drawn seed on either side equals any. */
bool spec_equal(const struct spec *a, const struct spec *b);
/* A name that we create: 1 to 255 of A-Za-z0-9._-, not "." or "..". 0, or -1 with `problem` at `field`. */
[[nodiscard]] int spec_check_name(const char *name, const char *field, struct problem *problem);
/* The "type" of a sampler or pruner (`what`): its index in `names`, or -1 with the reader's problem, which
 * says where a name is one of `lacking`: Optuna's, and not in this version. Both lists are NULL-terminated.
 */
[[nodiscard]] int spec_read_type(struct json_reader *reader, const char *what, const char *const *names,
                                 const char *const *lacking);
/* The seed handed to the runner for this trial number: the same whatever the attempt; 0 to 2^31-1. */
uint32_t spec_trial_seed(const struct spec *spec, int64_t number);
