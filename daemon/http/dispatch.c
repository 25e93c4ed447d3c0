/* SPDX-License-Identifier: MIT */
/* Admits requests: route, role, readiness, origin, query; then their body. */
#include "daemon/http/dispatch.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/http/address.h"
#include "daemon/http/routes.h"
#include "proto/json_read.h"

static int find_route(struct request *request, struct problem *problem)
{
    BUFFER_AUTO struct buffer allow = {};

    request->route = routes_find(request->method, &request->uri, request->arguments, &allow);
    if (request->route)
        return 0;
    if (allow.size == 0)
        return problem_set(problem, PROBLEM_NOT_FOUND, "",
                           "there is no %.200s; GET /openapi.yaml says what there is", request->raw_uri);
    request_add_header(request, "Allow", buffer_text(&allow));
    return problem_set(problem, PROBLEM_METHOD, "", "%.20s is not allowed here; allowed are %s",
                       request->method, buffer_text(&allow));
}

/* Beyond the limits the answer is another one, and the token is looked at all the same. */
static int refuse_unknown(struct request *request, struct problem *problem)
{
    const struct sockaddr *peer =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

    if (!failed_auth_count(request->context->failed_auth, peer, request->begun_ns / 1000000))
        return problem_set(problem, PROBLEM_SLOW_DOWN, "",
                           "too many requests without a valid token have come from your address; one with a "
                           "valid token passes at once");
    return problem_set(
        problem, PROBLEM_UNAUTHORIZED, "",
        "send a token of role %s as \"Authorization: Bearer TOKEN\"; studyd --new-token makes one",
        role_names[request->route->role]);
}

static int check_role(struct request *request, struct problem *problem)
{
    enum role needed = request->route->role, role;

    request->auth = auth_ref(request->context->auth);
    request->access = auth_access(request->auth, request_header(request, "Authorization"));
    role = request->access.role;
    if (role >= needed)
        return 0;
    if (role == ROLE_NONE)
        return refuse_unknown(request, problem);
    return problem_set(problem, PROBLEM_FORBIDDEN, "", "this needs the role %s, and the token's is %s",
                       role_names[needed], role_names[role]);
}

static bool is_listed(const struct option_list *hosts, const char *name)
{
    char listed[256];

    for (size_t i = 0; i < hosts->n_items; i++) {
        host_without_port(hosts->items[i], listed, sizeof listed);
        if (strcasecmp(listed, name) == 0)
            return true;
    }
    return false;
}

/* A page from elsewhere, whose name was made to resolve to us, still says that name. */
static int check_host(struct request *request, struct problem *problem)
{
    const char *host = request_header(request, "Host");
    char name[256];

    if (request_count_header(request, "Host") != 1)
        return problem_set(problem, PROBLEM_INVALID, "Host",
                           "a request that changes something needs a Host header, and one only");
    host_without_port(host, name, sizeof name);
    if (host_is_loopback(host) || is_listed(&request->context->hosts, name) ||
        is_listed(&request->context->listen, name))
        return 0;
    return problem_set(problem, PROBLEM_FORBIDDEN, "Host",
                       "studyd does not know itself as \"%.100s\"; if that is right, set hosts = %.100s in "
                       "its configuration",
                       name, name);
}

/* A web page can send other types without asking us first. */
static int check_content_type(struct request *request, struct problem *problem)
{
    static const char json[] = "application/json";
    const char *type = request_header(request, "Content-Type");

    if (type && strncasecmp(type, json, strlen(json)) == 0 && strchr("; \t", type[strlen(json)]))
        return 0;
    return problem_set(problem, PROBLEM_INVALID, "Content-Type",
                       "the body must be sent as Content-Type: %s, not as %.80s", json,
                       type ? type : "nothing");
}

static int check_origin(struct request *request, struct problem *problem)
{
    if (!route_changes(request->route))
        return 0;
    if (check_host(request, problem))
        return -1;
    return request->route->takes_body ? check_content_type(request, problem) : 0;
}

static int check_available(struct request *request, struct problem *problem)
{
    if (!request->route->is_always_there && request->context->unavailable.type != PROBLEM_NONE)
        *problem = request->context->unavailable;
    return problem->type == PROBLEM_NONE ? 0 : -1;
}

static int admit(struct request *request, struct problem *problem)
{
    if (uri_parse(&request->uri, request->raw_uri, problem) || find_route(request, problem) ||
        check_role(request, problem) || check_available(request, problem) || check_origin(request, problem))
        return -1;
    return uri_check_parameters(&request->uri, request->route->parameters, problem);
}

void dispatch_admit(struct request *request)
{
    struct problem problem = {};

    if (admit(request, &problem))
        request->problem = problem;
}

static int read_body(struct request *request)
{
    if (request->problem.type != PROBLEM_NONE)
        return -1;
    if (!request->route->takes_body)
        return 0;
    if (request->body.size == 0)
        return problem_set(&request->problem, PROBLEM_INVALID, "",
                           "the body is empty; it must be a JSON object, {…}");
    request->json = json_parse(buffer_text(&request->body), request->body.size, &request->problem);
    return request->json ? 0 : -1;
}

void dispatch_handle(struct request *request)
{
    if (read_body(request))
        request_refuse(request, &request->problem);
    else
        request->route->handle(request);
}
