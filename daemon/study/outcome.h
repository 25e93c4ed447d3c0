/* SPDX-License-Identifier: MIT */
/* Hashes by which a repeated request is known. They are stored: they never change. Not for secrets. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "daemon/study/requests.h"
#include "proto/message.h"

/* A hash of all that a tell says but its lease. */
void outcome_hash(const struct tell_message *message, unsigned char outcome[STORE_OUTCOME_SIZE]);
/* The key of a request_id with this body (`body_hash`: 16 bytes, the first 8 are taken). */
void outcome_request_key(const char *request_id, const unsigned char *body_hash,
                         unsigned char key[REQUEST_KEY_SIZE]);
