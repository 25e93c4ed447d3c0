/* SPDX-License-Identifier: MIT */
/* The messages of ask/tell: each with its reader, its writer and what it frees. */
#include "proto/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"

#define MAX_POINTS 10000
#define MAX_VALUES 32
#define MAX_CONSTRAINTS 1000
#define MAX_RUNNERS 100
#define MAX_ATTR_BYTES 60000
#define MAX_ATTR_KEY 512 /* Optuna's column */
#define MAX_LEASE_S 86400.0
#define A_NUMBER "a number, or one of the strings \"NaN\", \"Infinity\", \"-Infinity\""

const char *const trial_state_names[] = {
#define X(id, name) [TRIAL_##id] = name,
    TRIAL_STATES(X)
#undef X
        NULL};

const char *const trial_failure_names[] = {
#define X(id, name) [FAILURE_##id] = name,
    TRIAL_FAILURES(X)
#undef X
        NULL};

/* ---- members that several messages have ---- */

static char *read_lease(struct json_reader *reader)
{
    const char *lease = json_read_required_string(reader, "lease");

    if (strlen(lease) != MESSAGE_LEASE_SIZE - 1 ||
        strspn(lease, "0123456789abcdef") != MESSAGE_LEASE_SIZE - 1)
        json_read_fail(reader, "lease", "must be the %d hex digits that ask gave", MESSAGE_LEASE_SIZE - 1);
    return memory_strdup(lease);
}

static char *read_request_id(struct json_reader *reader)
{
    const char *id = json_read_string(reader, "request_id", NULL);

    if (!id)
        return NULL;

    size_t length = strlen(id);
    bool is_printable = true;

    for (const char *c = id; *c; c++)
        is_printable &= *c >= 0x20 && *c < 0x7f;
    if (length < 1 || length > MESSAGE_MAX_REQUEST_ID || !is_printable)
        json_read_fail(reader, "request_id", "must be 1 to %d printable ASCII characters",
                       MESSAGE_MAX_REQUEST_ID);
    return memory_strdup(id);
}

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

static json_t *read_object(struct json_reader *reader, const char *key)
{
    json_t *object = json_read_any(reader, key);

    if (object && !json_is_object(object))
        json_read_fail(reader, key, "must be an object, {...}");
    return json_incref(object);
}

/* Each attribute becomes a row of its own; what counts is its size with ASCII escapes, as Optuna writes. */
json_t *message_read_user_attrs(struct json_reader *reader)
{
    json_t *attrs = read_object(reader, "user_attrs"), *value;
    const char *key;

    json_object_foreach (attrs, key, value) {
        size_t size = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

        if (!*key || strlen(key) > MAX_ATTR_KEY)
            json_read_fail(reader, "user_attrs", "a key has %zu bytes; it must have 1 to %d", strlen(key),
                           MAX_ATTR_KEY);
        else if (size > MAX_ATTR_BYTES)
            json_read_fail(reader, "user_attrs", "\"%.80s\" has %zu bytes as JSON; %d are the limit", key,
                           size, MAX_ATTR_BYTES);
    }
    return attrs;
}

/* An array of `low` to `high` numbers, infinities and NaN included; NULL where absent. */
static double *read_numbers(struct json_reader *reader, const char *key, size_t low, size_t high, size_t *n)
{
    const json_t *array = json_read_any(reader, key);
    size_t size = json_array_size(array);

    if (!array)
        return NULL;
    if (!json_is_array(array) || size < low || size > high) {
        json_read_fail(reader, key, "must be an array of %zu to %zu numbers", low, high);
        return NULL;
    }

    double *numbers = memory_array(size, sizeof numbers[0]);

    for (size_t i = 0; i < size; i++)
        if (json_to_double(json_array_get(array, i), &numbers[i]))
            json_read_fail(reader, key, "number %zu must be " A_NUMBER, i + 1);
    *n = size;
    return numbers;
}

static void read_number(struct json_reader *reader, const char *key, double *number)
{
    if (json_to_double(json_read_any(reader, key), number))
        json_read_fail(reader, key, "must be " A_NUMBER);
}

static double read_lease_s(struct json_reader *reader)
{
    return json_read_required_number(reader, "lease_s", 0, MAX_LEASE_S);
}

