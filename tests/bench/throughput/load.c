/* SPDX-License-Identifier: MIT */
/*
 * Clients of studyd in one thread, each on its own connection: ask, tell, ask, tell, as fast as the answers
 * come.
 *
 *   load PORT STUDY CLIENTS SECONDS [PAIRS]      ends after so long, or so many
 *
 * Says in JSON how many pairs were acknowledged, and how long an ask took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/memory.h"

#define MAX_CLIENTS 1000
#define MAX_PAIRS 1000000

struct client {
    int fd;
    bool is_telling; /* the answer under way is a tell's, not an ask's */
    double asked_at_s;
    struct buffer request; /* what is still to be sent */
    struct buffer answer;  /* what came so far */
};

static const char *study;
static struct client *clients;
static double ask_s[MAX_PAIRS];
static size_t n_asks, n_pairs;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "load: %s: %s\n", what, detail);
    exit(1);
}

static int connect_loopback(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("cannot connect", strerror(errno));
    return fd;
}

static void send_request(struct client *client, const char *path, const char *body)
{
    buffer_printf(&client->request,
                  "POST /v1/studies/%s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  study, path, strlen(body), body);
    ssize_t sent = send(client->fd, client->request.data, client->request.size, MSG_NOSIGNAL);
    if (sent != (ssize_t)client->request.size) /* a few hundred bytes fit into any socket's buffer */
        give_up("cannot send", strerror(errno));
    buffer_clear(&client->request);
}

static void ask(struct client *client)
{
    client->is_telling = false;
    client->asked_at_s = now_s();
    send_request(client, "ask", "{}");
}

/* A bowl with its bottom at 0.3 in each direction: a history as TPE makes it. */
static double objective(json_t *params)
{
    double sum = 0;
    const char *name;
    json_t *value;
    json_object_foreach (params, name, value)
        sum += (json_number_value(value) - 0.3) * (json_number_value(value) - 0.3);
    return sum;
}

static void tell(struct client *client, json_t *answer)
{
    json_t *trial = json_array_get(json_object_get(answer, "trials"), 0);
    const char *lease = json_string_value(json_object_get(trial, "lease"));
    if (!lease)
        give_up("no trial in the answer to ask", buffer_text(&client->answer));
    char path[64], body[256];
    snprintf(path, sizeof path, "trials/%lld/tell",
             (long long)json_integer_value(json_object_get(trial, "number")));
    snprintf(body, sizeof body, "{\"lease\":\"%s\",\"value\":%.17g}", lease,
             objective(json_object_get(trial, "params")));
    client->is_telling = true;
    send_request(client, path, body);
}

/* Where the whole answer is there: its body, else NULL. */
static const char *body_of(const struct client *client)
{
    const char *text = buffer_text(&client->answer);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    if (!end || !length || length > end)
        return NULL;
    size_t size = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    return client->answer.size >= (size_t)(end + 4 - text) + size ? end + 4 : NULL;
}

static void on_answer(struct client *client, const char *body)
{
    if (strncmp(client->answer.data, "HTTP/1.1 200", 12) != 0)
        give_up("refused", client->answer.data);
    if (client->is_telling) {
        n_pairs++;
        buffer_clear(&client->answer);
        ask(client);
        return;
    }
    if (n_asks < MAX_PAIRS)
        ask_s[n_asks++] = now_s() - client->asked_at_s;
    json_t *answer = json_loads(body, 0, NULL);
    tell(client, answer);
    json_decref(answer);
    buffer_clear(&client->answer);
}

static void on_readable(struct client *client)
{
    char bytes[16384];
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);
    if (size <= 0)
        give_up("connection lost", size < 0 ? strerror(errno) : "closed by studyd");
    buffer_append(&client->answer, bytes, (size_t)size);
    const char *body = body_of(client);
    if (body)
        on_answer(client, body);
}

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void print_result(double seconds)
{
    qsort(ask_s, n_asks, sizeof *ask_s, by_size);
    printf("{\"pairs\": %zu, \"seconds\": %.6f, \"ask_p50_ms\": %.3f, \"ask_p99_ms\": %.3f}\n", n_pairs,
           seconds, n_asks ? 1e3 * ask_s[n_asks / 2] : 0, n_asks ? 1e3 * ask_s[n_asks * 99 / 100] : 0);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        give_up("usage", "load PORT STUDY CLIENTS SECONDS [PAIRS]");
    study = argv[2];
    size_t n_clients = strtoul(argv[3], NULL, 10);
    double limit_s = strtod(argv[4], NULL);
    size_t most_pairs = argc > 5 ? strtoul(argv[5], NULL, 10) : MAX_PAIRS;
    if (n_clients < 1 || n_clients > MAX_CLIENTS || !(limit_s > 0))
        give_up("usage", "CLIENTS is 1 to 1000, SECONDS above 0");

    clients = memory_array(n_clients, sizeof *clients);
    struct pollfd *polls = memory_array(n_clients, sizeof *polls);
    for (size_t i = 0; i < n_clients; i++) {
        clients[i].fd = connect_loopback((unsigned)strtoul(argv[1], NULL, 10));
        polls[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    }

    double begin_s = now_s();
    for (size_t i = 0; i < n_clients; i++)
        ask(&clients[i]);
    while (now_s() - begin_s < limit_s && n_pairs < most_pairs) {
        if (poll(polls, n_clients, 1000) < 0)
            give_up("poll", strerror(errno));
        for (size_t i = 0; i < n_clients; i++)
            if (polls[i].revents)
                on_readable(&clients[i]);
    }
    print_result(now_s() - begin_s);

    for (size_t i = 0; i < n_clients; i++) {
        close(clients[i].fd);
        buffer_deinit(&clients[i].request);
        buffer_deinit(&clients[i].answer);
    }
    free(polls);
    free(clients);
    return 0;
}
