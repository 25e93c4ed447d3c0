/* SPDX-License-Identifier: MIT */
/* Takes requests from libmicrohttpd, has them dispatched, and gives back their answers. */
#include "daemon/http/server.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/http/body.h"
#include "daemon/http/clients.h"
#include "daemon/http/dispatch.h"
#include "daemon/http/listener.h"
#include "daemon/http/request.h"
#include "daemon/http/routes.h"
#include "daemon/http/traffic.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

/* Silent clients are libmicrohttpd's to end, and get so long; those that are cut off a moment later send or
 * take a little now and then. */
#define TRICKLE_GRACE_MS 1000
/* Of answers that are not sent yet: beyond it, large ones to reads are refused. */
#define MAX_UNSENT_BYTES (64u << 20)
#define LARGE_ANSWER_BYTES (16u << 10)
#define PART_BLOCK_BYTES (16u << 10) /* of an answer in parts, at a time to HTTP/1.0 clients */

struct server {
    uv_loop_t *loop;
    const struct http_context *context;
    size_t n_listeners;
    struct listener **listeners; /* owned */
    unsigned request_timeout_s;
    struct clients *clients; /* owned */
    struct bodies bodies;
    size_t unsent_bytes; /* of answers */
    bool is_draining;
};

/* ---- a connection ---- */

struct connection {
    struct client *client; /* owned */
    struct tls *tls;       /* held: it ends with the certificate that it began with; or NULL */
};

static struct connection *connection_new(struct server *server, struct MHD_Connection *of)
{
    struct connection *connection = memory_new(sizeof *connection);

    connection->client = client_new(
        server->clients, MHD_get_connection_info(of, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    connection->tls = tls_ref(server->context->tls);
    tls_begin(connection->tls, of);
    return connection;
}

static void connection_free(struct connection *connection)
{
    client_free(connection->client);
    tls_unref(connection->tls);
    free(connection);
}

static void connection_cb(void *cls, struct MHD_Connection *of, void **connection,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *connection = connection_new(listener_user(cls), of);
    else
        connection_free(*connection);
}

static struct client *client_of(struct MHD_Connection *of)
{
    const struct connection *connection =
        MHD_get_connection_info(of, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

    return connection->client;
}

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
    request->begun_ns = uv_hrtime();
    traffic_begin(server->context->traffic);
    client_restart(client_of(connection));
    return request;
}

/* ---- its answer ---- */

/* Whoever asks for much and takes it slowly holds memory: not for all at the same time. */
static bool is_too_much(const struct server *server, const struct request *request)
{
    return request->answer.size > LARGE_ANSWER_BYTES && server->unsent_bytes > MAX_UNSENT_BYTES &&
           !route_changes(request->route);
}

static void refuse_answer(struct request *request)
{
    struct problem problem = {};

    problem_set(&problem, PROBLEM_SLOW_DOWN, "",
                "too many large answers are being sent at the same time; ask again a little later");
    request_take_back(request);
    request_refuse(request, &problem);
}

/* Of an answer in parts the largest one counts to the end: another may be as large. */
static void begin_part(struct server *server, struct request *request)
{
    size_t size = request->answer.size;

    if (size > request->unsent_bytes) {
        server->unsent_bytes += size - request->unsent_bytes;
        request->unsent_bytes = size;
    }
    client_restart(client_of(request->connection));
}

/* libmicrohttpd ends the connection when it next has to do with it: the shut socket sees to that. */
static ssize_t cut_answer(struct request *request)
{
    shutdown(MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
             SHUT_RDWR);
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t want_next_part(struct request *request)
{
    buffer_clear(&request->answer);
    request->parts.n_sent = 0;
    if (request->parts.next(request, request->parts.user))
        return cut_answer(request);
    request->is_suspended = true;
    MHD_suspend_connection(request->connection);
    client_hold(client_of(request->connection));
    return 0;
}

static ssize_t part_cb(void *cls, uint64_t, char *out, size_t max)
{
    struct request *request = cls;
    size_t left = request->answer.size - request->parts.n_sent, size = left < max ? left : max;

    if (request->parts.is_cut)
        return cut_answer(request);
    if (size == 0)
        return request->parts.next ? want_next_part(request) : MHD_CONTENT_READER_END_OF_STREAM;
    if (request->parts.n_sent == 0)
        begin_part(listener_user(request->listener), request);
    memcpy(out, request->answer.data + request->parts.n_sent, size);
    request->parts.n_sent += size;
    return (ssize_t)size;
}

static struct MHD_Response *make_response(struct request *request)
{
    if (request->parts.next)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PART_BLOCK_BYTES, part_cb, request, NULL);

    size_t size = request->answer.size;

    return MHD_create_response_from_buffer(size, buffer_take(&request->answer), MHD_RESPMEM_MUST_FREE);
}

/* To HEAD, too, libmicrohttpd sends the end of a chunked answer, which would be taken for the next answer. */
static bool is_head_of_parts(const struct request *request)
{
    return request->parts.next && strcmp(request->method, "HEAD") == 0;
}

static enum MHD_Result queue_answer(struct server *server, struct request *request)
{
    if (is_too_much(server, request))
        refuse_answer(request);

    begin_part(server, request);

    struct MHD_Response *response = make_response(request);

    require(response);
    MHD_add_response_header(response, "Content-Type", request->content_type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    for (size_t i = 0; i < request->n_headers; i++)
        MHD_add_response_header(response, request->headers[i].name, request->headers[i].value);
    if (server->is_draining || is_head_of_parts(request))
        MHD_add_response_header(response, "Connection", "close");

    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)request->status, response);

    MHD_destroy_response(response);
    return result;
}

/* Handlers keep what they need: an ask that waits holds no body. */
static void run_handler(struct server *server, struct request *request)
{
    request->phase = REQUEST_HANDLED;
    client_hold(client_of(request->connection));
    dispatch_handle(request);
    body_release(&server->bodies, request);
    json_decref(request->json);
    request->json = NULL;
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
        return body_take(&server->bodies, request, data, taken) ? MHD_NO : MHD_YES;
    }
    if (request->phase == REQUEST_RECEIVING)
        run_handler(server, request);
    return request->status ? queue_answer(server, request) : MHD_YES;
}

