/* SPDX-License-Identifier: MIT */
/* A request's target as it came over the wire: path segments and query parameters, each decoded by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proto/problem.h"

#define URI_MAX_SEGMENTS 8
#define URI_MAX_PARAMETERS 16

struct uri_parameter {
    const char *name, *value; /* inside the uri's text; value "" where there is no '=' */
};

/* Zeroed is empty. */
struct uri {
    char *text; /* owned; what the others point into */
    size_t
        n_segments; /* 0 for "/"; URI_MAX_SEGMENTS + 1 where there are more than that: no route is so long */
    const char *segments[URI_MAX_SEGMENTS];
    size_t n_parameters;
    struct uri_parameter parameters[URI_MAX_PARAMETERS];
};

/* `raw` is "/v1/studies/a%2Fb?limit=3", or the same behind "http://host:port", as it is sent to proxies. An
 * encoded slash does not separate segments. 0, or -1 with `problem`: no path, an escape that is none, %00,
 * too many parameters. Deinit it either way. */
[[nodiscard]] int uri_parse(struct uri *uri, const char *raw, struct problem *problem);
void uri_deinit(struct uri *uri);
/* The parameter's value, or NULL. */
const char *uri_value(const struct uri *uri, const char *name);
/* Are all names among `known` (NULL-terminated), and each there once? 0, or -1 with `problem`. */
[[nodiscard]] int uri_check_parameters(const struct uri *uri, const char *const *known,
                                       struct problem *problem);
