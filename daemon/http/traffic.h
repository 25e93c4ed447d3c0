/* SPDX-License-Identifier: MIT */
/* How many requests each route had, how they were answered, and how long they took. Loop thread only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/histogram.h"

#define TRAFFIC_MIN_STATUS 200
#define TRAFFIC_MAX_STATUS 599
#define TRAFFIC_CLIENT_LEFT 499 /* before there was an answer; as nginx logs it */

struct route;
struct traffic;

[[nodiscard]] struct traffic *traffic_new(void);
void traffic_free(struct traffic *traffic);
/* A request has begun, and has ended. `route` NULL: there is none for it; `status` 0: it got no answer. */
void traffic_begin(struct traffic *traffic);
void traffic_end(struct traffic *traffic, const struct route *route, int status, uint64_t took_ns);

/* Begun, and not ended. */
size_t traffic_n_open(const struct traffic *traffic);
/* What happened to the route's requests; `index` is that in `routes`, and n_routes for what had none. */
uint64_t traffic_n_answered(const struct traffic *traffic, size_t index, int status);
const struct histogram *traffic_durations(const struct traffic *traffic, size_t index);