static void put_numbers(struct json_writer *writer, const char *key, const double *numbers, size_t n)
{
    json_put_key(writer, key);
    json_begin_array(writer);
    for (size_t i = 0; i < n; i++)
        json_put_double(writer, numbers[i]);
    json_end_array(writer);
}

/* For members that are left out where they are NULL. */
static void put_optional_string(struct json_writer *writer, const char *key, const char *text)
{
    if (text)
        json_member_string(writer, key, text);
}

static void put_optional_value(struct json_writer *writer, const char *key, const json_t *value)
{
    if (value)
        json_member_value(writer, key, value);
}

/* ---- ask ---- */

static json_t *read_runners(struct json_reader *reader)
{
    json_t *runners = json_read_any(reader, "runners");
    size_t n = json_array_size(runners);
    bool is_valid = json_is_array(runners) && n >= 1 && n <= MAX_RUNNERS;

    for (size_t i = 0; is_valid && i < n; i++)
        is_valid = json_is_string(json_array_get(runners, i));
    if (runners && !is_valid)
        json_read_fail(reader, "runners", "must be an array of 1 to %d runners' names; left out it means any",
                       MAX_RUNNERS);
    return json_incref(runners);
}

int ask_message_read(struct ask_message *message, json_t *json, bool is_of_all, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct ask_message){};
    json_reader_open(&reader, json, "", problem);
    message->worker = read_worker(&reader);
    message->count = json_read_int(&reader, "count", 1, MESSAGE_MAX_COUNT, 1);
    message->wait_s = json_read_number(&reader, "wait_s", 0, MESSAGE_MAX_WAIT_S, 0);
    message->request_id = read_request_id(&reader);
    if (is_of_all)
        message->runners = read_runners(&reader);
    return json_reader_close(&reader);
}

void ask_message_write(const struct ask_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "worker", message->worker);
    json_member_int(writer, "count", message->count);
    json_member_double(writer, "wait_s", message->wait_s);
    put_optional_string(writer, "request_id", message->request_id);
    put_optional_value(writer, "runners", message->runners);
    json_end_object(writer);
}

void ask_message_deinit(struct ask_message *message)
{
    free(message->worker);
    free(message->request_id);
    json_decref(message->runners);
    *message = (struct ask_message){};
}

static int read_offer(struct offer_message *offer, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, json, "trials", problem);
    offer->study = memory_strdup(json_read_string(&reader, "study", NULL));
    offer->number = json_read_required_int(&reader, "number", 0, INT64_MAX);
    offer->params = read_object(&reader, "params");
    if (!offer->params)
        json_read_fail(&reader, "params", "is missing");

    MEMORY_AUTO char *lease = read_lease(&reader);

    snprintf(offer->lease, sizeof offer->lease, "%s", lease);
    offer->lease_s = read_lease_s(&reader);
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

/* ---- report ---- */

/* "10" but neither "010", "+10" nor "10 ": one step has one name. */
static int read_step(const char *text, int32_t *step)
{
    size_t length = strlen(text);
    long long number = length <= 10 ? atoll(text) : -1;

    if (length < 1 || strspn(text, "0123456789") != length || (text[0] == '0' && length > 1) || number < 0 ||
        number > MESSAGE_MAX_STEP)
        return -1;
    *step = (int32_t)number;
    return 0;
}

static int compare_points(const void *a, const void *b)
{
    const struct report_point *left = a, *right = b;

    return (left->step > right->step) - (left->step < right->step);
}

static void read_points(struct report_message *message, struct json_reader *reader, json_t *values)
{
    size_t n = json_object_size(values);
    const char *key;
    json_t *value;

    if (n < 1 || n > MAX_POINTS) {
        json_read_fail(reader, "intermediate_values",
                       "must be an object of 1 to %d steps and values, such as {\"10\": 0.5}", MAX_POINTS);
        return;
    }
    message->points = memory_array(n, sizeof message->points[0]);
    json_object_foreach (values, key, value) {
        struct report_point *point = &message->points[message->n_points++];

        if (read_step(key, &point->step))
            json_read_fail(reader, "intermediate_values",
                           "\"%.40s\" is no step: write a whole number from 0 to %d", key, MESSAGE_MAX_STEP);
        else if (json_to_double(value, &point->value))
            json_read_fail(reader, "intermediate_values", "step %s must have " A_NUMBER, key);
    }
    qsort(message->points, message->n_points, sizeof message->points[0], compare_points);
}

