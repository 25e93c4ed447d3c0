/* SPDX-License-Identifier: MIT */
/* Which handler answers which request, and who may ask for it. */
#include "daemon/http/routes.h"

#include <string.h>

#include "daemon/http/ask_tell.h"
#include "daemon/http/health.h"
#include "daemon/http/metrics.h"
#include "daemon/http/openapi.h"
#include "daemon/http/status_page.h"
#include "daemon/http/studies.h"
#include "daemon/http/trials.h"
#include "daemon/http/workers.h"
#include "proto/require.h"

/* proto/openapi.yaml describes these to clients; a test compares the two. */
const struct route routes[] = {
    /* clang-format off */
    {"GET",    "/",                                              ROLE_READER, .handle = handle_status_page},
    {"GET",    "/healthz",                                       ROLE_NONE,   .handle = handle_healthz, .is_always_there = true},
    {"GET",    "/readyz",                                        ROLE_NONE,   .handle = handle_readyz},
    {"GET",    "/metrics",                                       ROLE_READER, .handle = handle_metrics, .is_always_there = true},
    {"GET",    "/openapi.yaml",                                  ROLE_READER, .handle = handle_openapi},
    {"GET",    "/v1/studies",                                    ROLE_READER, .handle = handle_list_studies},
    {"POST",   "/v1/studies",                                    ROLE_ADMIN,  .handle = handle_create_study, .takes_body = true, .parameters = {"exist_ok"}},
    {"GET",    "/v1/studies/{study}",                            ROLE_READER, .handle = handle_show_study},
    {"PATCH",  "/v1/studies/{study}",                            ROLE_ADMIN,  .handle = handle_change_study, .takes_body = true},
    {"DELETE", "/v1/studies/{study}",                            ROLE_ADMIN,  .handle = handle_delete_study, .parameters = {"force"}},
    {"GET",    "/v1/studies/{study}/best",                       ROLE_READER, .handle = handle_best_trials},
    {"GET",    "/v1/studies/{study}/trials",                     ROLE_READER, .handle = handle_list_trials, .parameters = {"state", "since", "limit"}},
    {"GET",    "/v1/studies/{study}/trials/{number}",            ROLE_READER, .handle = handle_show_trial},
    {"POST",   "/v1/ask",                                        ROLE_WORKER, .handle = handle_ask_all, .takes_body = true},
    {"POST",   "/v1/studies/{study}/ask",                        ROLE_WORKER, .handle = handle_ask, .takes_body = true},
    {"POST",   "/v1/studies/{study}/enqueue",                    ROLE_ADMIN,  .handle = handle_enqueue, .takes_body = true},
    {"POST",   "/v1/studies/{study}/trials/{number}/report",     ROLE_WORKER, .handle = handle_report, .takes_body = true},
    {"POST",   "/v1/studies/{study}/trials/{number}/heartbeat",  ROLE_WORKER, .handle = handle_heartbeat, .takes_body = true},
    {"POST",   "/v1/studies/{study}/trials/{number}/tell",       ROLE_WORKER, .handle = handle_tell, .takes_body = true},
    {"GET",    "/v1/workers",                                    ROLE_READER, .handle = handle_list_workers},
    /* clang-format on */
};
const size_t n_routes = sizeof routes / sizeof routes[0];

static bool matches(const char *pattern, const struct uri *uri, const char *arguments[REQUEST_MAX_ARGUMENTS])
{
    size_t n_arguments = 0;
    const char *at = pattern + 1;

    for (size_t i = 0; i < uri->n_segments; i++) {
        size_t length = strcspn(at, "/");

        if (length == 0 || i == URI_MAX_SEGMENTS)
            return false;
        if (*at == '{') {
            require(n_arguments < REQUEST_MAX_ARGUMENTS);
            if (!*uri->segments[i])
                return false;
            arguments[n_arguments++] = uri->segments[i];
        } else if (strncmp(at, uri->segments[i], length) != 0 || uri->segments[i][length]) {
            return false;
        }
        at += length + (at[length] == '/');
    }
    return !*at;
}

static void put_method(struct buffer *allow, const char *method)
{
    buffer_printf(allow, "%s%s", allow->size ? ", " : "", method);
}

const struct route *routes_find(const char *method, const struct uri *uri,
                                const char *arguments[REQUEST_MAX_ARGUMENTS], struct buffer *allow)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < n_routes; i++) {
        if (!matches(routes[i].pattern, uri, arguments))
            continue;
        if (strcmp(routes[i].method, method) == 0)
            return &routes[i];
        put_method(allow, routes[i].method);
        if (!route_changes(&routes[i]))
            put_method(allow, "HEAD");
    }
    return NULL;
}

bool route_changes(const struct route *route)
{
    return strcmp(route->method, "GET") != 0;
}
