/* SPDX-License-Identifier: MIT */
/* Asks studyd for trials, study by study. */
#include "worker/poller.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_write.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

#define WAIT_S 30.0
#define TURN_WAIT_S 1.0      /* with several studies */
#define ROUND_MS 2000        /* between rounds in which nobody had work to wait for */
#define TROUBLE_MS 5000      /* after studyd refused for a reason of its own */
#define ANSWER_MARGIN_S 20.0 /* an ask is answered so soon after its wait */
#define LAST_ANSWER_MS 500

/* One study, or all. */
struct target {
    const char *study; /* NULL: all */
    char *path;        /* owned */
    bool is_missing;   /* and that was said */
    bool is_over;      /* finished or stopped, when last asked */
};

struct poller {
    struct poller_host host;
    struct target *targets;
    size_t n_targets;
    size_t turn;      /* whose turn it is */
    size_t n_in_vain; /* turns since the last trial */
    size_t n_at_once; /* turns in a row that were answered without waiting, and in vain */
    struct http_request ask;
    uv_timer_t timer; /* the next round; while stopping: no longer waiting for the answer */
    bool is_resting;
    bool is_stopping, is_closing;
};

static void ask(struct poller *poller);

/* ------------------------------------------------------------------------------------------------------
 * stopping */

static void closed_cb(uv_handle_t *handle)
{
    struct poller *poller = handle->data;
    struct poller_host host = poller->host;

    for (size_t i = 0; i < poller->n_targets; i++)
        free(poller->targets[i].path);
    free(poller->targets);
    free(poller);
    host.stopped(host.user);
}

static void stop_when_done(struct poller *poller)
{
    if (!poller->is_stopping || poller->is_closing || poller->ask.own)
        return;
    poller->is_closing = true;
    uv_close((uv_handle_t *)&poller->timer, closed_cb);
}

static void last_answer_timer_cb(uv_timer_t *timer)
{
    struct poller *poller = timer->data;

    http_client_cancel(poller->host.client, &poller->ask);
}

void poller_stop(struct poller *poller)
{
    poller->is_stopping = true;
    uv_timer_start(&poller->timer, last_answer_timer_cb, LAST_ANSWER_MS, 0);
    stop_when_done(poller);
}

/* -------------------------------------------------------------------------------------------------------
 * answers */

static void rest_timer_cb(uv_timer_t *timer)
{
    struct poller *poller = timer->data;

    poller->is_resting = false;
    ask(poller);
}

static void rest(struct poller *poller, uint64_t ms)
{
    poller->is_resting = true;
    uv_timer_start(&poller->timer, rest_timer_cb, ms, 0);
}

static bool are_all_over(const struct poller *poller)
{
    for (size_t i = 0; i < poller->n_targets; i++)
        if (!poller->targets[i].is_over)
            return false;
    return true;
}

/* The turn is over: who is next, and when? */
static void next_turn(struct poller *poller, bool was_in_vain, bool was_at_once)
{
    poller->turn = (poller->turn + 1) % poller->n_targets;
    poller->n_in_vain = was_in_vain ? poller->n_in_vain + 1 : 0;
    poller->n_at_once = was_at_once ? poller->n_at_once + 1 : 0;
    if (poller->is_stopping) {
        stop_when_done(poller);
        return;
    }
    if (poller->n_at_once < poller->n_targets) {
        ask(poller);
        return;
    }
    poller->n_at_once = 0;
    rest(poller, ROUND_MS);
    if (are_all_over(poller))
        poller->host.all_finished(poller->host.user); /* the last thing here: it may stop us */
}

static void take_offers(struct poller *poller, const struct target *target, struct ask_reply_message *reply)
{
    for (size_t i = 0; i < reply->n_offers; i++) {
        struct offer_message *offer = &reply->offers[i];

        if (!offer->study)
            offer->study = memory_strdup(target->study);
        if (offer->study)
            poller->host.give(poller->host.user, offer);
    }
}

static void take_reply(struct poller *poller, struct target *target, const struct http_answer *answer)
{
    struct ask_reply_message reply;
    struct problem problem = {};

    target->is_missing = false;
    if (ask_reply_message_read(&reply, answer->json, &problem)) {
        log_error("studyd's answer cannot be read path=%s reason=%s", target->path,
                  LOG_QUOTED(problem.detail));
        rest(poller, TROUBLE_MS);
    } else {
        bool is_over = strcmp(reply.state, "finished") == 0 || strcmp(reply.state, "stopped") == 0;
        bool is_empty = reply.n_offers == 0;

        target->is_over = is_over;
        take_offers(poller, target, &reply);
        next_turn(poller, is_empty, is_empty && is_over);
    }
    ask_reply_message_deinit(&reply);
}

