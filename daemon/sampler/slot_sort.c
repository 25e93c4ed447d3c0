/* SPDX-License-Identifier: MIT */
/* A radix sort, from the lowest byte of the keys to the highest. */
#include "daemon/sampler/slot_sort.h"

#include <string.h>

#define N_BYTES sizeof(uint64_t)
#define N_DIGITS 256

uint64_t slot_key_of_double(double value)
{
    double one_zero = value + 0.0; /* -0.0 becomes 0.0 */
    uint64_t bits;

    memcpy(&bits, &one_zero, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

static size_t digit(uint64_t key, size_t byte)
{
    return key >> 8 * byte & (N_DIGITS - 1);
}

static void count(const struct slot_key *keys, size_t n, size_t counts[N_BYTES][N_DIGITS])
{
    for (size_t i = 0; i < n; i++)
        for (size_t byte = 0; byte < N_BYTES; byte++)
            counts[byte][digit(keys[i].key, byte)]++;
}

static void spread(const struct slot_key *from, struct slot_key *to, size_t n, size_t byte,
                   const size_t counts[N_DIGITS])
{
    size_t place[N_DIGITS], next = 0;

    for (size_t i = 0; i < N_DIGITS; i++) {
        place[i] = next;
        next += counts[i];
    }
    for (size_t i = 0; i < n; i++)
        to[place[digit(from[i].key, byte)]++] = from[i];
}

void slot_sort(struct slot_key *keys, struct slot_key *spare, size_t n)
{
    size_t counts[N_BYTES][N_DIGITS] = {};
    struct slot_key *from = keys, *to = spare;

    count(keys, n, counts);
    for (size_t byte = 0; byte < N_BYTES && n > 0; byte++) {
        if (counts[byte][digit(keys[0].key, byte)] == n)
            continue; /* all have the same */
        spread(from, to, n, byte, counts[byte]);

        struct slot_key *other = from;

        from = to;
        to = other;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof keys[0]);
}
