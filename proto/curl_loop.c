/* SPDX-License-Identifier: MIT */
/* Drives libcurl's multi interface from a libuv loop. */
#include "proto/curl_loop.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

struct curl_loop {
    CURLM *multi;
    uv_loop_t *loop;
    uv_timer_t timer;
    curl_loop_done_cb *done;
    size_t n_handles; /* the timer, and one for each watched socket: this is freed when the last is closed */
    void (*closed)(void *user);
    void *user;
};

struct watched_socket {
    uv_poll_t poll;
    curl_socket_t fd;
    struct curl_loop *curl;
};

static void let_go(struct curl_loop *curl)
{
    if (--curl->n_handles > 0)
        return;

    void (*closed)(void *user) = curl->closed;
    void *user = curl->user;

    free(curl);
    curl_global_cleanup();
    closed(user);
}

static void take_finished(struct curl_loop *curl)
{
    CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(curl->multi, &n_left))) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;

        curl_multi_remove_handle(curl->multi, easy); /* `message` is gone from here on */
        curl->done(easy, result);
    }
}

static void act(struct curl_loop *curl, curl_socket_t fd, int events)
{
    int n_running;

    curl_multi_socket_action(curl->multi, fd, events, &n_running);
    take_finished(curl);
}

static void socket_cb(uv_poll_t *poll, int status, int events)
{
    struct watched_socket *watched = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(watched->curl, watched->fd, flags);
}

static void socket_closed_cb(uv_handle_t *handle)
{
    struct watched_socket *watched = handle->data;
    struct curl_loop *curl = watched->curl;

    free(watched);
    let_go(curl);
}

static struct watched_socket *watch(struct curl_loop *curl, curl_socket_t fd)
{
    struct watched_socket *watched = memory_new(sizeof *watched);

    watched->fd = fd;
    watched->curl = curl;
    require(uv_poll_init_socket(curl->loop, &watched->poll, fd) == 0);
    watched->poll.data = watched;
    curl->n_handles++;
    curl_multi_assign(curl->multi, fd, watched);
    return watched;
}

/* libcurl says what it wants to know about a socket. */
static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct curl_loop *curl = user;
    struct watched_socket *watched = socket_user;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(curl->multi, fd, NULL);
            uv_close((uv_handle_t *)&watched->poll, socket_closed_cb);
        }
        return 0;
    }
    if (!watched)
        watched = watch(curl, fd);
    uv_poll_start(&watched->poll,
                  (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
                  socket_cb);
    return 0;
}

static void timer_cb(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct curl_loop *curl = user;

    (void)multi;
    uv_update_time(curl->loop); /* libcurl does not ask again when called too early */
    if (timeout_ms < 0)
        uv_timer_stop(&curl->timer);
    else
        uv_timer_start(&curl->timer, timer_cb, (uint64_t)timeout_ms, 0);
    return 0;
}

struct curl_loop *curl_loop_new(uv_loop_t *loop, curl_loop_done_cb *done)
{
    struct curl_loop *curl = memory_new(sizeof *curl);

    require(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    *curl = (struct curl_loop){.multi = curl_multi_init(), .loop = loop, .done = done, .n_handles = 1};
    require(curl->multi);
    require(uv_timer_init(loop, &curl->timer) == 0);
    curl->timer.data = curl;
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    return curl;
}

void curl_loop_add(struct curl_loop *curl, CURL *easy)
{
    require(curl_multi_add_handle(curl->multi, easy) == CURLM_OK);
}

void curl_loop_remove(struct curl_loop *curl, CURL *easy)
{
    curl_multi_remove_handle(curl->multi, easy);
}

static void timer_closed_cb(uv_handle_t *handle)
{
    let_go(handle->data);
}

void curl_loop_close(struct curl_loop *curl, void (*closed)(void *user), void *user)
{
    curl->closed = closed;
    curl->user = user;
    curl_multi_cleanup(curl->multi);
    uv_close((uv_handle_t *)&curl->timer, timer_closed_cb);
}