/* A study that is not there yet, or has no search space yet, is waited for. */
static bool may_come(const struct target *target, int status)
{
    return target->study && (status == 404 || status == 409);
}

static void wait_for_study(struct poller *poller, struct target *target, const struct http_answer *answer)
{
    if (!target->is_missing)
        log_info("waiting for a study study=%s reason=%s", target->study, LOG_QUOTED(answer->error));
    target->is_missing = true;
    target->is_over = false;
    next_turn(poller, true, true);
}

static void ask_done(struct http_request *request, const struct http_answer *answer)
{
    struct poller *poller = request->user;
    struct target *target = &poller->targets[poller->turn];

    if (answer->status == 200) {
        take_reply(poller, target, answer);
    } else if (may_come(target, answer->status)) {
        wait_for_study(poller, target, answer);
    } else if (answer->status >= 500) {
        log_error("studyd cannot give trials path=%s reason=%s", target->path, LOG_QUOTED(answer->error));
        rest(poller, TROUBLE_MS);
    } else if (answer->status != 0) {
        rest(poller, TROUBLE_MS);
        poller->host.refused(poller->host.user, answer->status, answer->error);
    }
    stop_when_done(poller);
}

/* --------------------------------------------------------------------------------------------------------
 * asking */

/* New for each ask; the client's repeats of one ask have the same. */
static void make_request_id(char id[33])
{
    uint64_t numbers[2];

    require(uv_random(NULL, NULL, numbers, sizeof numbers, 0, NULL) == 0);
    snprintf(id, 33, "%016" PRIx64 "%016" PRIx64, numbers[0], numbers[1]);
}

static double choose_wait_s(const struct poller *poller)
{
    if (poller->n_targets == 1)
        return WAIT_S;
    return poller->n_in_vain < poller->n_targets ? 0 : TURN_WAIT_S;
}

static void send_ask(struct poller *poller, size_t n_wanted)
{
    struct target *target = &poller->targets[poller->turn];
    double wait_s = choose_wait_s(poller);
    BUFFER_AUTO struct buffer body = {};
    struct json_writer writer;
    char id[33];
    struct ask_message message = {.worker = (char *)poller->host.worker, .wait_s = wait_s, .request_id = id};

    make_request_id(id);
    message.count = n_wanted < MESSAGE_MAX_COUNT ? (int64_t)n_wanted : MESSAGE_MAX_COUNT;
    message.runners = target->study ? NULL : runner_table_names(poller->host.runners);
    message.except = target->study ? NULL : poller->host.except(poller->host.user);
    json_writer_init(&writer, &body);
    ask_message_write(&message, &writer);
    json_decref(message.runners);
    json_decref(message.except);
    poller->ask = (struct http_request){.method = "POST",
                                        .path = target->path,
                                        .body = buffer_text(&body),
                                        .timeout_ms = (long)((wait_s + ANSWER_MARGIN_S) * 1000),
                                        .done = ask_done,
                                        .user = poller};
    http_client_send(poller->host.client, &poller->ask);
}

static void ask(struct poller *poller)
{
    size_t n_wanted = poller->host.count_wanted(poller->host.user);

    if (n_wanted > 0 && !poller->is_stopping)
        send_ask(poller, n_wanted);
}

void poller_wake(struct poller *poller)
{
    if (!poller->ask.own && !poller->is_resting && !poller->is_stopping)
        ask(poller);
}

static void add_target(struct poller *poller, const char *study)
{
    BUFFER_AUTO struct buffer path = {};

    buffer_append_text(&path, "/v1");
    if (study) {
        buffer_append_text(&path, "/studies");
        http_path_append(&path, study);
    }
    buffer_append_text(&path, "/ask");
    poller->targets[poller->n_targets++] = (struct target){.study = study, .path = buffer_take(&path)};
}

struct poller *poller_new(const struct poller_host *host)
{
    struct poller *poller = memory_new(sizeof *poller);
    size_t n_studies = host->studies->n_items;

    poller->host = *host;
    poller->targets = memory_array(n_studies > 0 ? n_studies : 1, sizeof poller->targets[0]);
    for (size_t i = 0; i < n_studies; i++)
        add_target(poller, host->studies->items[i]);
    if (n_studies == 0)
        add_target(poller, NULL);
    require(uv_timer_init(host->loop, &poller->timer) == 0);
    poller->timer.data = poller;
    return poller;
}
