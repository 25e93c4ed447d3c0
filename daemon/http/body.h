/* SPDX-License-Identifier: MIT */
/* The bodies of requests while they come in: what each may have, and what all may have together. */
#pragma once

#include <stddef.h>

#include "daemon/http/request.h"

/* Small bodies always come in: asks and tells pass while others send much, slowly. */
#define BODY_SMALL_BYTES (16u << 10)
/* For all bodies that are there; a small one may still come in beyond it. */
#define BODIES_MAX_BYTES (64u << 20)
/* What is refused is read to its end before that is said, else clients see a broken connection and no answer;
 * but not for ever. */
#define BODY_MAX_DROPPED_BYTES (16u << 20)

/* Zeroed is empty. */
struct bodies {
    size_t size_bytes; /* of the memory that they take */
};

/* A piece of the request's body. What is wrong goes into request->problem, and the rest of the body is
 * dropped. 0, or -1 where the connection must end at once. */
[[nodiscard]] int body_take(struct bodies *bodies, struct request *request, const char *data, size_t size);
/* It is read, or not needed. */
void body_release(struct bodies *bodies, struct request *request);
