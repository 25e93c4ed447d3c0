/* SPDX-License-Identifier: MIT */
/* Takes requests from libmicrohttpd, has them dispatched, and gives back their answers. */
#include "daemon/http/server.h"

#include <microhttpd.h>
#include <stdlib.h>

#include "daemon/http/dispatch.h"
#include "daemon/http/listener.h"
#include "daemon/http/request.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

/* What is too long is read to its end before 413, else clients see a broken connection and no answer; but not
 * for ever. */
#define MAX_DROPPED_BYTES (16u << 20)
#define MAX_DROPPING_MS 5000

struct server {
    uv_loop_t *loop;
    const struct http_context *context;
    size_t n_listeners;
    struct listener **listeners; /* owned */
    size_t n_open;               /* requests */
    bool is_draining;
};

/* ---- a request begins ---- */

static void *begin_cb(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct listener *listener = cls;
    struct server *server = listener_user(listener);
    struct request *request = memory_new(sizeof *request);

    request->context = server->context;
    request->listener = listener;
    request->connection = connection;
    request->raw_uri = memory_strdup(uri);
    request->begun_ms = uv_now(server->loop);
    server->n_open++;
    return request;
}

/* ---- its body ---- */

static enum MHD_Result drop_body(struct server *server, struct request *request, size_t size)
{
    if (request->n_dropped == 0)
        request->dropping_ms = uv_now(server->loop);
    request->n_dropped += size;
    return request->n_dropped <= MAX_DROPPED_BYTES &&
                   uv_now(server->loop) - request->dropping_ms <= MAX_DROPPING_MS
               ? MHD_YES
               : MHD_NO;
}

static enum MHD_Result take_body(struct server *server, struct request *request, const char *data,
                                 size_t size)
{
    if (request->problem.type == PROBLEM_NONE && request->body.size + size > REQUEST_MAX_BODY_BYTES)
        problem_set(&request->problem, PROBLEM_TOO_LARGE, "",
                    "the body has more than %d bytes, which are the limit", REQUEST_MAX_BODY_BYTES);
    if (request->problem.type != PROBLEM_NONE)
        return drop_body(server, request, size);
    buffer_append(&request->body, data, size);
    return MHD_YES;
}

/* ---- its answer ---- */

static enum MHD_Result queue_answer(struct server *server, struct request *request)
{
    size_t size = request->answer.size;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, buffer_take(&request->answer), MHD_RESPMEM_MUST_FREE);

    require(response);
    MHD_add_response_header(response, "Content-Type", request->content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    for (size_t i = 0; i < request->n_headers; i++)
        MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
    if (server->is_draining)
        MHD_add_response_header(response, "Connection", "close");

    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)request->status, response);

    MHD_destroy_response(response);
    return result;
}

static void run_handler(struct request *request)
{
    request->phase = REQUEST_HANDLED;
    dispatch_handle(request);
    if (request->status)
        return;
    request->is_suspended = true;
    MHD_suspend_connection(request->connection);
}

/* Called for the headers, for each piece of the body, at its end, and again when the connection was resumed.
 */
static enum MHD_Result handle_cb(void *cls, struct MHD_Connection *, const char *, const char *method,
                                 const char *, const char *data, size_t *size, void **request_cls)
{
    struct server *server = listener_user(cls);
    struct request *request = *request_cls;

    if (request->phase == REQUEST_BEGUN) {
        request->phase = REQUEST_RECEIVING;
        request->method = memory_strdup(method);
        dispatch_admit(request);
        return MHD_YES;
    }
    if (*size > 0) {
        size_t taken = *size;

        *size = 0;
        return take_body(server, request, data, taken);
    }
    if (request->phase == REQUEST_RECEIVING)
        run_handler(request);
    return request->status ? queue_answer(server, request) : MHD_YES;
}

/* ---- a request ends ---- */

static void request_free(struct request *request)
{
    for (size_t i = 0; i < request->n_headers; i++)
        free(request->headers[i].value);
    uri_deinit(&request->uri);
    buffer_deinit(&request->body);
    buffer_deinit(&request->answer);
    json_decref(request->json);
    free(request->raw_uri);
    free(request->method);
    free(request);
}

/* Comes also where the client has left; never while the connection is suspended. */
static void end_cb(void *cls, struct MHD_Connection *, void **request_cls,
                   enum MHD_RequestTerminationCode code)
{
    struct server *server = listener_user(cls);
    struct request *request = *request_cls;

    if (!request)
        return;
    log_debug("http: %s %s status=%d ms=%llu%s", request->method ? request->method : "?", request->raw_uri,
              request->status, (unsigned long long)(uv_now(server->loop) - request->begun_ms),
              code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " (not sent to its end)");
    require(!request->is_suspended);
    request_free(request);
    *request_cls = NULL;
    server->n_open--;
}

/* ---- the server ---- */

struct server *server_new(uv_loop_t *loop, const struct http_context *context)
{
    struct server *server = memory_new(sizeof *server);

    server->loop = loop;
    server->context = context;
    return server;
}

int server_listen(struct server *server, const struct address *address, unsigned max_connections,
                  struct problem *problem)
{
    static const struct listener_callbacks callbacks = {begin_cb, handle_cb, end_cb};
    struct listener *listener =
        listener_new(server->loop, address, max_connections, &callbacks, server, problem);

    if (!listener)
        return -1;
    server->listeners =
        memory_resize(server->listeners, server->n_listeners + 1, sizeof server->listeners[0]);
    server->listeners[server->n_listeners++] = listener;
    return 0;
}

size_t server_n_addresses(const struct server *server)
{
    return server->n_listeners;
}

const struct address *server_address(const struct server *server, size_t index)
{
    require(index < server->n_listeners);
    return listener_address(server->listeners[index]);
}

void server_drain(struct server *server)
{
    server->is_draining = true;
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_quiesce(server->listeners[i]);
}

size_t server_open_requests(const struct server *server)
{
    return server->n_open;
}

void server_close(struct server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_close(server->listeners[i]);
    require(server->n_open == 0);
    free(server->listeners);
    free(server);
}
