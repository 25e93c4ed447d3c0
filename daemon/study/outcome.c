/* SPDX-License-Identifier: MIT */
/*
 * Hashes by which a repeated request is known.
 *
 * Two lanes of FNV-1a (64 bits) with different starts over the same bytes, each finished with MurmurHash3's
 * mixer: 128 bits that are plenty against chance, and no defence against somebody who wants his own two tells
 * to look alike. Every part is preceded by its length, so that no two different messages give the same bytes;
 * numbers go in as little-endian.
 */
#include "daemon/study/outcome.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

struct hash {
    uint64_t lanes[2];
};

static void hash_begin(struct hash *hash)
{
    *hash = (struct hash){{0xcbf29ce484222325, 0x9e3779b97f4a7c15}};
}

static void put_bytes(struct hash *hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        for (int lane = 0; lane < 2; lane++)
            hash->lanes[lane] = (hash->lanes[lane] ^ bytes[i]) * 0x100000001b3;
    }
}

static void put_int(struct hash *hash, uint64_t number)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
    put_bytes(hash, bytes, sizeof bytes);
}

static void put_text(struct hash *hash, const char *text)
{
    put_int(hash, text ? strlen(text) + 1 : 0);
    if (text)
        put_bytes(hash, text, strlen(text));
}

/* All NaNs are one, and so are the zeros: the database does not tell them apart either. */
static void put_doubles(struct hash *hash, size_t n, const double *numbers)
{
    put_int(hash, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        double number = isnan(numbers[i]) ? (double)NAN : numbers[i] == 0 ? 0.0 : numbers[i];
        memcpy(&bits, &number, sizeof bits);
        put_int(hash, bits);
    }
}

static uint64_t finish(uint64_t lane)
{
    lane = (lane ^ lane >> 33) * 0xff51afd7ed558ccd;
    lane = (lane ^ lane >> 33) * 0xc4ceb9fe1a85ec53;
    return lane ^ lane >> 33;
}

static void put_out(uint64_t lane, unsigned char *out)
{
    lane = finish(lane);
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(lane >> 8 * i);
}

void outcome_hash(const struct tell_message *message, unsigned char outcome[STORE_OUTCOME_SIZE])
{
    struct hash hash;
    hash_begin(&hash);
    put_int(&hash, message->state);
    put_doubles(&hash, message->n_values, message->values);
    put_int(&hash, message->state == TRIAL_FAIL ? message->failure : 0);
    put_text(&hash, message->reason);
    MEMORY_AUTO char *attrs =
        message->user_attrs ? json_dumps(message->user_attrs, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    put_text(&hash, attrs);
    put_doubles(&hash, message->n_constraints, message->constraints);
    put_out(hash.lanes[0], outcome);
    put_out(hash.lanes[1], outcome + 8);
}

void outcome_request_key(const char *request_id, const unsigned char *body_hash,
                         unsigned char key[REQUEST_KEY_SIZE])
{
    struct hash hash;
    hash_begin(&hash);
    put_text(&hash, request_id);
    put_out(hash.lanes[0], key);
    memcpy(key + 8, body_hash, 8);
}
