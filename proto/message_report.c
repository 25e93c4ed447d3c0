/* SPDX-License-Identifier: MIT */
/* Report and heartbeat: what a running trial says, and its answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/message.h"
#include "proto/message_member.h"

#define MAX_POINTS 10000

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
            json_read_fail(reader, "intermediate_values", "step %s must have " MESSAGE_A_NUMBER, key);
    }
    qsort(message->points, message->n_points, sizeof message->points[0], compare_points);
}

static void read_point(struct report_message *message, struct json_reader *reader)
{
    message->points = memory_new(sizeof message->points[0]);
    message->n_points = 1;
    message->points[0].step = (int32_t)json_read_required_int(reader, "step", 0, MESSAGE_MAX_STEP);
    message_read_number(reader, "value", &message->points[0].value);
}

int report_message_read(struct report_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct report_message){};
    json_reader_open(&reader, json, "", problem);
    message->lease = message_read_lease(&reader);

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
    message->lease_s = message_read_lease_s(&reader);
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
    message->lease = message_read_lease(&reader);
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
