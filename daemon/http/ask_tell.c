/* SPDX-License-Identifier: MIT */
/* Hands out trials, and takes in what became of them. */
#include "daemon/http/ask_tell.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/http/auth.h"
#include "proto/json_write.h"
#include "proto/memory.h"
#include "proto/message.h"

/* What tells a repeated request from another one under the same request_id: half of the body's SHA-256. */
static void hash_body(const struct request *request, unsigned char hash[AUTH_HASH_SIZE])
{
    auth_hash(buffer_text(&request->body), request->body.size, hash);
}

/* ---- ask ---- */

static bool ask_is_gone(struct ask_call *call)
{
    return request_is_gone(call->user);
}

static void put_offers(const struct ask_call *call, bool is_of_all, struct json_writer *writer)
{
    MEMORY_AUTO struct offer_message *offers = memory_array(call->n_offers, sizeof offers[0]);
    struct ask_reply_message reply = {
        .state = (char *)call->state, .n_offers = call->n_offers, .offers = offers};

    for (size_t i = 0; i < call->n_offers; i++) {
        const struct ask_offer *offer = &call->offers[i];

        offers[i] = (struct offer_message){.study = is_of_all ? (char *)offer->study : NULL,
                                           .number = offer->number,
                                           .params = offer->params,
                                           .lease_s = offer->lease_s,
                                           .attempt = offer->attempt};
        memcpy(offers[i].lease, offer->lease, sizeof offers[i].lease);
    }
    ask_reply_message_write(&reply, writer);
}

static void ask_done(struct ask_call *call)
{
    struct request *request = call->user;
    struct json_writer writer;

    if (call->problem.type != PROBLEM_NONE) {
        request_refuse(request, &call->problem);
    } else {
        json_writer_init(&writer, &request->answer);
        put_offers(call, request->arguments[0] == NULL, &writer);
        request_answer_json(request, 200);
    }
    free(call);
}

/* `study` NULL: of all. */
static void ask(struct request *request, struct study *study)
{
    struct ask_message message = {};
    struct problem problem = {};
    unsigned char hash[AUTH_HASH_SIZE];

    if (ask_message_read(&message, request->json, study == NULL, &problem)) {
        request_refuse(request, &problem);
    } else {
        struct ask_call *call = memory_new(sizeof *call);

        call->done = ask_done;
        call->is_gone = ask_is_gone;
        call->filter = request_filter(request);
        call->user = request;
        hash_body(request, hash);
        study_ask(request->context->studies, study, &message, hash, call);
    }
    ask_message_deinit(&message);
}

void handle_ask(struct request *request)
{
    struct study *study = request_study(request);

    if (study)
        ask(request, study);
}

void handle_ask_all(struct request *request)
{
    ask(request, NULL);
}

/* ---- one trial ---- */

/* The answer's JSON where all went well. */
typedef void reply_fn(const struct trial_call *call, struct json_writer *writer);

struct trial_request {
    struct trial_call call;
    struct request *request;
    reply_fn *reply;
    int status;
};

static void trial_done(struct trial_call *call)
{
    struct trial_request *of = call->user;
    struct json_writer writer;

    if (call->problem.type != PROBLEM_NONE) {
        request_refuse(of->request, &call->problem);
    } else {
        json_writer_init(&writer, &of->request->answer);
        of->reply(call, &writer);
        request_answer_json(of->request, of->status);
    }
    free(of);
}

static struct trial_call *trial_call_new(struct request *request, reply_fn *reply, int status)
{
    struct trial_request *of = memory_new(sizeof *of);

    of->request = request;
    of->reply = reply;
    of->status = status;
    of->call.done = trial_done;
    of->call.user = of;
    return &of->call;
}

static void put_report_reply(const struct trial_call *call, struct json_writer *writer)
{
    struct report_reply_message reply = {
        .prune = call->prune, .lease_s = call->lease_s, .state = (char *)call->study_state};

    report_reply_message_write(&reply, writer);
}

void handle_report(struct request *request)
{
    int64_t number;
    struct study *study = request_study_and_trial(request, &number);
    struct report_message message = {};
    struct problem problem = {};

    if (!study)
        return;
    if (report_message_read(&message, request->json, &problem))
        request_refuse(request, &problem);
    else
        study_report(request->context->studies, study, number, &message,
                     trial_call_new(request, put_report_reply, 200));
    report_message_deinit(&message);
}

static void put_heartbeat_reply(const struct trial_call *call, struct json_writer *writer)
{
    heartbeat_reply_write(call->lease_s, call->study_state, writer);
}

void handle_heartbeat(struct request *request)
{
    int64_t number;
    struct study *study = request_study_and_trial(request, &number);
    struct heartbeat_message message = {};
    struct problem problem = {};

    if (!study)
        return;
    if (heartbeat_message_read(&message, request->json, &problem))
        request_refuse(request, &problem);
    else
        study_heartbeat(request->context->studies, study, number, message.lease,
                        trial_call_new(request, put_heartbeat_reply, 200));
    heartbeat_message_deinit(&message);
}

static void put_tell_reply(const struct trial_call *call, struct json_writer *writer)
{
    struct tell_reply_message reply = {
        .number = call->number, .state = call->state, .best = call->is_best, .reason = (char *)call->reason};

    tell_reply_message_write(&reply, writer);
}

void handle_tell(struct request *request)
{
    int64_t number;
    struct study *study = request_study_and_trial(request, &number);
    struct tell_message message = {};
    struct problem problem = {};

    if (!study)
        return;
    if (tell_message_read(&message, request->json, &problem))
        request_refuse(request, &problem);
    else
        study_tell(request->context->studies, study, number, &message,
                   trial_call_new(request, put_tell_reply, 200));
    tell_message_deinit(&message);
}

/* ---- enqueue ---- */

static void put_enqueue_reply(const struct trial_call *call, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_int(writer, "number", call->number);
    json_end_object(writer);
}

void handle_enqueue(struct request *request)
{
    struct study *study = request_study(request);
    struct enqueue_message message = {};
    struct problem problem = {};
    unsigned char hash[AUTH_HASH_SIZE];

    if (!study)
        return;
    if (enqueue_message_read(&message, request->json, &problem)) {
        request_refuse(request, &problem);
    } else {
        hash_body(request, hash);
        study_enqueue(request->context->studies, study, &message, hash,
                      trial_call_new(request, put_enqueue_reply, 201));
    }
    enqueue_message_deinit(&message);
}
