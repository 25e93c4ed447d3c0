/* SPDX-License-Identifier: MIT */
/* The table of routes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/http/auth.h"
#include "daemon/http/request.h"
#include "daemon/http/uri.h"
#include "proto/buffer.h"

#define ROUTE_MAX_PARAMETERS 4

struct route {
    const char *method;  /* GET answers HEAD too */
    const char *pattern; /* "/v1/studies/{study}": a {…} is any one segment */
    enum role role;      /* the least that may */
    bool takes_body;
    bool is_always_there;                             /* also while nothing else is served */
    const char *parameters[ROUTE_MAX_PARAMETERS + 1]; /* of the query; NULL-terminated */
    void (*handle)(struct request *request);
};

extern const struct route routes[];
extern const size_t n_routes;

/* The route, and what stands in the place of its {…}. NULL where there is none; `allow` then lists the
 * methods that this path has, if any. */
const struct route *routes_find(const char *method, const struct uri *uri,
                                const char *arguments[REQUEST_MAX_ARGUMENTS], struct buffer *allow);
/* Does it change anything? */
bool route_changes(const struct route *route);
