/* SPDX-License-Identifier: MIT */
/* Sends JSON requests until they are answered: attempts, back-off, and which coordinator is asked. */
#include "proto/http_client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/curl_loop.h"
#include "proto/curl_tls.h"
#include "proto/json_read.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

#define DEFAULT_TIMEOUT_MS 30000
#define BACK_OFF_FIRST_MS 100
#define BACK_OFF_MOST_MS 10000
#define ANSWER_MOST_BYTES (16u << 20)

struct http_client {
    uv_loop_t *loop;
    struct curl_loop *curl;
    size_t n_urls;
    char **urls;    /* owned; without a slash at the end */
    size_t current; /* the coordinator that is asked now */
    bool is_away;   /* the last attempt had no answer, and that was said */
    bool was_answered;
    char *ca_file, *cert_file, *key_file, *user_agent;
    struct curl_slist *headers;
    long connect_timeout_ms;
    struct exchange *exchanges; /* under way */
    size_t n_open;              /* exchanges whose memory is not freed yet */
    bool is_closing;
    void (*closed)(void *user);
    void *user;
};

/* One request on its way, over all its attempts. Freed when its timer is closed. */
struct exchange {
    struct http_client *client;
    struct http_request *request; /* NULL once `done` was called */
    struct exchange *next, *previous;
    CURL *easy;
    char *path, *body;
    uv_timer_t timer; /* until the next attempt; or 0 ms: cancelled */
    bool is_transferring;
    bool was_refused; /* for now, and that was said */
    size_t url_index; /* the coordinator of the last attempt */
    int n_attempts;
    uint64_t first_ms;
    struct buffer answer;
    char curl_error[CURL_ERROR_SIZE];
};

/* ------------------------------------------------------------------------------------------------ one answer
 */

static void exchange_closed_cb(uv_handle_t *handle);

/* Tells the requester and gives the exchange up. */
static void exchange_finish(struct exchange *exchange, const struct http_answer *answer)
{
    struct http_client *client = exchange->client;
    struct http_request *request = exchange->request;

    if (exchange->previous)
        exchange->previous->next = exchange->next;
    else
        client->exchanges = exchange->next;
    if (exchange->next)
        exchange->next->previous = exchange->previous;
    exchange->request = NULL;
    request->own = NULL;
    uv_close((uv_handle_t *)&exchange->timer, exchange_closed_cb);
    request->done(request, answer);
}

/* The problem's detail, or what stands for it. */
static const char *explain(int status, json_t *json, char *text, size_t size)
{
    const char *detail = json_string_value(json_object_get(json, "detail"));

    if (detail)
        return detail;
    snprintf(text, size, "the answer was HTTP status %d without a reason", status);
    return text;
}

static void exchange_answer(struct exchange *exchange, int status)
{
    struct problem problem = {0};
    char text[80];
    json_t *json = json_parse(buffer_text(&exchange->answer), exchange->answer.size, &problem);
    struct http_answer answer = {.status = status, .json = json};

    if (status < 200 || status > 299)
        answer.error = explain(status, json, text, sizeof text);
    exchange_finish(exchange, &answer);
    json_decref(json);
}

static void exchange_give_up(struct exchange *exchange, const char *error)
{
    struct http_answer answer = {.error = error};

    exchange_finish(exchange, &answer);
}

/* -------------------------------------------------------------------------------------------------- attempts
 */

static void attempt(struct exchange *exchange)
{
    struct http_client *client = exchange->client;
    struct buffer url = {0};

    exchange->url_index = client->current;
    exchange->n_attempts++;
    buffer_clear(&exchange->answer);
    exchange->curl_error[0] = '\0';
    buffer_printf(&url, "%s%s", client->urls[exchange->url_index], exchange->path);
    curl_easy_setopt(exchange->easy, CURLOPT_URL, buffer_text(&url));
    buffer_deinit(&url);
    exchange->is_transferring = true;
    curl_loop_add(client->curl, exchange->easy);
}

static void attempt_timer_cb(uv_timer_t *timer)
{
    attempt(timer->data);
}

static uint64_t random_below(uint64_t limit)
{
    uint64_t number;

    require(uv_random(NULL, NULL, &number, sizeof number, 0, NULL) == 0);
    return number % limit;
}

/* Full jitter on top of what the coordinator wished. */
static uint64_t choose_back_off_ms(const struct exchange *exchange, long retry_after_s)
{
    long asked_ms = exchange->request->back_off_ms;
    uint64_t most_ms = asked_ms ? (uint64_t)asked_ms : BACK_OFF_MOST_MS;

    if (exchange->n_attempts <= 7 && most_ms > (uint64_t)BACK_OFF_FIRST_MS << (exchange->n_attempts - 1))
        most_ms = (uint64_t)BACK_OFF_FIRST_MS << (exchange->n_attempts - 1);
    return (uint64_t)retry_after_s * 1000 + random_below(most_ms) + 1;
}

