/* SPDX-License-Identifier: MIT */
/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011).
 *
 * A draw is a function of its coordinates, so there is no generator whose state must be saved, and
 * parameters, trials and threads cannot disturb each other's draws.
 */
#pragma once

#include <stdint.h>

/* What a draw is for. The numbers are part of every suggestion: never change one, add at the end. */
enum draw_purpose {
    DRAW_RANDOM = 1,      /* the random sampler, and start-up trials */
    DRAW_TPE_KERNEL = 2,  /* which kernel of the good trials a candidate comes from */
    DRAW_TPE_QUANTILE = 3 /* where inside that kernel */
};

struct draw_key {
    uint64_t seed;      /* the study's */
    int64_t number;     /* of the trial, 0 to 2^32-1 */
    uint64_t name_hash; /* of the parameter, 0 for what all parameters share */
    enum draw_purpose purpose;
};

/* The n-th double of this key, uniform in [0, 1), 53 bits. n < 2^24. */
double draw_uniform(const struct draw_key *key, uint32_t n);

/* The block cipher itself: 128 random bits of (key, counter). */
void philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);
