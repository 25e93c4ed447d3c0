/* SPDX-License-Identifier: MIT */
/* Unit tests of the HTTP client, against a server of canned answers on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http_client.h"
#include "proto/log.h"
#include "proto/memory.h"

#define ANSWER(status, headers, body) "HTTP/1.1 " status "\r\n" headers "\r\n\r\n" body
#define HANG ""       /* the request is never answered */
#define CLOSE "close" /* the connection is closed instead */

static uv_loop_t loop;

/* ---- the server: answers request after request by its script, whichever connection they come on ---- */

static struct {
    uv_tcp_t listener;
    const char *const *script; /* NULL-terminated */
    size_t n_requests;
    size_t n_connections;
    char last_request[4096];
    char url[64];
} server;

struct connection {
    uv_tcp_t tcp;
    char buffer[4096];
    size_t size;
};

static void free_cb(uv_handle_t *handle)
{
    free(handle->data);
}

static void write_cb(uv_write_t *write, int)
{
    free(write);
}

static void answer(struct connection *connection)
{
    const char *text = server.script[server.n_requests];

    memcpy(server.last_request, connection->buffer, connection->size);
    server.last_request[connection->size] = '\0';
    connection->size = 0;
    assert_non_null(text);
    server.n_requests++;
    if (strcmp(text, CLOSE) == 0) {
        uv_close((uv_handle_t *)&connection->tcp, free_cb);
    } else if (*text) {
        uv_buf_t buffer = uv_buf_init((char *)text, (unsigned)strlen(text));

        uv_write(memory_new(sizeof(uv_write_t)), (uv_stream_t *)&connection->tcp, &buffer, 1, write_cb);
    }
}

static void alloc_cb(uv_handle_t *handle, size_t, uv_buf_t *room)
{
    struct connection *connection = handle->data;

    *room = uv_buf_init(connection->buffer + connection->size,
                        (unsigned)(sizeof connection->buffer - connection->size));
}

/* Is the whole request there? Bodies in these tests are of known length. */
static bool is_whole(struct connection *connection)
{
    connection->buffer[connection->size] = '\0';

    const char *end = strstr(connection->buffer, "\r\n\r\n"),
               *length = strstr(connection->buffer, "Content-Length: ");
    size_t body = length ? strtoul(length + 16, NULL, 10) : 0;

    return end && connection->buffer + connection->size >= end + 4 + body;
}

static void read_cb(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *)
{
    struct connection *connection = stream->data;

    if (n_read < 0) {
        if (!uv_is_closing((uv_handle_t *)stream))
            uv_close((uv_handle_t *)stream, free_cb);
        return;
    }
    connection->size += (size_t)n_read;
    if (is_whole(connection))
        answer(connection);
}

static void connection_cb(uv_stream_t *listener, int)
{
    struct connection *connection = memory_new(sizeof *connection);

    uv_tcp_init(&loop, &connection->tcp);
    connection->tcp.data = connection;
    server.n_connections++;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&connection->tcp), 0);
    uv_read_start((uv_stream_t *)&connection->tcp, alloc_cb, read_cb);
}

static void serve(const char *const *script)
{
    struct sockaddr_in address;
    int size = sizeof address;

    memset(&server, 0, sizeof server);
    server.script = script;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_init(&loop, &server.listener), 0);
    assert_int_equal(uv_tcp_bind(&server.listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&server.listener, 10, connection_cb), 0);
    uv_tcp_getsockname(&server.listener, (struct sockaddr *)&address, &size);
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

/* ---- the client ---- */

static struct http_client *client;
static int n_done, n_closed, last_status;
static char last_error[200];
static bool last_ok;

static void closed(void *)
{
    n_closed++;
}

static void done(struct http_request *, const struct http_answer *answer)
{
    n_done++;
    last_status = answer->status;
    last_ok = json_is_true(json_object_get(answer->json, "ok"));
    snprintf(last_error, sizeof last_error, "%s", answer->error ? answer->error : "");
    uv_stop(&loop);
}

static void use(size_t n_urls, const char *const *urls)
{
    struct http_client_config config = {
        .n_urls = n_urls, .urls = urls, .token = "t0ken", .user_agent = "test/1", .connect_timeout_ms = 2000};
    struct problem problem = {};

    client = http_client_new(&loop, &config, &problem);
    assert_non_null(client);
}

