/* SPDX-License-Identifier: MIT */
/*
 * The server as clients see it: bytes on a connection, in front of the real routes, studies and SQLite store.
 *
 * Each input meets the same world: a study `s` whose trial 0 is complete and 1 is handed out. Their leases,
 * which nobody can guess, are written as 32 times "0" and "1". Time stands, but passes where all wait for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/http/failed_auth.h"
#include "daemon/http/server.h"
#include "daemon/http/traffic.h"
#include "daemon/ports.h"
#include "daemon/store/store.h"
#include "daemon/study/study.h"
#include "proto/json_read.h"
#include "proto/log.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

#define TURN_MS 1
#define IDLE_TURNS 4        /* then nothing but time is waited for, where an ask waits; */
#define LONG_IDLE_TURNS 500 /* else it may still be the disk, or an ask of all */
#define MAX_TURNS 20000     /* then somebody is stuck */
#define WAIT_MS 61000       /* longer than an ask may wait, and than a lease */
#define REQUEST_TIMEOUT_S 75

static uv_loop_t loop;
static struct ports ports;
static struct study_ports real_ports;
static struct http_context context;
static struct server *server;
static struct sockaddr_in address;
static int64_t passed_ms; /* ahead of the real clock */
static char leases[2][MESSAGE_LEASE_SIZE];
static size_t n_changes, n_known; /* that went to the store; when the world was made */

/* ---- ports: the clock is ours ---- */

static int64_t now_ms(void *user)
{
    return real_ports.now_ms(user) + passed_ms;
}

static void wake(void *user, int64_t at_ms)
{
    real_ports.wake(user, at_ms == INT64_MAX ? INT64_MAX : at_ms - passed_ms);
}

static int submit(void *user, struct store_record *record)
{
    n_changes++;
    return real_ports.submit(user, record);
}

static void pass_time(void)
{
    passed_ms += WAIT_MS;
    studies_tick(context.studies);
}

static bool is_ask_waiting(void)
{
    for (size_t i = 0; i < studies_count(context.studies); i++)
        if (study_n_waiting_asks(studies_get(context.studies, i)) > 0)
            return true;
    return false;
}

/* Until something happens, but not for long. Nothing did: false. */
static bool turn(int client)
{
    struct pollfd files[] = {{uv_backend_fd(&loop), POLLIN, 0}, {client, POLLIN, 0}};
    int n = poll(files, 2, TURN_MS);

    uv_run(&loop, UV_RUN_NOWAIT);
    return n > 0;
}

/* ---- one connection ---- */

