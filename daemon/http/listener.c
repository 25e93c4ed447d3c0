/* SPDX-License-Identifier: MIT */
/* Drives libmicrohttpd's epoll from libuv: readable, timed out, or woken. */
#include "daemon/http/listener.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/http/tls.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

#define CONNECTION_MEMORY_BYTES (16 * 1024) /* headers have to fit */
#define LOG_EVERY_MS 60000                  /* while there are too many connections */

struct listener {
    struct MHD_Daemon *mhd;
    void *user;
    struct address address;
    struct listener_limits limits;
    uint64_t told_full_ms; /* the loop's time; 0: never */
    uv_poll_t poll;        /* of libmicrohttpd's epoll */
    uv_timer_t timer;      /* its next deadline */
    uv_idle_t again;       /* active: it runs again in the loop's next turn */
    int n_handles;
};

static void log_mhd(void *, const char *format, va_list arguments)
{
    char text[512];

    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http: %s", text);
}

/* ---- the socket ---- */

static int open_socket(const struct address *address)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->storage;
    int on = 1, fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (name->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, name, address->size) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;

    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

static int listen_problem(const struct address *address, struct problem *problem)
{
    char text[ADDRESS_TEXT_SIZE];
    int error = errno;

    address_format(address, text);
    return problem_set(problem, PROBLEM_INVALID, "listen", "cannot listen on %s: %s%s", text, strerror(error),
                       error == EADDRINUSE
                           ? "; is studyd running already? --listen takes another port, or 0 for a free one"
                           : "");
}

/* ---- running ---- */

static unsigned n_connections(const struct listener *listener)
{
    return MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

/* Who comes now is not even refused, and those who look on should know why. */
static void tell_if_full(struct listener *listener)
{
    uint64_t now_ms = uv_now(listener->timer.loop);
    char text[ADDRESS_TEXT_SIZE];

    if (n_connections(listener) < listener->limits.max_connections)
        return;
    if (listener->told_full_ms && now_ms - listener->told_full_ms < LOG_EVERY_MS)
        return;
    listener->told_full_ms = now_ms;
    address_format(&listener->address, text);
    log_warning("no more connections are taken until some end address=%s reason=\"%u are open, as many as "
                "max_connections and ulimit -n allow; ss -tn sport = :%s says who holds them\"",
                text, listener->limits.max_connections, strrchr(text, ':') + 1);
}

static void timer_cb(uv_timer_t *timer);

static void listener_run(struct listener *listener)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    unsigned n_before = n_connections(listener);

    uv_idle_stop(&listener->again);
    MHD_run(listener->mhd);
    tell_if_full(listener);
    /* At its limit libmicrohttpd stops accepting until the next run, and nothing else may bring that about.
     */
    if (n_connections(listener) < n_before)
        listener_wake(listener);
    if (MHD_get_timeout(listener->mhd, &timeout_ms) == MHD_NO)
        uv_timer_stop(&listener->timer);
    else if (timeout_ms > 0)
        uv_timer_start(&listener->timer, timer_cb, timeout_ms, 0);
    else
        listener_wake(listener);
}

static void timer_cb(uv_timer_t *timer)
{
    listener_run(timer->data);
}

static void again_cb(uv_idle_t *again)
{
    listener_run(again->data);
}

static void poll_cb(uv_poll_t *poll, int, int)
{
    listener_run(poll->data);
}

/* Once in each turn of the loop, and not by a timer: one of 0 ms that is started in its own callback goes off
 * again before anything else gets its turn, for as long as clients send faster than we read. */
void listener_wake(struct listener *listener)
{
    uv_idle_start(&listener->again, again_cb);
}

/* ---- beginning and end ---- */

/* libmicrohttpd wants to know where a certificate would come from. That of the connection comes before it,
 * and this refuses the handshake of one that has none. */
static int no_certificate(struct gnutls_session_int *, const gnutls_datum_t *, int,
                          const gnutls_pk_algorithm_t *, int, gnutls_pcert_st **, unsigned *,
                          struct gnutls_privkey_st **)
{
    return -1;
}

static struct MHD_Daemon *start_mhd(struct listener *listener, int fd, const struct listener_limits *limits,
                                    const struct listener_callbacks *callbacks)
{
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)no_certificate},
                                   {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
                                   {MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG |
            (limits->is_tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, callbacks->handle, listener, MHD_OPTION_EXTERNAL_LOGGER, log_mhd,
        NULL, /* this one must come first */
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, limits->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
        limits->silence_s, MHD_OPTION_NOTIFY_CONNECTION, callbacks->connection, listener,
        MHD_OPTION_URI_LOG_CALLBACK, callbacks->begin, listener, MHD_OPTION_NOTIFY_COMPLETED, callbacks->end,
        listener, MHD_OPTION_ARRAY, limits->is_tls ? tls : plain, MHD_OPTION_END);
}

struct listener *listener_new(uv_loop_t *loop, const struct address *address, int socket,
                              const struct listener_limits *limits,
                              const struct listener_callbacks *callbacks, void *user, struct problem *problem)
{
    int fd = socket < 0 ? open_socket(address) : socket;

    if (fd < 0) {
        listen_problem(address, problem);
        return NULL;
    }

    struct listener *listener = memory_new(sizeof *listener);

    listener->user = user;
    listener->address.size = sizeof listener->address.storage;
    require(getsockname(fd, (struct sockaddr *)&listener->address.storage, &listener->address.size) == 0);
    listener->limits = *limits;
    listener->mhd = start_mhd(listener, fd, limits, callbacks);
    if (!listener->mhd) {
        listen_problem(address, problem);
        close(fd);
        free(listener);
        return NULL;
    }

    const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->mhd, MHD_DAEMON_INFO_EPOLL_FD);

    listener->poll.data = listener->timer.data = listener->again.data = listener;
    listener->n_handles = 3;
    require(uv_timer_init(loop, &listener->timer) == 0);
    require(uv_idle_init(loop, &listener->again) == 0);
    require(uv_poll_init(loop, &listener->poll, info->epoll_fd) == 0);
    require(uv_poll_start(&listener->poll, UV_READABLE, poll_cb) == 0);
    return listener;
}

void *listener_user(const struct listener *listener)
{
    return listener->user;
}

const struct address *listener_address(const struct listener *listener)
{
    return &listener->address;
}

void listener_quiesce(struct listener *listener)
{
    int fd = MHD_quiesce_daemon(listener->mhd);

    if (fd >= 0)
        close(fd);
}

static void closed_cb(uv_handle_t *handle)
{
    struct listener *listener = handle->data;

    if (--listener->n_handles == 0)
        free(listener);
}

void listener_close(struct listener *listener)
{
    uv_close((uv_handle_t *)&listener->poll, closed_cb);
    uv_close((uv_handle_t *)&listener->timer, closed_cb);
    uv_close((uv_handle_t *)&listener->again, closed_cb);
    MHD_stop_daemon(listener->mhd);
}