/* ---- a request ends ---- */

static void request_free(struct request *request)
{
    request_take_back(request);
    auth_unref(request->auth);
    uri_deinit(&request->uri);
    buffer_deinit(&request->answer);
    free(request->raw_uri);
    free(request->method);
    free(request);
}

/* Comes also where the client has left; never while the connection is suspended. */
static void end_cb(void *cls, struct MHD_Connection *connection, void **request_cls,
                   enum MHD_RequestTerminationCode code)
{
    struct server *server = listener_user(cls);
    struct request *request = *request_cls;

    if (!request)
        return;
    uint64_t took_ns = uv_hrtime() - request->begun_ns;

    log_debug("http: %s %s status=%d ms=%llu%s", request->method ? request->method : "?", request->raw_uri,
              request->status, (unsigned long long)(took_ns / 1000000),
              code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " (not sent to its end)");
    require(!request->is_suspended);
    body_release(&server->bodies, request);
    server->unsent_bytes -= request->unsent_bytes;
    traffic_end(server->context->traffic, request->route, request->status, took_ns);
    request_free(request);
    *request_cls = NULL;
    client_restart(client_of(connection));
}

/* ---- the server ---- */

struct server *server_new(uv_loop_t *loop, const struct http_context *context, unsigned request_timeout_s)
{
    struct server *server = memory_new(sizeof *server);

    server->loop = loop;
    server->context = context;
    server->request_timeout_s = request_timeout_s;
    server->clients = clients_new(loop, request_timeout_s * 1000ULL + TRICKLE_GRACE_MS);
    return server;
}

int server_listen(struct server *server, const struct address *address, int socket, unsigned max_connections,
                  struct problem *problem)
{
    static const struct listener_callbacks callbacks = {connection_cb, begin_cb, handle_cb, end_cb};
    const struct listener_limits limits = {.max_connections = max_connections,
                                           .silence_s = server->request_timeout_s,
                                           .is_tls = server->context->tls};
    struct listener *listener =
        listener_new(server->loop, address, socket, &limits, &callbacks, server, problem);

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
    return traffic_n_open(server->context->traffic);
}

void server_close(struct server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++)
        listener_close(server->listeners[i]);
    require(server_open_requests(server) == 0 && server->bodies.size_bytes == 0 && server->unsent_bytes == 0);
    clients_close(server->clients);
    free(server->listeners);
    free(server);
}
