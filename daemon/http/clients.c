/* SPDX-License-Identifier: MIT */
/* Watches how long clients take. All have the same limit, so that the list of those that are watched is in
 * the order of their deadlines. */
#include "daemon/http/clients.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/http/address.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

/* A thousand slow clients are one line, told when the flood is seen, and again while it lasts. */
#define TELL_AFTER_MS 1000
#define TELL_EVERY_MS 60000

struct client {
    struct clients *clients; /* borrowed */
    int fd;                  /* borrowed */
    bool is_watched;
    uint64_t since_ms;             /* the loop's time */
    struct client *before, *after; /* in the list, where it is watched */
};

struct clients {
    uint64_t limit_ms;
    uv_timer_t timer; /* for the first's deadline, or what is to be told, or earlier */
    size_t n_clients;
    struct client *first, *last; /* borrowed */
    size_t n_cut;                /* not told yet */
    uint64_t tell_ms;            /* when that may be told */
    char last_cut[ADDRESS_TEXT_SIZE];
};

/* ---- the list ---- */

static void unwatch(struct client *client)
{
    struct clients *clients = client->clients;

    if (!client->is_watched)
        return;
    client->is_watched = false;
    *(client->before ? &client->before->after : &clients->first) = client->after;
    *(client->after ? &client->after->before : &clients->last) = client->before;
}

static void watch(struct client *client)
{
    struct clients *clients = client->clients;

    client->is_watched = true;
    client->since_ms = uv_now(clients->timer.loop);
    client->before = clients->last;
    client->after = NULL;
    *(clients->last ? &clients->last->after : &clients->first) = client;
    clients->last = client;
}

/* ---- the end of patience ---- */

static void format_peer(int fd, char text[ADDRESS_TEXT_SIZE])
{
    struct address address = {.size = sizeof address.storage};

    if (getpeername(fd, (struct sockaddr *)&address.storage, &address.size) == 0)
        address_format(&address, text);
    else
        strcpy(text, "?"); /* it has left meanwhile */
}

static uint64_t deadline_ms(const struct client *client)
{
    return client->since_ms + client->clients->limit_ms;
}

static void timer_cb(uv_timer_t *timer);

static void arm(struct clients *clients)
{
    uint64_t now_ms = uv_now(clients->timer.loop), next_ms = UINT64_MAX;

    if (clients->first)
        next_ms = deadline_ms(clients->first);
    if (clients->n_cut && clients->tell_ms < next_ms)
        next_ms = clients->tell_ms;
    if (next_ms < UINT64_MAX)
        uv_timer_start(&clients->timer, timer_cb, next_ms > now_ms ? next_ms - now_ms : 0, 0);
}

static void tell(struct clients *clients)
{
    log_warning("slow clients were cut off count=%zu last=%s reason=\"their requests did not arrive, or the "
                "answers were not taken, within request_timeout_s\"",
                clients->n_cut, clients->last_cut);
    clients->tell_ms = uv_now(clients->timer.loop) + TELL_EVERY_MS;
    clients->n_cut = 0;
}

static void cut(struct client *client)
{
    struct clients *clients = client->clients;
    uint64_t soon_ms = uv_now(clients->timer.loop) + TELL_AFTER_MS;

    unwatch(client);
    format_peer(client->fd, clients->last_cut);
    shutdown(client->fd, SHUT_RDWR);
    if (clients->n_cut++ == 0 && clients->tell_ms < soon_ms)
        clients->tell_ms = soon_ms;
}

static void timer_cb(uv_timer_t *timer)
{
    struct clients *clients = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    while (clients->first && deadline_ms(clients->first) <= now_ms)
        cut(clients->first);
    if (clients->n_cut && clients->tell_ms <= now_ms)
        tell(clients);
    arm(clients);
}

/* ---- a client ---- */

struct client *client_new(struct clients *clients, int fd)
{
    struct client *client = memory_new(sizeof *client);

    client->clients = clients;
    client->fd = fd;
    clients->n_clients++;
    client_restart(client);
    return client;
}

void client_free(struct client *client)
{
    unwatch(client);
    client->clients->n_clients--;
    free(client);
}

void client_restart(struct client *client)
{
    struct clients *clients = client->clients;

    unwatch(client);
    watch(client);
    if (clients->first == client)
        arm(clients);
}

void client_hold(struct client *client)
{
    unwatch(client);
}

/* ---- all ---- */

struct clients *clients_new(uv_loop_t *loop, uint64_t limit_ms)
{
    struct clients *clients = memory_new(sizeof *clients);

    clients->limit_ms = limit_ms;
    clients->timer.data = clients;
    require(uv_timer_init(loop, &clients->timer) == 0);
    return clients;
}

static void closed_cb(uv_handle_t *timer)
{
    free(timer->data);
}

void clients_close(struct clients *clients)
{
    require(clients->n_clients == 0);
    if (clients->n_cut)
        tell(clients);
    uv_close((uv_handle_t *)&clients->timer, closed_cb);
}
