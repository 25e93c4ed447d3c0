/* SPDX-License-Identifier: MIT */
/* Reads and writes the lines between study-worker and its runners. */
#include "worker/runner_message.h"

#include <stdlib.h>

#include "proto/json_read.h"
#include "proto/json_write.h"
#include "proto/memory.h"

static const char *const runner_op_names[] = {"ready", "report", "done", "pruned", "fail", NULL};

static void line_begin(struct json_writer *writer, struct buffer *out, const char *op)
{
    json_writer_init(writer, out);
    json_begin_object(writer);
    json_member_string(writer, "op", op);
}

static void line_end(struct json_writer *writer)
{
    json_end_object(writer);
    buffer_append_char(writer->out, '\n');
}

void runner_trial_write(const struct runner_trial *trial, struct buffer *out)
{
    struct json_writer writer;
    line_begin(&writer, out, "trial");
    json_member_string(&writer, "study", trial->study);
    json_member_int(&writer, "number", trial->number);
    json_member_int(&writer, "attempt", trial->attempt);
    json_member_value(&writer, "params", trial->params);
    json_member_value(&writer, "objective", trial->objective);
    if (trial->space)
        json_member_value(&writer, "space", trial->space);
    json_member_string(&writer, "device", trial->device);
    json_member_int(&writer, "threads", trial->threads);
    json_member_int(&writer, "seed", trial->seed);
    json_member_bool(&writer, "wait", trial->waits_for_reports);
    line_end(&writer);
}

static json_t *read_object(struct json_reader *reader, const char *key, bool is_required)
{
    json_t *value = json_read_any(reader, key);
    if (!value && !is_required)
        return NULL;
    if (!json_is_object(value)) {
        json_read_fail(reader, key, "must be an object");
        return NULL;
    }
    return json_incref(value);
}

int runner_trial_read(struct runner_trial *trial, json_t *json, struct problem *problem)
{
    *trial = (struct runner_trial){0};
    struct json_reader reader;
    json_reader_open(&reader, json, "", problem);
    trial->study = memory_strdup(json_read_required_string(&reader, "study"));
    trial->number = json_read_required_int(&reader, "number", 0, INT64_MAX);
    trial->attempt = json_read_int(&reader, "attempt", 1, INT64_MAX, 1);
    trial->params = read_object(&reader, "params", true);
    trial->objective = read_object(&reader, "objective", true);
    trial->space = read_object(&reader, "space", false);
    trial->device = memory_strdup(json_read_string(&reader, "device", "cpu"));
    trial->threads = json_read_int(&reader, "threads", 1, 65536, 1);
    trial->seed = (uint32_t)json_read_int(&reader, "seed", 0, UINT32_MAX, 0);
    trial->waits_for_reports = json_read_bool(&reader, "wait", false);
    return reader.has_failed ? -1 : 0;
}

void runner_trial_deinit(struct runner_trial *trial)
{
    free(trial->study);
    free(trial->device);
    json_decref(trial->params);
    json_decref(trial->objective);
    json_decref(trial->space);
    *trial = (struct runner_trial){0};
}

void runner_prune_write(struct buffer *out)
{
    buffer_append_text(out, "{\"op\": \"prune\"}\n");
}

static void put_done(struct json_writer *writer, const struct runner_message *message)
{
    json_put_key(writer, "values");
    json_begin_array(writer);
    for (size_t i = 0; i < message->n_values; i++)
        json_put_double(writer, message->values[i]);
    json_end_array(writer);
}

void runner_message_write(const struct runner_message *message, struct buffer *out)
{
    struct json_writer writer;
    line_begin(&writer, out, runner_op_names[message->op]);
    switch (message->op) {
    case RUNNER_READY:
        json_member_int(&writer, "protocol", message->protocol);
        break;
    case RUNNER_REPORT:
        json_member_int(&writer, "step", message->point.step);
        json_member_double(&writer, "value", message->point.value);
        break;
    case RUNNER_DONE:
        put_done(&writer, message);
        break;
    case RUNNER_PRUNED:
        break;
    case RUNNER_FAIL:
        json_member_string(&writer, "class", trial_failure_names[message->failure]);
        json_member_string(&writer, "reason", message->reason);
        break;
    }
    if (message->has_number)
        json_member_int(&writer, "number", message->number);
    if (message->attrs)
        json_member_value(&writer, "attrs", message->attrs);
    line_end(&writer);
}

static void read_report(struct json_reader *reader, struct report_point *point)
{
    point->step = (int32_t)json_read_required_int(reader, "step", 0, MESSAGE_MAX_STEP);
    if (json_to_double(json_read_any(reader, "value"), &point->value) < 0)
        json_read_fail(reader, "value", "must be a number, or one of \"NaN\", \"Infinity\", \"-Infinity\"");
}

static void read_values(struct json_reader *reader, struct runner_message *message)
{
    json_t *values = json_read_any(reader, "values");
    if (!json_is_array(values) || json_array_size(values) == 0) {
        json_read_fail(reader, "values", "must be an array of one number per direction of the study: [0.58]");
        return;
    }
    message->n_values = json_array_size(values);
    message->values = memory_array(message->n_values, sizeof *message->values);
    for (size_t i = 0; i < message->n_values; i++)
        if (json_to_double(json_array_get(values, i), &message->values[i]) < 0)
            json_read_fail(reader, "values",
                           "item %zu must be a number, or one of \"NaN\", \"Infinity\", "
                           "\"-Infinity\"",
                           i);
}

static void read_attrs(struct json_reader *reader, struct runner_message *message)
{
    json_t *attrs = json_read_any(reader, "attrs");
    if (attrs && !json_is_object(attrs))
        json_read_fail(reader, "attrs", "must be an object: {\"best_iteration\": 311}");
    else
        message->attrs = json_incref(attrs);
}

static void read_members(struct json_reader *reader, struct runner_message *message)
{
    message->op = (enum runner_op)json_read_choice(reader, "op", runner_op_names, -1);
    if (reader->has_failed)
        return;
    if (message->op == RUNNER_READY)
        message->protocol = json_read_required_int(reader, "protocol", 1, INT32_MAX);
    message->has_number = json_read_has(reader, "number");
    message->number = json_read_int(reader, "number", 0, INT64_MAX, 0);
    if (message->op == RUNNER_REPORT)
        read_report(reader, &message->point);
    if (message->op == RUNNER_DONE)
        read_values(reader, message);
    if (message->op == RUNNER_FAIL) {
        message->failure =
            (enum trial_failure)json_read_choice(reader, "class", trial_failure_names, FAILURE_OBJECTIVE);
        message->reason = memory_strdup(json_read_string(reader, "reason", "the runner gave no reason"));
    }
    if (message->op == RUNNER_DONE || message->op == RUNNER_PRUNED || message->op == RUNNER_FAIL)
        read_attrs(reader, message);
}

int runner_message_read(struct runner_message *message, const char *line, size_t size,
                        struct problem *problem)
{
    *message = (struct runner_message){0};
    json_t *json = json_parse(line, size, problem);
    if (!json)
        return -1;
    struct json_reader reader;
    json_reader_open(&reader, json, "", problem);
    read_members(&reader, message);
    json_decref(json);
    return reader.has_failed ? -1 : 0;
}

void runner_message_deinit(struct runner_message *message)
{
    free(message->values);
    json_decref(message->attrs);
    free(message->reason);
    *message = (struct runner_message){0};
}
