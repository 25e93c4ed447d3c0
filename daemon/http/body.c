/* SPDX-License-Identifier: MIT */
/* Takes in the bodies of requests, within limits. */
#include "daemon/http/body.h"

#include "daemon/http/routes.h"

static int check(const struct bodies *bodies, struct request *request, size_t size)
{
    struct problem *problem = &request->problem;
    size_t wanted = request->body.size + size;

    if (!request->route->takes_body)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "%s %s takes no body; its parameters, where it has some, stand in the query",
                           request->method, request->route->pattern);
    if (wanted > REQUEST_MAX_BODY_BYTES)
        return problem_set(problem, PROBLEM_TOO_LARGE, "",
                           "the body has more than %d bytes, which are the limit", REQUEST_MAX_BODY_BYTES);
    if (wanted > BODY_SMALL_BYTES && bodies->size_bytes + size > BODIES_MAX_BYTES)
        return problem_set(problem, PROBLEM_SLOW_DOWN, "",
                           "too many large requests are coming in at the same time; send this one again a "
                           "little later");
    return 0;
}

int body_take(struct bodies *bodies, struct request *request, const char *data, size_t size)
{
    size_t capacity = request->body.capacity;

    if (request->problem.type != PROBLEM_NONE || check(bodies, request, size)) {
        body_release(bodies, request);
        request->n_dropped += size;
        return request->n_dropped <= BODY_MAX_DROPPED_BYTES ? 0 : -1;
    }
    buffer_append(&request->body, data, size);
    bodies->size_bytes += request->body.capacity - capacity;
    return 0;
}

void body_release(struct bodies *bodies, struct request *request)
{
    bodies->size_bytes -= request->body.capacity;
    buffer_deinit(&request->body);
}
