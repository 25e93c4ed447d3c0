/* SPDX-License-Identifier: MIT */
/* Speaks the runner protocol over two pipes. */
#include "worker/xgboost/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/json_read.h"
#include "proto/log.h"
#include "worker/xgboost/line_input.h"

struct session {
    struct trainer *trainer;
    struct line_input input;
    int out_fd;
    bool waits_for_answers; /* of the trial under way */
    int64_t number;         /* the same; -1: it was not understood */
};

enum command { COMMAND_TRIAL, COMMAND_CONTINUE, COMMAND_PRUNE, COMMAND_UNKNOWN };

static enum command command_of(const json_t *json)
{
    static const char *const names[] = {"trial", "continue", "prune"};
    const char *op = json_string_value(json_object_get(json, "op"));
    for (int i = 0; op && i < COMMAND_UNKNOWN; i++)
        if (strcmp(op, names[i]) == 0)
            return (enum command)i;
    return COMMAND_UNKNOWN;
}

/* One message on its way; -1 where nobody reads any more. */
static int send_message(const struct session *session, const struct runner_message *message)
{
    BUFFER_AUTO struct buffer line = {0};
    runner_message_write(message, &line);
    for (size_t at = 0; at < line.size;) {
        ssize_t written = write(session->out_fd, line.data + at, line.size - at);
        if (written < 0 && errno != EINTR)
            return -1;
        at += written > 0 ? (size_t)written : 0;
    }
    return 0;
}

/* What the next line says to the trial under way. */
static enum verdict read_verdict(const char *line, size_t size)
{
    struct problem problem = {0};
    json_t *json = json_parse(line, size, &problem);
    enum command command = command_of(json);
    if (!json)
        log_error("the supervisor's line is not understood: %s", problem.detail);
    json_decref(json);
    if (command == COMMAND_TRIAL)
        log_error("a trial came in while another one runs");
    return command == COMMAND_CONTINUE ? TRAIN_ON : command == COMMAND_PRUNE ? TRAIN_PRUNE : TRAIN_ABANDON;
}

/* The input's end means that no further trial comes; the one under way goes on, unless it needs an answer. */
static enum verdict next_verdict(struct session *session, bool may_wait)
{
    char *line;
    size_t size;
    switch (line_input_next(&session->input, may_wait, &line, &size)) {
    case LINE_NONE:
        return TRAIN_ON;
    case LINE_END:
        return may_wait ? TRAIN_ABANDON : TRAIN_ON;
    case LINE_READY:
        break;
    }
    return read_verdict(line, size);
}

static enum verdict on_look(void *context)
{
    return next_verdict(context, false);
}

static enum verdict on_report(void *context, int step, double value)
{
    struct session *session = context;
    const struct runner_message message = {.op = RUNNER_REPORT,
                                           .has_number = true,
                                           .number = session->number,
                                           .point = {.step = step, .value = value}};
    if (send_message(session, &message) < 0)
        return TRAIN_ABANDON;
    return session->waits_for_answers ? next_verdict(session, true) : TRAIN_ON;
}

static int send_result(const struct session *session, struct trial_result *result)
{
    struct runner_message message = {
        .has_number = session->number >= 0, .number = session->number, .attrs = result->attrs};
    switch (result->outcome) {
    case OUTCOME_DONE:
        message.op = RUNNER_DONE;
        message.n_values = 1;
        message.values = &result->value;
        break;
    case OUTCOME_PRUNED:
        message.op = RUNNER_PRUNED;
        break;
    case OUTCOME_FAILED:
        message.op = RUNNER_FAIL;
        message.failure = result->failure.kind;
        message.reason = result->failure.reason;
        break;
    case OUTCOME_ABANDONED:
        return -1;
    }
    return send_message(session, &message);
}

/* 0: the next trial may come. */
static int run_trial(struct session *session, json_t *json)
{
    struct runner_trial trial;
    struct problem problem = {0};
    struct trial_result result = {.outcome = OUTCOME_FAILED};
    if (runner_trial_read(&trial, json, &problem) < 0) {
        session->number = -1;
        failure_set(&result.failure, FAILURE_OBJECTIVE, "the trial is not understood: %s", problem.detail);
    } else {
        const struct watcher watcher = {.context = session, .report = on_report, .look = on_look};
        session->waits_for_answers = trial.waits_for_reports;
        session->number = trial.number;
        trainer_run(session->trainer, &trial, &watcher, &result);
    }
    int status = send_result(session, &result);
    if (result.outcome == OUTCOME_FAILED && result.failure.kind == FAILURE_OOM) {
        log_error("out of memory: this process ends, so that the next trial starts with a fresh one");
        status = -1;
    }
    trial_result_deinit(&result);
    runner_trial_deinit(&trial);
    return status;
}

/* A line between two trials. A prune or continue that comes after its trial's end is late and means nothing.
 */
static int take_line(struct session *session, const char *line, size_t size)
{
    struct problem problem = {0};
    json_t *json = json_parse(line, size, &problem);
    if (!json) {
        log_error("the supervisor's line is not understood: %s", problem.detail);
        return -1;
    }
    int status = command_of(json) == COMMAND_TRIAL ? run_trial(session, json) : 0;
    json_decref(json);
    return status;
}

int session_serve(struct trainer *trainer, int in_fd, int out_fd)
{
    struct session session = {
        .trainer = trainer, .out_fd = out_fd, .input = {.fd = in_fd, .max_line_bytes = RUNNER_MAX_LINE}};
    const struct runner_message ready = {.op = RUNNER_READY, .protocol = RUNNER_PROTOCOL};
    int status = send_message(&session, &ready);
    char *line;
    size_t size;
    while (status == 0 && line_input_next(&session.input, true, &line, &size) == LINE_READY)
        status = take_line(&session, line, size);
    line_input_deinit(&session.input);
    return status < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
