/* SPDX-License-Identifier: MIT */
/* Unit tests of the patience with clients: who takes too long finds its socket shut down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "daemon/http/clients.h"

#define LIMIT_MS 200

static uv_loop_t loop;
static struct clients *clients;

/* A client, and the other end of its connection. */
struct peer {
    int ours, theirs;
    struct client *client;
};

static struct peer connect_peer(void)
{
    struct peer peer;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    peer = (struct peer){.ours = fds[0], .theirs = fds[1], .client = client_new(clients, fds[0])};
    return peer;
}

static void disconnect(struct peer *peer)
{
    client_free(peer->client);
    close(peer->ours);
    close(peer->theirs);
}

static bool is_cut(const struct peer *peer)
{
    char byte;

    return recv(peer->theirs, &byte, 1, 0) == 0;
}

static void wait_until_cut(const struct peer *peer)
{
    while (!is_cut(peer))
        uv_run(&loop, UV_RUN_ONCE);
}

static int setup(void **)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    clients = clients_new(&loop, LIMIT_MS);
    return 0;
}

static int teardown(void **)
{
    clients_close(clients);
    while (uv_run(&loop, UV_RUN_DEFAULT))
        ;
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

/* Its time begins with the connection. */
static void test_who_does_nothing_is_cut_off(void **)
{
    struct peer peer = connect_peer();
    uint64_t since_ms = uv_now(&loop);

    wait_until_cut(&peer);
    assert_true(uv_now(&loop) - since_ms >= LIMIT_MS);
    disconnect(&peer);
}

static void expire_cb(uv_timer_t *)
{
}

/* The loop turns until half of the limit is over. */
static void turn(void)
{
    uint64_t until_ms = uv_now(&loop) + LIMIT_MS / 2;
    uv_timer_t timer;

    assert_int_equal(uv_timer_init(&loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, expire_cb, LIMIT_MS / 2, 0), 0);
    while (uv_now(&loop) < until_ms)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

/* Something new has all of its time, wherever in the list its client was. */
static void test_time_begins_anew(void **)
{
    for (int i = 0; i < 3; i++) {
        struct peer peers[3] = {connect_peer(), connect_peer(), connect_peer()};
        uint64_t since_ms;

        turn();
        client_restart(peers[i].client);
        since_ms = uv_now(&loop);
        wait_until_cut(&peers[i]);
        assert_true(uv_now(&loop) - since_ms >= LIMIT_MS);
        for (int k = 0; k < 3; k++) {
            assert_true(is_cut(&peers[k]));
            disconnect(&peers[k]);
        }
    }
}

/* Who waits for us is left alone, until it is its turn again. */
static void test_who_is_held_is_not_cut_off(void **)
{
    struct peer held = connect_peer(), other = connect_peer();

    client_hold(held.client);
    client_hold(held.client);
    wait_until_cut(&other);
    assert_false(is_cut(&held));
    client_restart(held.client);
    wait_until_cut(&held);
    disconnect(&held);
    disconnect(&other);
}

/* Who leaves is forgotten: first, last, in between, or held. */
static void test_who_leaves(void **)
{
    struct peer peers[5] = {connect_peer(), connect_peer(), connect_peer(), connect_peer(), connect_peer()};

    client_hold(peers[4].client);
    for (int i = 0; i < 5; i += 2)
        disconnect(&peers[i]);
    wait_until_cut(&peers[1]);
    wait_until_cut(&peers[3]);
    disconnect(&peers[3]);
    disconnect(&peers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_does_nothing_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_begins_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_held_is_not_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_leaves, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
