/* SPDX-License-Identifier: MIT */
/* Ask: the request, and the trials that are its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/message.h"
#include "proto/message_member.h"

static char *read_worker(struct json_reader *reader)
{
    const char *worker = json_read_string(reader, "worker", "");

    if (strlen(worker) > MESSAGE_MAX_WORKER)
        json_read_fail(reader, "worker", "has %zu bytes; %d are the limit", strlen(worker),
                       MESSAGE_MAX_WORKER);
    for (const char *c = worker; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            json_read_fail(reader, "worker", "cannot hold control characters, and holds \\x%02x",
                           (unsigned char)*c);
    return memory_strdup(worker);
}

/* An array of strings, or NULL where it was left out; `meaning` says what that means. New reference. */
static json_t *read_names(struct json_reader *reader, const char *key, size_t n_least, size_t n_most,
                          const char *meaning)
{
    json_t *names = json_read_any(reader, key);
    size_t n = json_array_size(names);
    bool is_valid = json_is_array(names) && n >= n_least && n <= n_most;

    for (size_t i = 0; is_valid && i < n; i++)
        is_valid = json_is_string(json_array_get(names, i));
    if (names && !is_valid)
        json_read_fail(reader, key, "must be an array of %zu to %zu %s", n_least, n_most, meaning);
    return json_incref(names);
}

int ask_message_read(struct ask_message *message, json_t *json, bool is_of_all, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct ask_message){};
    json_reader_open(&reader, json, "", problem);
    message->worker = read_worker(&reader);
    message->count = json_read_int(&reader, "count", 1, MESSAGE_MAX_COUNT, 1);
    message->wait_s = json_read_number(&reader, "wait_s", 0, MESSAGE_MAX_WAIT_S, 0);
    message->request_id = message_read_request_id(&reader);
    if (is_of_all) {
        message->runners =
            read_names(&reader, "runners", 1, MESSAGE_MAX_RUNNERS, "runners' names; left out it means any");
        message->except =
            read_names(&reader, "except", 0, MESSAGE_MAX_EXCEPT, "studies' names; left out it means none");
    }
    return json_reader_close(&reader);
}

/* For members that are left out where they are NULL. */
static void put_optional_string(struct json_writer *writer, const char *key, const char *text)
{
    if (text)
        json_member_string(writer, key, text);
}

void ask_message_write(const struct ask_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "worker", message->worker);
    json_member_int(writer, "count", message->count);
    json_member_double(writer, "wait_s", message->wait_s);
    put_optional_string(writer, "request_id", message->request_id);
    message_put_optional_value(writer, "runners", message->runners);
    message_put_optional_value(writer, "except", message->except);
    json_end_object(writer);
}

void ask_message_deinit(struct ask_message *message)
{
    free(message->worker);
    free(message->request_id);
    json_decref(message->runners);
    json_decref(message->except);
    *message = (struct ask_message){};
}

static int read_offer(struct offer_message *offer, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, json, "trials", problem);
    offer->study = memory_strdup(json_read_string(&reader, "study", NULL));
    offer->number = json_read_required_int(&reader, "number", 0, INT64_MAX);
    offer->params = message_read_object(&reader, "params");
    if (!offer->params)
        json_read_fail(&reader, "params", "is missing");

    MEMORY_AUTO char *lease = message_read_lease(&reader);

    snprintf(offer->lease, sizeof offer->lease, "%s", lease);
    offer->lease_s = message_read_lease_s(&reader);
    offer->attempt = json_read_int(&reader, "attempt", 1, INT32_MAX, 1);
    return json_reader_close_growing(&reader);
}

int ask_reply_message_read(struct ask_reply_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct ask_reply_message){};
    json_reader_open(&reader, json, "", problem);
    message->state = memory_strdup(json_read_required_string(&reader, "state"));

    const json_t *trials = json_read_any(&reader, "trials");

    if (json_array_size(trials) > MESSAGE_MAX_COUNT)
        return json_read_fail(&reader, "trials", "holds more than %d", MESSAGE_MAX_COUNT);
    message->offers = memory_array(json_array_size(trials), sizeof message->offers[0]);
    for (size_t i = 0; i < json_array_size(trials); i++)
        if (read_offer(&message->offers[message->n_offers++], json_array_get(trials, i), problem))
            return -1;
    return json_reader_close_growing(&reader);
}

static void write_offer(const struct offer_message *offer, struct json_writer *writer)
{
    json_begin_object(writer);
    put_optional_string(writer, "study", offer->study);
    json_member_int(writer, "number", offer->number);
    json_member_value(writer, "params", offer->params);
    json_member_string(writer, "lease", offer->lease);
    json_member_double(writer, "lease_s", offer->lease_s);
    json_member_int(writer, "attempt", offer->attempt);
    json_end_object(writer);
}

void ask_reply_message_write(const struct ask_reply_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "state", message->state);
    json_put_key(writer, "trials");
    json_begin_array(writer);
    for (size_t i = 0; i < message->n_offers; i++)
        write_offer(&message->offers[i], writer);
    json_end_array(writer);
    json_end_object(writer);
}

void ask_reply_message_deinit(struct ask_reply_message *message)
{
    for (size_t i = 0; i < message->n_offers; i++) {
        free(message->offers[i].study);
        json_decref(message->offers[i].params);
    }
    free(message->offers);
    free(message->state);
    *message = (struct ask_reply_message){};
}