static int connect_client(void)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    require(client >= 0 && connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    require(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
    return client;
}

/* What the server takes; the last byte is followed by the end. */
static void send_more(int client, const uint8_t *data, size_t size, size_t *sent)
{
    ssize_t n;

    if (*sent > size)
        return;
    while (*sent < size && (n = send(client, data + *sent, size - *sent, MSG_NOSIGNAL)) > 0)
        *sent += (size_t)n;
    if (*sent == size && shutdown(client, SHUT_WR) == 0)
        ++*sent;
}

/* Turns the loop once more, the n-th time; where nothing happens any more but an ask is open, time passes. */
static void wait_for_server(int client, int n, int *n_idle)
{
    require(n < MAX_TURNS);
    *n_idle = turn(client) ? 0 : *n_idle + 1;
    if (*n_idle < (is_ask_waiting() ? IDLE_TURNS : LONG_IDLE_TURNS) ||
        studies_open_calls(context.studies) == 0)
        return;
    *n_idle = 0;
    pass_time();
}

/* Until the server has closed; it does when it has answered all, for the client says no more. */
static void exchange(int client, const uint8_t *data, size_t size, struct buffer *answer)
{
    char bytes[4096];
    size_t sent = 0;
    int n_idle = 0;

    for (int n = 0;; n++) {
        send_more(client, data, size, &sent);
        wait_for_server(client, n, &n_idle);

        ssize_t got = recv(client, bytes, sizeof bytes, 0);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            return;
        if (got > 0)
            buffer_append(answer, bytes, (size_t)got);
    }
}

/* Whatever was asked for comes to its end, though the client may have left. */
static void settle(void)
{
    int n_idle = 0;

    for (int n = 0; server_open_requests(server) > 0 || studies_open_calls(context.studies) > 0; n++)
        wait_for_server(-1, n, &n_idle);
}

/* A client that says NUL at last leaves without waiting for an answer. */
static void serve(const void *data, size_t size, struct buffer *answer)
{
    int client = connect_client();
    size_t sent = 0;

    if (size > 0 && ((const char *)data)[size - 1] == '\0')
        send_more(client, data, size - 1, &sent);
    else
        exchange(client, data, size, answer);
    close(client);
    settle();
}

/* ---- the world ---- */

static void done_cb(struct study_call *call)
{
    *(bool *)call->user = true;
}

static void delete_first_study(void)
{
    bool is_done = false;
    struct study_call call = {.done = done_cb, .user = &is_done};

    study_delete(context.studies, studies_get(context.studies, 0), true, &call);
    settle();
    require(is_done && call.problem.type == PROBLEM_NONE);
}

/* Gives the answer's lease, where it has one. */
static void post(const char *path, const char *body, char lease[MESSAGE_LEASE_SIZE])
{
    BUFFER_AUTO struct buffer text = {}, answer = {};

    buffer_printf(&text,
                  "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                  "%zu\r\n\r\n%s",
                  path, strlen(body), body);
    serve(text.data, text.size, &answer);
    if (strncmp(buffer_text(&answer), "HTTP/1.1 20", 11) != 0)
        log_error("%s %s was answered: %s", path, body, buffer_text(&answer));
    require(strncmp(buffer_text(&answer), "HTTP/1.1 20", 11) == 0);

    const char *found = strstr(answer.data, "\"lease\":\"");

    if (found)
        snprintf(lease, MESSAGE_LEASE_SIZE, "%s", found + 9);
}

static void make_world(void)
{
    char tell[100];

    while (studies_count(context.studies) > 0)
        delete_first_study();
    post("/v1/studies",
         "{\"name\": \"s\", \"directions\": [\"minimize\"], \"objective\": {\"runner\": \"r\"}, \"sampler\": "
         "{\"type\": \"tpe\", \"seed\": 1}, \"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": "
         "1}, "
         "\"n\": {\"type\": \"int\", \"low\": 1, \"high\": 9, \"log\": true}, \"c\": {\"type\": "
         "\"categorical\", \"choices\": [\"a\", null, 2.5]}}}",
         NULL);
    post("/v1/studies/s/ask", "{\"worker\": \"w\"}", leases[0]);
    snprintf(tell, sizeof tell, "{\"lease\": \"%s\", \"value\": 1}", leases[0]);
    post("/v1/studies/s/trials/0/tell", tell, NULL);
    post("/v1/studies/s/ask", "{\"worker\": \"w\"}", leases[1]);
    n_known = n_changes;
}

static bool is_loaded;

static void loaded_cb(void *)
{
    studies_loaded(context.studies);
    is_loaded = true;
}

static void condition_cb(void *, enum store_condition condition, const char *)
{
    require(condition == STORE_WORKS);
}

static void failed_cb(void *, int, const char *)
{
    require(!"the store works");
}

/* On a file in memory, where there is one: nothing has to outlive this process. */
static void open_store(void)
{
    static const struct store_observer observer = {
        .loaded = loaded_cb, .condition = condition_cb, .failed = failed_cb};
    const struct store_sink sink = studies_sink(context.studies);
    const char *parent = getenv("TMPDIR");
    struct problem problem = {};
    char directory[200], url[256];

    snprintf(directory, sizeof directory, "%s/fuzz-XXXXXX", parent ? parent : "/dev/shm");
    require(mkdtemp(directory));
    snprintf(url, sizeof url, "sqlite:///%s/studyd.db", directory);
    ports.store = store_new(&loop, url, NULL, &sink, &observer, &problem);
    require(ports.store);
    context.store_name = store_name(ports.store);
    while (!is_loaded)
        uv_run(&loop, UV_RUN_ONCE);
}

static void listen_on_loopback(void)
{
    struct problem problem = {};
    struct address wanted;

    server = server_new(&loop, &context, REQUEST_TIMEOUT_S);
    require(address_parse(&wanted, "127.0.0.1:0", &problem) == 0);
    require(server_listen(server, &wanted, -1, 100, &problem) == 0);
    memcpy(&address, &server_address(server, 0)->storage, sizeof address);
}

static void store_stats_cb(void *, struct store_stats *stats)
{
    store_stats(ports.store, stats);
}

static void start(void)
{
    struct study_ports study_ports;

    log_set_level(LOG_LEVEL_ERROR);
    require(uv_loop_init(&loop) == 0);
    ports_init(&ports, &loop);
    real_ports = study_ports = ports_for_studies(&ports);
    study_ports.now_ms = now_ms;
    study_ports.wake = wake;
    study_ports.submit = submit;
    context.studies = ports.studies = studies_new(&study_ports);
    context.traffic = traffic_new();
    context.failed_auth = failed_auth_new();
    context.sampler_runs = &ports.pool.runs;
    context.store_stats = store_stats_cb;
    open_store();
    listen_on_loopback();
    make_world();
}

/* ---- what came back ---- */

/* Without a document answers libmicrohttpd, as openapi.yaml says, to what is no HTTP or too large. */
static bool may_lack_document(int status)
{
    return status == 400 || status == 413 || status == 414 || status == 431 || status == 505;
}

static void check_document(int status, const char *body, size_t size)
{
    struct problem problem = {};
    json_auto_t *json = json_parse(body, size, &problem);

    require(json && json_integer_value(json_object_get(json, "status")) == status);
    require(json_string_length(json_object_get(json, "detail")) > 0);
    require(strncmp(json_string_value(json_object_get(json, "type")), "urn:studyd:", 11) == 0);
}

/* Headers are written by us and libmicrohttpd: their case is known. */
static bool has_type(const char *head, const char *body, const char *type)
{
    const char *found = strstr(head, "\r\nContent-Type: ");

    return found && found < body && strncmp(found + 16, type, strlen(type)) == 0;
}

/* One answer; where it ends, or NULL where that is not to be known. */
static const char *check_answer(const char *head, const char *end)
{
    const char *body = strstr(head, "\r\n\r\n"), *length = strstr(head, "\r\nContent-Length: ");
    struct problem problem = {};
    int status = 0;

    require(sscanf(head, "HTTP/1.%*1[01] %3d ", &status) == 1 && status >= 100);
    if (!body)
        return NULL;
    body += 4;
    if (status == 100)
        return body;
    require(status < 500 || status == 505);

    bool is_problem = has_type(head, body, "application/problem+json");
    size_t size = length && length < body ? strtoul(length + 18, NULL, 10) : 0;

    require(status < 400 || is_problem || may_lack_document(status));
    if (!length || length > body || size > (size_t)(end - body) || (status >= 400 && !is_problem))
        return NULL; /* libmicrohttpd 0.9.75 sends the head of its own refusals twice, and closes */
    if (is_problem)
        check_document(status, body, size);
    if (has_type(head, body, "application/json")) {
        json_auto_t *json = json_parse(body, size, &problem);

        require(json);
    }
    return body + size;
}

/* To HEAD there is no body: which answer lacks it would have to be known. */
static void check_answers(const struct buffer *answer)
{
    const char *at = buffer_text(answer), *end = at + answer->size;

    while (at && at < end)
        at = check_answer(at, end);
}

/* Where an input says 32 times "0" or "1", a lease is meant. */
static void put_leases(char *data, size_t size)
{
    const size_t length = MESSAGE_LEASE_SIZE - 1;

    for (size_t i = 0; i + length <= size; i++)
        if ((data[i] == '0' || data[i] == '1') && memcmp(data + i, data + i + 1, length - 1) == 0)
            memcpy(data + i, leases[data[i] - '0'], length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUFFER_AUTO struct buffer input = {}, answer = {};

    if (!server)
        start();
    if (n_changes != n_known)
        make_world();
    buffer_append(&input, data, size);
    put_leases(input.data, size);
    serve(input.data, size, &answer);
    if (!memmem(data, size, "HEAD", 4))
        check_answers(&answer);
    return 0;
}
