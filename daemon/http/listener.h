/* SPDX-License-Identifier: MIT */
/* One address: its socket, and the libmicrohttpd that serves it from the libuv loop. Knows nothing of what is
 * served. */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/http/address.h"
#include "proto/problem.h"

struct listener;

/* libmicrohttpd's callbacks; each gets the listener as `cls`. */
struct listener_callbacks {
    MHD_NotifyConnectionCallback connection;
    void *(*begin)(void *cls, const char *uri, struct MHD_Connection *connection); /* gives *request_cls */
    MHD_AccessHandlerCallback handle;
    MHD_RequestCompletedCallback end;
};

struct listener_limits {
    unsigned max_connections; /* more wait until one ends */
    unsigned silence_s;       /* then a connection ends; a suspended one does not */
    bool is_tls;              /* `connection` gives each one its certificate when it begins */
};

/* Takes `socket`, which listens on the address, or opens one where it is -1, and serves from the loop's next
 * turn on. NULL with `problem` where the address is taken or not ours. */
[[nodiscard]] struct listener *listener_new(uv_loop_t *loop, const struct address *address, int socket,
                                            const struct listener_limits *limits,
                                            const struct listener_callbacks *callbacks, void *user,
                                            struct problem *problem);
void *listener_user(const struct listener *listener);
/* Where it listens: the port that the system chose, where port 0 was asked for. */
const struct address *listener_address(const struct listener *listener);
/* A connection was resumed: libmicrohttpd does not notice by itself. */
void listener_wake(struct listener *listener);
/* New connections are refused, or wait for who has the socket, too; open ones go on. */
void listener_quiesce(struct listener *listener);
/* Ends all connections; none may be suspended. Frees itself when the loop has let go. */
void listener_close(struct listener *listener);