static void read_point(struct report_message *message, struct json_reader *reader)
{
    message->points = memory_new(sizeof message->points[0]);
    message->n_points = 1;
    message->points[0].step = (int32_t)json_read_required_int(reader, "step", 0, MESSAGE_MAX_STEP);
    read_number(reader, "value", &message->points[0].value);
}

int report_message_read(struct report_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct report_message){};
    json_reader_open(&reader, json, "", problem);
    message->lease = read_lease(&reader);

    json_t *values = json_read_any(&reader, "intermediate_values");
    bool has_step = json_read_has(&reader, "step"), has_value = json_read_has(&reader, "value");

    if (values && (has_step || has_value))
        return json_read_fail(&reader, "intermediate_values", "cannot stand beside \"step\" and \"value\"");
    if (values)
        read_points(message, &reader, values);
    else
        read_point(message, &reader);
    return json_reader_close(&reader);
}

void report_message_write(const struct report_message *message, struct json_writer *writer)
{
    char step[16];

    json_begin_object(writer);
    json_member_string(writer, "lease", message->lease);
    if (message->n_points == 1) {
        json_member_int(writer, "step", message->points[0].step);
        json_member_double(writer, "value", message->points[0].value);
    } else {
        json_put_key(writer, "intermediate_values");
        json_begin_object(writer);
        for (size_t i = 0; i < message->n_points; i++) {
            snprintf(step, sizeof step, "%d", message->points[i].step);
            json_member_double(writer, step, message->points[i].value);
        }
        json_end_object(writer);
    }
    json_end_object(writer);
}

void report_message_deinit(struct report_message *message)
{
    free(message->lease);
    free(message->points);
    *message = (struct report_message){};
}

int report_reply_message_read(struct report_reply_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct report_reply_message){};
    json_reader_open(&reader, json, "", problem);
    message->prune = json_read_bool(&reader, "prune", false);
    message->lease_s = read_lease_s(&reader);
    message->state = memory_strdup(json_read_required_string(&reader, "state"));
    return json_reader_close_growing(&reader);
}

void report_reply_message_write(const struct report_reply_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_bool(writer, "prune", message->prune);
    json_member_double(writer, "lease_s", message->lease_s);
    json_member_string(writer, "state", message->state);
    json_end_object(writer);
}

void report_reply_message_deinit(struct report_reply_message *message)
{
    free(message->state);
    *message = (struct report_reply_message){};
}

/* ---- heartbeat ---- */

int heartbeat_message_read(struct heartbeat_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, json, "", problem);
    message->lease = read_lease(&reader);
    return json_reader_close(&reader);
}

void heartbeat_message_write(const struct heartbeat_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "lease", message->lease);
    json_end_object(writer);
}

void heartbeat_message_deinit(struct heartbeat_message *message)
{
    free(message->lease);
    *message = (struct heartbeat_message){};
}

void heartbeat_reply_write(double lease_s, const char *study_state, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_double(writer, "lease_s", lease_s);
    json_member_string(writer, "state", study_state);
    json_end_object(writer);
}

/* ---- tell ---- */

static void read_values(struct tell_message *message, struct json_reader *reader)
{
    bool has_value = json_read_has(reader, "value");

    message->values = read_numbers(reader, "values", 1, MAX_VALUES, &message->n_values);
    if (!has_value)
        return;
    if (json_read_has(reader, "values")) {
        json_read_fail(reader, "value", "cannot stand beside \"values\"; give one of them");
        return;
    }
    message->values = memory_new(sizeof message->values[0]);
    message->n_values = 1;
    read_number(reader, "value", message->values);
}

static void read_outcome(struct tell_message *message, struct json_reader *reader)
{
    /* All states but the first, running, can be told. */
    const char *const *choices = &trial_state_names[TRIAL_COMPLETE];
    bool has_state = json_read_has(reader, "state"), has_class = json_read_has(reader, "class");
    int state = json_read_choice(reader, "state", choices, 0);

    message->state = (enum trial_state)(state + TRIAL_COMPLETE);
    message->failure =
        (enum trial_failure)json_read_choice(reader, "class", trial_failure_names, FAILURE_OBJECTIVE);

    if (!has_state && message->n_values == 0)
        json_read_fail(reader, "state",
                       "is missing; give \"value\" or \"values\", or say what else became of the trial");
    else if (message->state == TRIAL_COMPLETE && message->n_values == 0)
        json_read_fail(reader, "values", "a complete trial needs \"value\" or \"values\"");
    else if (message->state != TRIAL_COMPLETE && message->n_values > 0)
        json_read_fail(reader, "values", "a trial told as \"%s\" cannot have values%s",
                       trial_state_names[message->state],
                       message->state == TRIAL_PRUNED ? "; its value is its last report" : "");
    else if (has_class && message->state != TRIAL_FAIL)
        json_read_fail(reader, "class", "goes with \"state\": \"fail\" only");
}

