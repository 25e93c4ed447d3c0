/* SPDX-License-Identifier: MIT */
/* The HTTP server: the lives of requests, between libmicrohttpd and the handlers. Loop thread only. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "daemon/http/address.h"
#include "daemon/http/context.h"
#include "proto/problem.h"

struct server;

/* `context` outlives the server. A request has `request_timeout_s` to arrive, its answer as long to be taken,
 * and a connection may be silent for as long. */
[[nodiscard]] struct server *server_new(uv_loop_t *loop, const struct http_context *context,
                                        unsigned request_timeout_s);
/* Serves on one more address: on `socket`, which it takes, or (-1) on one that it opens. 0, or -1 with
 * `problem`. */
[[nodiscard]] int server_listen(struct server *server, const struct address *address, int socket,
                                unsigned max_connections, struct problem *problem);
size_t server_n_addresses(const struct server *server);
/* The real one, where port 0 was asked for. */
const struct address *server_address(const struct server *server, size_t index);
/* Takes no new connections; open requests go on, and each answer ends its connection. */
void server_drain(struct server *server);
/* Requests whose last byte is not sent yet. */
size_t server_open_requests(const struct server *server);
/* Ends all connections, and frees; no request may wait for its handler's answer. The loop must turn
 * afterwards. */
void server_close(struct server *server);
