/* SPDX-License-Identifier: MIT */
/* A proxy between a MySQL client and its server's socket that cuts connections where a test says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum cut {
    CUT_BEFORE, /* the server never sees the statement, nor those that travel with it */
    CUT_AFTER,  /* it has answered, but the client never sees that */
    CUT_LIE,    /* it has answered, but the client sees another answer: an error */
    CUT_REFUSE, /* the server never sees them; the client sees an error */
};

struct cut_proxy;

/* `url` names the server's socket (unix_socket=...) and is rewritten to name the proxy's. */
struct cut_proxy *cut_proxy_new(char *url, size_t url_size);
void cut_proxy_free(struct cut_proxy *proxy);
/* Cuts the next connection that sends a statement that begins so, once. `error` is the code of what CUT_LIE
 * and CUT_REFUSE answer. */
void cut_proxy_arm(struct cut_proxy *proxy, enum cut cut, unsigned error, const char *statement);
bool cut_proxy_has_cut(struct cut_proxy *proxy);
/* Cuts all connections and refuses new ones, until it is opened again. */
void cut_proxy_close(struct cut_proxy *proxy);
void cut_proxy_open(struct cut_proxy *proxy);
