/* SPDX-License-Identifier: MIT */
/* Counts requests. */
#include "daemon/http/traffic.h"

#include <stdlib.h>

#include "daemon/http/routes.h"
#include "proto/memory.h"
#include "proto/require.h"

struct traffic {
    size_t n_open;
    struct route_traffic {
        uint64_t n_answered[TRAFFIC_MAX_STATUS + 1 - TRAFFIC_MIN_STATUS];
        struct histogram durations;
    } routes[]; /* [n_routes + 1]: as in the table, then what had no route */
};

struct traffic *traffic_new(void)
{
    struct traffic *traffic = memory_new(sizeof *traffic + (n_routes + 1) * sizeof(struct route_traffic));

    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    free(traffic);
}

void traffic_begin(struct traffic *traffic)
{
    traffic->n_open++;
}

void traffic_end(struct traffic *traffic, const struct route *route, int status, uint64_t took_ns)
{
    struct route_traffic *of_route = &traffic->routes[route ? (size_t)(route - routes) : n_routes];

    if (status == 0)
        status = TRAFFIC_CLIENT_LEFT;
    require(traffic->n_open > 0 && status >= TRAFFIC_MIN_STATUS && status <= TRAFFIC_MAX_STATUS);
    traffic->n_open--;
    of_route->n_answered[status - TRAFFIC_MIN_STATUS]++;
    histogram_add(&of_route->durations, took_ns);
}

size_t traffic_n_open(const struct traffic *traffic)
{
    return traffic->n_open;
}

uint64_t traffic_n_answered(const struct traffic *traffic, size_t index, int status)
{
    return traffic->routes[index].n_answered[status - TRAFFIC_MIN_STATUS];
}

const struct histogram *traffic_durations(const struct traffic *traffic, size_t index)
{
    return &traffic->routes[index].durations;
}
