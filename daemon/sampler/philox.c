/* SPDX-License-Identifier: MIT */
/* Philox4x32-10, and the draws that samplers make with it. */
#include "daemon/sampler/philox.h"

#include <string.h>

#include "proto/require.h"

#define N_ROUNDS 10
#define PURPOSE_SHIFT 24

void philox4x32(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t key0 = key[0], key1 = key[1], x[4];

    memcpy(x, counter, sizeof x);
    for (int round = 0; round < N_ROUNDS; round++) {
        uint64_t product0 = (uint64_t)0xd2511f53 * x[0], product1 = (uint64_t)0xcd9e8d57 * x[2];

        x[0] = (uint32_t)(product1 >> 32) ^ x[1] ^ key0;
        x[1] = (uint32_t)product1;
        x[2] = (uint32_t)(product0 >> 32) ^ x[3] ^ key1;
        x[3] = (uint32_t)product0;
        key0 += 0x9e3779b9;
        key1 += 0xbb67ae85;
    }
    memcpy(out, x, sizeof x);
}

double draw_uniform(const struct draw_key *key, uint32_t n)
{
    require(key->number >= 0 && key->number <= UINT32_MAX && n < 1u << PURPOSE_SHIFT);

    uint32_t philox_key[2] = {(uint32_t)key->seed, (uint32_t)(key->seed >> 32)};
    uint32_t counter[4] = {(uint32_t)key->number, (uint32_t)key->name_hash, (uint32_t)(key->name_hash >> 32),
                           (uint32_t)key->purpose << PURPOSE_SHIFT | n};
    uint32_t out[4];

    philox4x32(philox_key, counter, out);
    return (double)(((uint64_t)out[1] << 32 | out[0]) >> 11) * 0x1p-53;
}