/* Once while nobody answers; once for each request that is refused for now, since others may go through. */
static void log_vain_attempt(struct exchange *exchange, int status, const char *error)
{
    struct http_client *client = exchange->client;
    const char *url = client->urls[exchange->url_index];

    if (status == 0 && !client->is_away)
        log_warning("no answer from the coordinator, trying again url=%s reason=%s", url, LOG_QUOTED(error));
    else if (status != 0 && !exchange->was_refused)
        log_warning("the coordinator cannot do it now, trying again url=%s path=%s status=%d reason=%s", url,
                    exchange->path, status, LOG_QUOTED(error));
    client->is_away = client->is_away || status == 0;
    exchange->was_refused = exchange->was_refused || status != 0;
}

/* An attempt was in vain: this coordinator is left, for the others too. */
static void leave_coordinator(struct exchange *exchange)
{
    struct http_client *client = exchange->client;

    if (client->current == exchange->url_index)
        client->current = (client->current + 1) % client->n_urls;
}

/* Is there another attempt, `delay_ms` from now? */
static bool may_try_again(const struct exchange *exchange, uint64_t delay_ms)
{
    int64_t give_up_ms = exchange->request->give_up_ms;

    if (give_up_ms == 0)
        return true;
    return uv_now(exchange->client->loop) + delay_ms - exchange->first_ms <
           (uint64_t)(give_up_ms < 0 ? 0 : give_up_ms);
}

static void attempt_in_vain(struct exchange *exchange, int status, const char *error)
{
    curl_off_t retry_after_s = 0;

    log_vain_attempt(exchange, status, error);
    leave_coordinator(exchange);
    curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    if (retry_after_s > 60)
        retry_after_s = 60;

    uint64_t delay_ms = choose_back_off_ms(exchange, (long)retry_after_s);

    if (may_try_again(exchange, delay_ms))
        uv_timer_start(&exchange->timer, attempt_timer_cb, delay_ms, 0);
    else if (status != 0)
        exchange_answer(exchange, status);
    else
        exchange_give_up(exchange, error);
}

static bool is_worth_repeating(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static void refused_for_now(struct exchange *exchange, int status)
{
    struct problem problem = {0};
    char text[80];
    json_t *json = json_parse(buffer_text(&exchange->answer), exchange->answer.size, &problem);

    attempt_in_vain(exchange, status, explain(status, json, text, sizeof text));
    json_decref(json);
}

static void attempt_failed(struct exchange *exchange, CURLcode result)
{
    const char *words = exchange->curl_error[0] ? exchange->curl_error : curl_easy_strerror(result);
    char text[CURL_ERROR_SIZE + 200];

    curl_tls_explain(exchange->easy, result, words, exchange->client->ca_file, exchange->client->cert_file,
                     exchange->client->was_answered, text, sizeof text);
    attempt_in_vain(exchange, 0, text);
}

static void attempt_done(CURL *easy, CURLcode result)
{
    struct exchange *exchange;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&exchange);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    exchange->is_transferring = false;
    exchange->client->was_answered |= result == CURLE_OK;
    if (result != CURLE_OK) {
        attempt_failed(exchange, result);
    } else if (is_worth_repeating((int)status)) {
        refused_for_now(exchange, (int)status);
    } else {
        if (exchange->client->is_away)
            log_info("the coordinator answers url=%s", exchange->client->urls[exchange->url_index]);
        exchange->client->is_away = false;
        exchange_answer(exchange, (int)status);
    }
}

/* ----------------------------------------------------------------------------------------------- one request
 */

static size_t take_answer(char *data, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;

    size *= count;
    if (exchange->answer.size + size > ANSWER_MOST_BYTES)
        return 0; /* libcurl ends the transfer with an error */
    buffer_append(&exchange->answer, data, size);
    return size;
}

static CURL *easy_new(struct exchange *exchange)
{
    const struct http_client *client = exchange->client;
    const struct http_request *request = exchange->request;
    CURL *easy = curl_easy_init();

    require(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->curl_error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* a study may be called ".." */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, client->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     request->timeout_ms ? request->timeout_ms : (long)DEFAULT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, client->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    if (client->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    if (client->cert_file) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
    }
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L); /* to say what is wrong with it */
    if (exchange->body)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, exchange->body);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return easy;
}

void http_client_send(struct http_client *client, struct http_request *request)
{
    struct exchange *exchange = memory_new(sizeof *exchange);

    require(!request->own && !client->is_closing);
    *exchange = (struct exchange){.client = client,
                                  .request = request,
                                  .next = client->exchanges,
                                  .path = memory_strdup(request->path),
                                  .body = memory_strdup(request->body),
                                  .first_ms = uv_now(client->loop)};
    if (client->exchanges)
        client->exchanges->previous = exchange;
    client->exchanges = exchange;
    client->n_open++;
    request->own = exchange;
    require(uv_timer_init(client->loop, &exchange->timer) == 0);
    exchange->timer.data = exchange;
    exchange->easy = easy_new(exchange);
    attempt(exchange);
}

