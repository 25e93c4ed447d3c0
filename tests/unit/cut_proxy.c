/* SPDX-License-Identifier: MIT */
/* Passes bytes between MySQL clients and their server, on a thread of its own, until it is to cut. */
#include "tests/unit/cut_proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/memory.h"
#include "proto/require.h"

#define MAX_PAIRS 16

struct pair {
    int client, server; /* -1: free */
    bool cuts_answer;   /* the statement went through; its answer is the end */
    unsigned lie;       /* the answer to the last statement is another one: this error; or 0 */
    size_t n_until_lie; /* answers, that one included */
};

struct cut_proxy {
    char path[64];
    char server_path[108];
    pthread_t thread;
    int wake[2];                  /* a byte makes the thread look at what is under the mutex */
    struct pair pairs[MAX_PAIRS]; /* the thread's */
    int listener;                 /* the thread's; -1: closed */

    pthread_mutex_t mutex;
    pthread_cond_t has_looked;
    bool is_ending, wants_open, is_open;
    bool is_armed, has_cut;
    enum cut cut;
    unsigned error;
    char statement[64];
};

static struct sockaddr_un socket_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    require(strlen(path) < sizeof address.sun_path);
    strcpy(address.sun_path, path);
    return address;
}

static void end_pair(struct pair *pair)
{
    if (pair->client >= 0) {
        close(pair->client);
        close(pair->server);
    }
    *pair = (struct pair){-1, -1, false, 0};
}

static void set_open(struct cut_proxy *proxy, bool is_open)
{
    if (is_open && proxy->listener < 0) {
        struct sockaddr_un address = socket_address(proxy->path);
        proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        require(bind(proxy->listener, (struct sockaddr *)&address, sizeof address) == 0);
        require(listen(proxy->listener, 16) == 0);
    } else if (!is_open && proxy->listener >= 0) {
        close(proxy->listener);
        unlink(proxy->path);
        proxy->listener = -1;
        for (size_t i = 0; i < MAX_PAIRS; i++)
            end_pair(&proxy->pairs[i]);
    }
}

static void accept_client(struct cut_proxy *proxy)
{
    struct sockaddr_un address = socket_address(proxy->server_path);
    size_t i = 0;
    while (i < MAX_PAIRS && proxy->pairs[i].client >= 0)
        i++;
    require(i < MAX_PAIRS);
    struct pair *pair = &proxy->pairs[i];
    pair->client = accept(proxy->listener, NULL, NULL);
    pair->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(connect(pair->server, (struct sockaddr *)&address, sizeof address) == 0);
}

/* A query's packet: three bytes of length, a number, the command (3), from Oracle's library the number of
 * attributes (none) and of their sets (1), text. Where the text begins, or 0. */
static size_t find_text(const char *bytes, size_t size)
{
    if (size < 7 || bytes[4] != 3)
        return 0;
    return bytes[5] == 0 && bytes[6] == 1 ? 7 : 5;
}

/* Does one of the text's statements begin so? */
static bool has_statement(const char *text, size_t size, const char *statement)
{
    size_t length = strlen(statement);
    for (size_t i = 0; i + length <= size; i++)
        if ((i == 0 || text[i - 1] == ';') && memcmp(text + i, statement, length) == 0)
            return true;
    return false;
}

/* Is it among these statements, and what is to be cut? */
static bool is_armed_for(struct cut_proxy *proxy, const char *bytes, size_t size, enum cut *cut,
                         unsigned *error)
{
    size_t text = find_text(bytes, size);
    pthread_mutex_lock(&proxy->mutex);
    bool is_it = proxy->is_armed && text && has_statement(bytes + text, size - text, proxy->statement);
    if (is_it) {
        proxy->is_armed = false;
        *cut = proxy->cut;
        *error = proxy->error;
    }
    pthread_mutex_unlock(&proxy->mutex);
    return is_it;
}

static void note_cut(struct cut_proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->has_cut = true;
    pthread_mutex_unlock(&proxy->mutex);
}

/* The packet of an error: length, its number, 0xff, code, "#" and SQLSTATE, text. Returns its size. */
static ssize_t put_error(char *bytes, char number, unsigned code)
{
    static const char text[] = "#HY000planted by a test";
    size_t size = 3 + sizeof text - 1;
    const char head[] = {(char)size, 0, 0, number, '\xff', (char)(code & 0xff), (char)(code >> 8)};
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, text, sizeof text - 1);
    return (ssize_t)(4 + size);
}

static bool is_sent(int fd, const char *bytes, ssize_t size)
{
    return send(fd, bytes, (size_t)size, MSG_NOSIGNAL) == size;
}

/* As many answers come to them, one packet each but for what brings rows. */
static size_t count_statements(const char *bytes, size_t size)
{
    size_t n = 1;
    for (size_t i = 0; i < size; i++)
        n += bytes[i] == ';';
    return n;
}

/* What the client has sent. False: that was the end of the pair. */
static bool pass_statement(struct cut_proxy *proxy, struct pair *pair, char *bytes, ssize_t size)
{
    enum cut cut;
    unsigned error;
    if (!is_armed_for(proxy, bytes, (size_t)size, &cut, &error))
        return is_sent(pair->server, bytes, size);
    if (cut == CUT_BEFORE || cut == CUT_REFUSE)
        note_cut(proxy);
    if (cut == CUT_BEFORE)
        return false;
    if (cut == CUT_REFUSE)
        return is_sent(pair->client, bytes, put_error(bytes, 1, error));
    pair->cuts_answer = cut == CUT_AFTER;
    pair->lie = cut == CUT_LIE ? error : 0;
    pair->n_until_lie = count_statements(bytes, (size_t)size);
    return is_sent(pair->server, bytes, size);
}