static void read_reason(struct tell_message *message, struct json_reader *reader)
{
    const char *reason = json_read_string(reader, "reason", NULL);

    if (reason && strlen(reason) > MESSAGE_MAX_REASON)
        json_read_fail(reader, "reason", "has %zu bytes; cut it to %d", strlen(reason), MESSAGE_MAX_REASON);
    message->reason = memory_strdup(reason);
}

int tell_message_read(struct tell_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct tell_message){};
    json_reader_open(&reader, json, "", problem);
    message->lease = read_lease(&reader);
    read_values(message, &reader);
    read_outcome(message, &reader);
    read_reason(message, &reader);
    message->user_attrs = message_read_user_attrs(&reader);
    message->constraints = read_numbers(&reader, "constraints", 0, MAX_CONSTRAINTS, &message->n_constraints);
    for (size_t i = 0; i < message->n_constraints; i++)
        if (isnan(message->constraints[i]))
            json_read_fail(&reader, "constraints", "number %zu is NaN: neither kept nor broken", i + 1);
    return json_reader_close(&reader);
}

/* At most MESSAGE_MAX_REASON bytes, cut between two characters. */
static void write_reason(const char *reason, struct json_writer *writer)
{
    size_t size = strnlen(reason, MESSAGE_MAX_REASON + 1);

    if (size > MESSAGE_MAX_REASON)
        for (size = MESSAGE_MAX_REASON; size > 0 && (reason[size] & 0xc0) == 0x80;)
            size--;

    MEMORY_AUTO char *text = memory_strndup(reason, size);

    json_member_string(writer, "reason", text);
}

void tell_message_write(const struct tell_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "lease", message->lease);
    json_member_string(writer, "state", trial_state_names[message->state]);
    if (message->n_values == 1)
        json_member_double(writer, "value", message->values[0]);
    else if (message->n_values > 1)
        put_numbers(writer, "values", message->values, message->n_values);
    if (message->state == TRIAL_FAIL)
        json_member_string(writer, "class", trial_failure_names[message->failure]);
    if (message->reason)
        write_reason(message->reason, writer);
    put_optional_value(writer, "user_attrs", message->user_attrs);
    if (message->constraints)
        put_numbers(writer, "constraints", message->constraints, message->n_constraints);
    json_end_object(writer);
}

void tell_message_deinit(struct tell_message *message)
{
    free(message->lease);
    free(message->values);
    free(message->reason);
    json_decref(message->user_attrs);
    free(message->constraints);
    *message = (struct tell_message){};
}

int tell_reply_message_read(struct tell_reply_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct tell_reply_message){};
    json_reader_open(&reader, json, "", problem);
    message->number = json_read_required_int(&reader, "number", 0, INT64_MAX);
    message->state = (enum trial_state)json_read_choice(&reader, "state", trial_state_names, -1);
    message->best = json_read_bool(&reader, "best", false);
    return json_reader_close_growing(&reader);
}

void tell_reply_message_write(const struct tell_reply_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_int(writer, "number", message->number);
    json_member_string(writer, "state", trial_state_names[message->state]);
    json_member_bool(writer, "best", message->best);
    json_end_object(writer);
}

/* ---- enqueue ---- */

int enqueue_message_read(struct enqueue_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct enqueue_message){};
    json_reader_open(&reader, json, "", problem);
    message->params = read_object(&reader, "params");
    if (!message->params)
        json_read_fail(&reader, "params",
                       "is missing; an object of parameters and values is needed, {} for none");
    message->user_attrs = message_read_user_attrs(&reader);
    message->request_id = read_request_id(&reader);
    return json_reader_close(&reader);
}

void enqueue_message_deinit(struct enqueue_message *message)
{
    json_decref(message->params);
    json_decref(message->user_attrs);
    free(message->request_id);
    *message = (struct enqueue_message){};
}
