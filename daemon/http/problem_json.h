/* SPDX-License-Identifier: MIT */
/* A problem as an RFC 9457 document. */
#pragma once

#include "proto/buffer.h"
#include "proto/problem.h"

/* {"type": "urn:studyd:invalid", "title", "status", "detail", "field"}; `field` only where there is one. */
void problem_put_json(const struct problem *problem, struct buffer *out);