/* Puts the lie in the place of the last statement's answer, once that has come. Returns the new size. */
static ssize_t lie_at_last(struct cut_proxy *proxy, struct pair *pair, char *bytes, ssize_t size)
{
    ssize_t at = 0;
    while (at + 4 <= size && --pair->n_until_lie)
        at += 4 + (unsigned char)bytes[at] + ((unsigned char)bytes[at + 1] << 8);
    if (pair->n_until_lie)
        return size;
    note_cut(proxy);
    size = at + put_error(bytes + at, bytes[at + 3], pair->lie);
    pair->lie = 0;
    return size;
}

/* What the server has sent. False: that was the end of the pair. */
static bool pass_answer(struct cut_proxy *proxy, struct pair *pair, char *bytes, ssize_t size)
{
    if (pair->cuts_answer) {
        note_cut(proxy);
        return false;
    }
    if (pair->lie)
        size = lie_at_last(proxy, pair, bytes, size);
    return is_sent(pair->client, bytes, size);
}

static void pass(struct cut_proxy *proxy, struct pair *pair, bool is_from_client)
{
    char bytes[65536];
    ssize_t size = read(is_from_client ? pair->client : pair->server, bytes, sizeof bytes);
    if (size <= 0 ||
        !(is_from_client ? pass_statement(proxy, pair, bytes, size) : pass_answer(proxy, pair, bytes, size)))
        end_pair(pair);
}

/* False: the thread ends. */
static bool look(struct cut_proxy *proxy)
{
    char byte;
    require(read(proxy->wake[0], &byte, 1) == 1);
    pthread_mutex_lock(&proxy->mutex);
    set_open(proxy, proxy->wants_open);
    proxy->is_open = proxy->wants_open;
    bool goes_on = !proxy->is_ending;
    pthread_cond_signal(&proxy->has_looked);
    pthread_mutex_unlock(&proxy->mutex);
    return goes_on;
}

static void *run(void *argument)
{
    struct cut_proxy *proxy = argument;
    for (;;) {
        struct pollfd fds[2 + 2 * MAX_PAIRS];
        fds[0] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
        fds[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (size_t i = 0; i < MAX_PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].server, .events = POLLIN};
        }
        poll(fds, sizeof fds / sizeof *fds, -1);
        if (fds[0].revents) {
            if (!look(proxy))
                return NULL;
            continue; /* the descriptors may have changed */
        }
        for (size_t i = 0; i < MAX_PAIRS; i++) {
            if (fds[2 + 2 * i].revents)
                pass(proxy, &proxy->pairs[i], true);
            else if (fds[3 + 2 * i].revents)
                pass(proxy, &proxy->pairs[i], false);
        }
        if (fds[1].revents)
            accept_client(proxy);
    }
}

/* Tells the thread, and waits until it has done it. */
static void ask_open(struct cut_proxy *proxy, bool is_open, bool is_ending)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->wants_open = is_open;
    proxy->is_ending = is_ending;
    require(write(proxy->wake[1], "", 1) == 1);
    while (proxy->is_open != is_open)
        pthread_cond_wait(&proxy->has_looked, &proxy->mutex);
    pthread_mutex_unlock(&proxy->mutex);
}

struct cut_proxy *cut_proxy_new(char *url, size_t url_size)
{
    struct cut_proxy *proxy = memory_new(sizeof *proxy);
    char *socket_path = strstr(url, "unix_socket=");
    require(socket_path != NULL);
    socket_path += strlen("unix_socket=");
    snprintf(proxy->server_path, sizeof proxy->server_path, "%s", socket_path);
    snprintf(proxy->path, sizeof proxy->path, "/tmp/studyd-proxy-%d", (int)getpid());
    snprintf(socket_path, url_size - (size_t)(socket_path - url), "%s", proxy->path);
    proxy->listener = -1;
    for (size_t i = 0; i < MAX_PAIRS; i++)
        proxy->pairs[i] = (struct pair){-1, -1, false, 0};
    pthread_mutex_init(&proxy->mutex, NULL);
    pthread_cond_init(&proxy->has_looked, NULL);
    require(pipe(proxy->wake) == 0);
    require(pthread_create(&proxy->thread, NULL, run, proxy) == 0);
    ask_open(proxy, true, false);
    return proxy;
}

void cut_proxy_free(struct cut_proxy *proxy)
{
    ask_open(proxy, false, true);
    pthread_join(proxy->thread, NULL);
    close(proxy->wake[0]);
    close(proxy->wake[1]);
    free(proxy);
}

void cut_proxy_arm(struct cut_proxy *proxy, enum cut cut, unsigned error, const char *statement)
{
    pthread_mutex_lock(&proxy->mutex);
    proxy->is_armed = true;
    proxy->has_cut = false;
    proxy->cut = cut;
    proxy->error = error;
    snprintf(proxy->statement, sizeof proxy->statement, "%s", statement);
    pthread_mutex_unlock(&proxy->mutex);
}

bool cut_proxy_has_cut(struct cut_proxy *proxy)
{
    pthread_mutex_lock(&proxy->mutex);
    bool has_cut = proxy->has_cut;
    pthread_mutex_unlock(&proxy->mutex);
    return has_cut;
}

void cut_proxy_close(struct cut_proxy *proxy)
{
    ask_open(proxy, false, false);
}

void cut_proxy_open(struct cut_proxy *proxy)
{
    ask_open(proxy, true, false);
}