static void cancel_timer_cb(uv_timer_t *timer)
{
    exchange_give_up(timer->data, "cancelled");
}

void http_client_cancel(struct http_client *client, struct http_request *request)
{
    struct exchange *exchange = request->own;

    if (!exchange)
        return;
    if (exchange->is_transferring)
        curl_loop_remove(client->curl, exchange->easy);
    exchange->is_transferring = false;
    uv_timer_start(&exchange->timer, cancel_timer_cb, 0, 0);
}

/* ------------------------------------------------------------------------------------------------ the client
 */

/* "https://host:port" of a valid URL, or NULL. */
static char *read_url(const char *text)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *path = NULL, *query = NULL, *user = NULL, *base = NULL;

    require(url);
    if (curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
        curl_url_get(url, CURLUPART_PATH, &path, 0);
        curl_url_get(url, CURLUPART_QUERY, &query, 0);
        curl_url_get(url, CURLUPART_USER, &user, 0);
        if (scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && !query && !user &&
            (!path || strcmp(path, "/") == 0))
            base = memory_strndup(text, strcspn(text, ":") + 3 + strcspn(strstr(text, "://") + 3, "/#"));
    }
    curl_free(scheme);
    curl_free(path);
    curl_free(query);
    curl_free(user);
    curl_url_cleanup(url);
    return base;
}

static int read_urls(struct http_client *client, const struct http_client_config *config,
                     struct problem *problem)
{
    client->urls = memory_array(config->n_urls, sizeof *client->urls);
    client->n_urls = config->n_urls;
    for (size_t i = 0; i < config->n_urls; i++) {
        client->urls[i] = read_url(config->urls[i]);
        if (!client->urls[i])
            return problem_set(problem, PROBLEM_INVALID, "",
                               "\"%s\" is no coordinator's URL: http://HOST:PORT or "
                               "https://HOST:PORT, nothing behind the port",
                               config->urls[i]);
    }
    return 0;
}

static struct curl_slist *headers_new(const char *token)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct buffer line = {0};

    headers = curl_slist_append(headers, "Accept: application/json");
    headers = curl_slist_append(headers, "Expect:"); /* a body is not worth a round trip of its own */
    if (token) {
        buffer_printf(&line, "Authorization: Bearer %s", token);
        headers = curl_slist_append(headers, buffer_text(&line));
    }
    buffer_deinit(&line);
    return headers;
}

static void client_free(struct http_client *client)
{
    for (size_t i = 0; i < client->n_urls; i++)
        free(client->urls[i]);
    free(client->urls);
    free(client->ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client->user_agent);
    curl_slist_free_all(client->headers);
    free(client);
}

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_config *config,
                                    struct problem *problem)
{
    struct http_client *client = memory_new(sizeof *client);

    require(config->n_urls > 0);
    client->loop = loop;
    client->ca_file = memory_strdup(config->ca_file);
    client->cert_file = memory_strdup(config->cert_file);
    client->key_file = memory_strdup(config->key_file);
    client->user_agent = memory_strdup(config->user_agent);
    client->connect_timeout_ms = config->connect_timeout_ms;
    if (read_urls(client, config, problem) < 0) {
        client_free(client);
        return NULL;
    }
    client->curl = curl_loop_new(loop, attempt_done);
    client->headers = headers_new(config->token);
    return client;
}

static void curl_closed(void *user)
{
    struct http_client *client = user;
    void (*closed)(void *user) = client->closed;

    user = client->user;
    client_free(client);
    closed(user);
}

static void exchange_closed_cb(uv_handle_t *handle)
{
    struct exchange *exchange = handle->data;
    struct http_client *client = exchange->client;

    curl_easy_cleanup(exchange->easy);
    buffer_deinit(&exchange->answer);
    free(exchange->path);
    free(exchange->body);
    free(exchange);
    if (--client->n_open == 0 && client->is_closing)
        curl_loop_close(client->curl, curl_closed, client);
}

void http_client_close(struct http_client *client, void (*closed)(void *user), void *user)
{
    client->is_closing = true;
    client->closed = closed;
    client->user = user;
    for (struct exchange *exchange = client->exchanges; exchange; exchange = exchange->next)
        http_client_cancel(client, exchange->request);
    if (client->n_open == 0)
        curl_loop_close(client->curl, curl_closed, client);
}

void http_path_append(struct buffer *path, const char *segment)
{
    buffer_append_char(path, '/');
    for (; *segment; segment++) {
        unsigned char c = (unsigned char)*segment;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c))
            buffer_append_char(path, (char)c);
        else
            buffer_printf(path, "%%%02X", c);
    }
}
