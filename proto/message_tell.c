/* SPDX-License-Identifier: MIT */
/* Tell: a trial's outcome, and what became of the trial. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/message.h"
#include "proto/message_member.h"
#include "proto/spec.h"

#define MAX_CONSTRAINTS 1000

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
            json_read_fail(reader, key, "number %zu must be " MESSAGE_A_NUMBER, i + 1);
    *n = size;
    return numbers;
}

static void read_values(struct tell_message *message, struct json_reader *reader)
{
    bool has_value = json_read_has(reader, "value"), has_values = json_read_has(reader, "values");

    if (has_value && has_values) {
        json_read_fail(reader, "value", "cannot stand beside \"values\"; give one of them");
    } else if (has_value) {
        message->values = memory_new(sizeof message->values[0]);
        message->n_values = 1;
        message_read_number(reader, "value", message->values);
    } else {
        message->values = read_numbers(reader, "values", 1, SPEC_MAX_DIRECTIONS, &message->n_values);
    }
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
    message->lease = message_read_lease(&reader);
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

static void put_numbers(struct json_writer *writer, const char *key, const double *numbers, size_t n)
{
    json_put_key(writer, key);
    json_begin_array(writer);
    for (size_t i = 0; i < n; i++)
        json_put_double(writer, numbers[i]);
    json_end_array(writer);
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
    message_put_optional_value(writer, "user_attrs", message->user_attrs);
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
    message->reason = memory_strdup(json_read_string(&reader, "reason", NULL));
    return json_reader_close_growing(&reader);
}

void tell_reply_message_write(const struct tell_reply_message *message, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_int(writer, "number", message->number);
    json_member_string(writer, "state", trial_state_names[message->state]);
    json_member_bool(writer, "best", message->best);
    if (message->reason)
        json_member_string(writer, "reason", message->reason);
    json_end_object(writer);
}

void tell_reply_message_deinit(struct tell_reply_message *message)
{
    free(message->reason);
    *message = (struct tell_reply_message){};
}