/* Sends and runs the loop until it is done. */
static void send_and_wait(struct http_request *request)
{
    n_done = 0;
    request->done = done;
    http_client_send(client, request);
    assert_int_equal(n_done, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n_done, 1);
    assert_null(request->own);
}

static void get(int64_t give_up_ms)
{
    struct http_request request = {.method = "GET", .path = "/v1/x", .give_up_ms = give_up_ms};

    send_and_wait(&request);
}

static void start(const char *const *script)
{
    serve(script);
    use(1, (const char *const[]){server.url});
}

static int set_up(void **)
{
    log_set_level(LOG_LEVEL_ERROR);
    return uv_loop_init(&loop);
}

/* Everything is closed, and nothing is left on the loop. */
static int tear_down(void **)
{
    n_closed = 0;
    http_client_close(client, closed, NULL);
    if (server.listener.loop)
        uv_close((uv_handle_t *)&server.listener, NULL);
    server.listener.loop = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    return n_closed == 1 ? uv_loop_close(&loop) : -1;
}

/* A request carries method, path, token, JSON; requests one after the other share a connection. */
static void test_requests(void **)
{
    static const char *const script[] = {ANSWER("200 OK", "Content-Length: 11", "{\"ok\":true}"),
                                         ANSWER("201 Created", "Content-Length: 2", "{}"), NULL};
    struct http_request post = {.method = "POST", .path = "/v1/studies/a%20b/ask", .body = "{\"count\":1}"};

    start(script);
    send_and_wait(&post);
    assert_int_equal(last_status, 200);
    assert_true(last_ok);
    assert_string_equal(last_error, "");
    assert_memory_equal(server.last_request, "POST /v1/studies/a%20b/ask HTTP/1.1\r\n", 37);
    assert_non_null(strstr(server.last_request, "Authorization: Bearer t0ken\r\n"));
    assert_non_null(strstr(server.last_request, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(server.last_request, "User-Agent: test/1\r\n"));
    assert_non_null(strstr(server.last_request, "\r\n\r\n{\"count\":1}"));
    get(0);
    assert_int_equal(last_status, 201);
    assert_memory_equal(server.last_request, "GET /v1/x HTTP/1.1\r\n", 20);
    assert_int_equal(server.n_connections, 1);
}

/* A refusal is an answer: it comes at once, with the problem's detail. */
static void test_refusal(void **)
{
    static const char *const script[] = {
        ANSWER("404 Not Found", "Content-Length: 24", "{\"detail\":\"no such one\"}"),
        ANSWER("500 Oh", "Content-Length: 4", "oops"), NULL};

    start(script);
    get(0);
    assert_int_equal(last_status, 404);
    assert_string_equal(last_error, "no such one");
    get(0);
    assert_int_equal(last_status, 500);
    assert_string_equal(last_error, "the answer was HTTP status 500 without a reason");
}

/* 429, 502, 503, 504, a connection that breaks: the same request again, until there is an answer. */
static void test_repeats(void **)
{
    static const char *const script[] = {ANSWER("503 Away", "Content-Length: 0", ""),
                                         CLOSE,
                                         ANSWER("429 Slow", "Content-Length: 0", ""),
                                         ANSWER("502 Bad", "Content-Length: 0", ""),
                                         ANSWER("504 Late", "Content-Length: 0", ""),
                                         ANSWER("200 OK", "Content-Length: 11", "{\"ok\":true}"),
                                         NULL};
    struct http_request post = {.method = "POST", .path = "/v1/ask", .body = "{\"request_id\":\"r1\"}"};

    start(script);
    send_and_wait(&post);
    assert_true(last_ok);
    assert_int_equal(server.n_requests, 6);
    assert_non_null(strstr(server.last_request, "{\"request_id\":\"r1\"}"));
}

/* Retry-After is a lower bound. */
static void test_retry_after(void **)
{
    static const char *const script[] = {ANSWER("503 Away", "Retry-After: 1\r\nContent-Length: 0", ""),
                                         ANSWER("200 OK", "Content-Length: 11", "{\"ok\":true}"), NULL};

    start(script);

    uint64_t begin_ms = uv_now(&loop);

    get(0);
    assert_true(last_ok);
    assert_true(uv_now(&loop) - begin_ms >= 1000);
}

/* give_up_ms -1 is one attempt; its answer is handed on whatever it is. */
static void test_one_attempt(void **)
{
    static const char *const script[] = {
        CLOSE, ANSWER("503 Away", "Content-Length: 17", "{\"detail\":\"away\"}"), NULL};

    start(script);
    get(-1);
    assert_int_equal(last_status, 0);
    assert_string_not_equal(last_error, "");
    get(-1);
    assert_int_equal(last_status, 503);
    assert_string_equal(last_error, "away");
    assert_int_equal(server.n_requests, 2);
}

/* Attempts end when the time is over. */
static void test_gives_up(void **)
{
    static const char *const script[] = {ANSWER("503 Away", "Retry-After: 1\r\nContent-Length: 0", ""), NULL};

    start(script);
    get(500);
    assert_int_equal(last_status, 503);
    assert_int_equal(server.n_requests, 1);
}

/* Where one coordinator does not answer the next is asked, and stays the one that is asked. */
static void test_next_coordinator(void **)
{
    static const char *const script[] = {ANSWER("200 OK", "Content-Length: 11", "{\"ok\":true}"),
                                         ANSWER("200 OK", "Content-Length: 11", "{\"ok\":true}"), NULL};

    serve(script);
    use(2, (const char *const[]){"http://127.0.0.1:1", server.url}); /* nobody listens on port 1 */
    get(0);
    assert_true(last_ok);
    get(-1);
    assert_true(last_ok);
}

static void cancel_cb(uv_timer_t *timer)
{
    http_client_cancel(client, timer->data);
    assert_int_equal(n_done, 0);
    uv_close((uv_handle_t *)timer, NULL);
}

/* A cancelled request is done, once, with status 0, and not from within the cancel. */
static void test_cancel(void **)
{
    static const char *const script[] = {HANG, ANSWER("503 Away", "Retry-After: 60\r\nContent-Length: 0", ""),
                                         NULL};
    struct http_request request = {.method = "GET", .path = "/v1/x"};
    uv_timer_t timers[2];

    start(script);
    for (int i = 0; i < 2; i++) { /* once while it waits for the answer, once between two attempts */
        uv_timer_init(&loop, &timers[i]);
        timers[i].data = &request;
        uv_timer_start(&timers[i], cancel_cb, 100, 0);
        send_and_wait(&request);
        assert_int_equal(last_status, 0);
    }
    http_client_cancel(client, &request); /* not under way: nothing happens */
}

/* Closing ends what is under way. */
static void test_close_cancels(void **state)
{
    static const char *const script[] = {HANG, NULL};
    struct http_request request = {.method = "GET", .path = "/v1/x", .done = done};

    start(script);
    n_done = 0;
    http_client_send(client, &request);
    while (server.n_requests == 0)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(tear_down(state), -1); /* done() stops the loop: not closed yet */
    assert_int_equal(n_done, 1);
    assert_int_equal(last_status, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(n_closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
}

/* What is no coordinator's URL is refused, by name. */
static void test_urls(void **)
{
    static const char *const good[] = {"http://a", "http://a:8090/", "https://a.b:1", "http://[::1]:8090"};
    static const char *const bad[] = {
        "", "a:8090", "ftp://a", "http://", "http://a/v1", "http://a?x=1", "http://u:p@a"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_client_config config = {.n_urls = 1, .urls = &bad[i]};
        struct problem problem = {};

        assert_null(http_client_new(&loop, &config, &problem));
        assert_non_null(strstr(problem.detail, "is no coordinator's URL"));
    }
    use(sizeof good / sizeof good[0], good);
}

/* Every character that a path cannot hold is encoded, the slash too. */
static void test_path(void **)
{
    BUFFER_AUTO struct buffer path = {};

    buffer_append_text(&path, "/v1/studies");
    http_path_append(&path, "a/b c%\xc3\xa9~-._Z9");
    assert_string_equal(buffer_text(&path), "/v1/studies/a%2Fb%20c%25%C3%A9~-._Z9");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_refusal),
        TEST(test_repeats),
        TEST(test_retry_after),
        TEST(test_one_attempt),
        TEST(test_gives_up),
        TEST(test_cancel),
        TEST(test_next_coordinator),
        TEST(test_urls),
        cmocka_unit_test_setup(test_close_cancels, set_up),
        cmocka_unit_test(test_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
