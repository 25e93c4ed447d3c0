/* SPDX-License-Identifier: MIT */
/* Starts a runner process, carries lines both ways, and says why it ended. */
#include "worker/runner.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/memory.h"
#include "proto/require.h"
#include "worker/runner_log.h"
#include "worker/trampoline.h"

#define KILL_AFTER_MS 5000       /* SIGTERM first */
#define MUTE_AFTER_MS 5000       /* a process that ends closes its stdout, too, a little earlier */
#define LAST_LINES_AFTER_MS 1000 /* a process that the runner left behind may hold its stdout open */
#define READ_BYTES 65536
#define HOW_TO_BE_READY "a runner in Python must call run(objective), see docs/runner-protocol.md"

/* One of the runner's output pipes, read line by line. */
struct line_pipe {
    uv_pipe_t pipe;
    struct runner *runner;
    struct buffer pending; /* an unfinished line */
    bool is_within_log;    /* of which the beginning was logged already */
    bool is_at_end;
};

struct runner {
    uv_loop_t *loop;
    struct runner_start start;
    uv_process_t process;
    uv_pipe_t input;
    struct line_pipe output, errors;
    uv_timer_t timer; /* for one thing after the other: ready in time, mute, SIGKILL, last lines */
    size_t n_handles; /* open; freed with the last */
    bool is_ready, is_ending, has_exited, is_gone;
    int64_t exit_status;
    int exit_signal;
    enum trial_failure failure; /* why runner_end() was called */
    struct problem reason;      /* the same; NONE where it ended by itself */
    struct runner_log log;
};

struct line_write {
    uv_write_t write;
    char *text;
};

/* ------------------------------------------------------------------------------------------------------ the
 * end */

static void handle_closed_cb(uv_handle_t *handle)
{
    struct runner *runner = handle->data;

    if (--runner->n_handles > 0)
        return;
    buffer_deinit(&runner->output.pending);
    buffer_deinit(&runner->errors.pending);
    free(runner);
}

/* Who ended it: us, a signal, or itself. */
static void explain_end(const struct runner *runner, struct buffer *text)
{
    if (runner->reason.type != PROBLEM_NONE)
        buffer_append_text(text, runner->reason.detail);
    else if (runner->exit_signal == SIGKILL)
        buffer_append_text(text,
                           "the runner was killed by SIGKILL; the kernel does that when memory runs out");
    else if (runner->exit_signal)
        buffer_printf(text, "the runner was killed by signal %d (%s)", runner->exit_signal,
                      strsignal(runner->exit_signal));
    else if (runner->is_ready)
        buffer_printf(text, "the runner ended with exit code %lld in the middle of its work",
                      (long long)runner->exit_status);
    else
        buffer_printf(text, "the runner ended with exit code %lld and never said that it is ready%s",
                      (long long)runner->exit_status, runner->exit_status ? "" : "; " HOW_TO_BE_READY);
    runner_log_put_last_words(&runner->log, text);
}

static void runner_gone(struct runner *runner)
{
    BUFFER_AUTO struct buffer text = {};
    uv_handle_t *handles[] = {(uv_handle_t *)&runner->process, (uv_handle_t *)&runner->input,
                              (uv_handle_t *)&runner->output.pipe, (uv_handle_t *)&runner->errors.pipe,
                              (uv_handle_t *)&runner->timer};
    struct problem reason = {};

    runner->is_gone = true;
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++)
        uv_close(handles[i], handle_closed_cb);
    runner_log_end(&runner->log);
    explain_end(runner, &text);
    problem_set(&reason, PROBLEM_INVALID, "", "%s", buffer_text(&text)); /* makes it UTF-8 */

    struct runner_exit how = {.is_clean =
                                  !runner->is_ending && runner->exit_status == 0 && runner->exit_signal == 0,
                              .failure = runner->failure,
                              .reason = reason.detail};

    runner->start.events->gone(runner->start.user, &how);
}

static void settle(struct runner *runner)
{
    if (!runner->is_gone && runner->has_exited && runner->output.is_at_end && runner->errors.is_at_end)
        runner_gone(runner);
}

static void last_lines_timer_cb(uv_timer_t *timer)
{
    struct runner *runner = timer->data;

    runner->output.is_at_end = runner->errors.is_at_end = true;
    settle(runner);
}

static void exit_cb(uv_process_t *process, int64_t status, int signal_number)
{
    struct runner *runner = process->data;

    runner->has_exited = true;
    runner->exit_status = status;
    runner->exit_signal = signal_number;
    kill(-process->pid, SIGKILL); /* what it started goes with it */
    uv_timer_start(&runner->timer, last_lines_timer_cb, LAST_LINES_AFTER_MS, 0);
    settle(runner);
}

void runner_kill(const struct runner *runner)
{
    if (!runner->has_exited)
        kill(-runner->process.pid, SIGKILL);
}

static void kill_timer_cb(uv_timer_t *timer)
{
    runner_kill(timer->data);
}

void runner_end(struct runner *runner, enum trial_failure failure, const char *reason)
{
    if (runner->is_ending || runner->has_exited)
        return;
    runner->is_ending = true;
    runner->failure = failure;
    problem_set(&runner->reason, PROBLEM_INVALID, "", "%s", reason);
    kill(-runner->process.pid, SIGTERM);
    uv_timer_start(&runner->timer, kill_timer_cb, KILL_AFTER_MS, 0);
}

/* --------------------------------------------------------------------------------------------------------
 * lines */

static void protocol_error(struct runner *runner, const char *line, size_t size, const char *what)
{
    struct problem reason = {};

    problem_set(&reason, PROBLEM_INVALID, "", "the runner does not keep to the protocol: %s; its line: %.*s",
                what, (int)(size < 200 ? size : 200), line);
    runner_end(runner, FAILURE_OBJECTIVE, reason.detail);
}

/* What it says outside the protocol is its log. */
static void take_log(struct runner *runner, const char *line, size_t size)
{
    runner_log_put(&runner->log, uv_now(runner->loop), line, size);
}

static void take_ready(struct runner *runner, const struct runner_message *message, const char *line,
                       size_t size)
{
    char what[80];

    snprintf(what, sizeof what, "it speaks version %lld, this study-worker version %d",
             (long long)message->protocol, RUNNER_PROTOCOL);
    if (runner->is_ready) {
        protocol_error(runner, line, size, "ready a second time");
    } else if (message->protocol != RUNNER_PROTOCOL) {
        protocol_error(runner, line, size, what);
    } else {
        runner->is_ready = true;
        uv_timer_stop(&runner->timer);
        runner->start.events->ready(runner->start.user);
    }
}

static void take_output(struct runner *runner, const char *line, size_t size)
{
    struct runner_message message;
    struct problem problem = {};

    if (runner->is_ending)
        return;
    if (size == 0 || line[0] != '{') {
        take_log(runner, line, size);
        return;
    }
    if (runner_message_read(&message, line, size, &problem) && runner->output.is_at_end)
        take_log(runner, line, size); /* cut off by the runner's end, which says more than its half */
    else if (problem.type != PROBLEM_NONE)
        protocol_error(runner, line, size, problem.detail);
    else if (message.op == RUNNER_READY)
        take_ready(runner, &message, line, size);
    else if (!runner->is_ready)
        protocol_error(runner, line, size, "its first message must be {\"op\": \"ready\", \"protocol\": 1}");
    else
        runner->start.events->message(runner->start.user, &message);
    runner_message_deinit(&message);
}

static void take_line(struct line_pipe *from, const char *line, size_t size)
{
    if (from == &from->runner->output && !from->is_within_log)
        take_output(from->runner, line, size);
    else
        take_log(from->runner, line, size);
    from->is_within_log = false;
}

/* A message that does not end is none; a line of the log, such as a progress bar's, may be as long as it
 * likes.
 */
static void limit_pending(struct line_pipe *from)
{
    struct buffer *pending = &from->pending;

    if (pending->size <= RUNNER_MAX_LINE)
        return;
    from->is_within_log |= from == &from->runner->errors || pending->data[0] != '{';
    if (from->is_within_log)
        take_log(from->runner, pending->data, pending->size);
    else if (!from->runner->is_ending)
        protocol_error(from->runner, pending->data, pending->size, "a line is longer than 1 MiB");
    buffer_clear(pending);
}

static void take_lines(struct line_pipe *from)
{
    struct buffer *pending = &from->pending;
    size_t start = 0;
    const char *end;

    while (start < pending->size && (end = memchr(pending->data + start, '\n', pending->size - start))) {
        size_t size = (size_t)(end - pending->data) - start;

        take_line(from, pending->data + start, size);
        start += size + 1;
    }
    buffer_consume(pending, start);
    limit_pending(from);
}

static void mute_timer_cb(uv_timer_t *timer)
{
    runner_end(timer->data, FAILURE_OBJECTIVE, "the runner closed its stdout: no result can come any more");
}

static void alloc_cb(uv_handle_t *handle, size_t, uv_buf_t *room)
{
    struct line_pipe *from = (struct line_pipe *)handle;

    buffer_reserve(&from->pending, READ_BYTES);
    *room = uv_buf_init(from->pending.data + from->pending.size, READ_BYTES);
}

static void read_cb(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *)
{
    struct line_pipe *from = (struct line_pipe *)stream;
    struct runner *runner = from->runner;

    if (n_read > 0) {
        from->pending.size += (size_t)n_read;
        from->pending.data[from->pending.size] = '\0';
        take_lines(from);
    } else if (n_read < 0) {
        uv_read_stop(stream);
        from->is_at_end = true;
        take_line(from, buffer_text(&from->pending), from->pending.size);
        buffer_clear(&from->pending);
        if (from == &runner->output && !runner->has_exited && !runner->is_ending)
            uv_timer_start(&runner->timer, mute_timer_cb, MUTE_AFTER_MS, 0);
        settle(runner);
    }
}

static void write_cb(uv_write_t *write, int)
{
    struct line_write *line = (struct line_write *)write;

    /* A write that failed means that the runner is about to be gone, which says it better. */
    free(line->text);
    free(line);
}

void runner_send(struct runner *runner, struct buffer *lines)
{
    struct line_write *line = memory_new(sizeof *line);
    size_t size = lines->size;

    line->text = buffer_take(lines);

    uv_buf_t buffer = uv_buf_init(line->text, (unsigned)size);

    if (uv_write(&line->write, (uv_stream_t *)&runner->input, &buffer, 1, write_cb))
        write_cb(&line->write, 0);
}

bool runner_is_ready(const struct runner *runner)
{
    return runner->is_ready && !runner->is_ending && !runner->has_exited;
}

/* ----------------------------------------------------------------------------------------------------- the
 * start */

static bool is_ours(const char *variable)
{
    static const char *const prefixes[] = {
        "STUDYD_", "CUDA_VISIBLE_DEVICES=", "CUDA_DEVICE_ORDER=", "OMP_NUM_THREADS=", TRAMPOLINE_PARENT "="};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* The worker's own environment without what concerns the worker, and the slot's device and threads. */
static void make_environment(const struct runner_start *start, struct command *environment)
{
    BUFFER_AUTO struct buffer text = {};

    for (char **variable = environ; *variable; variable++)
        if (!is_ours(*variable))
            command_add(environment, *variable);
    buffer_printf(&text, "CUDA_VISIBLE_DEVICES=%s", start->gpu ? start->gpu : "");
    command_add(environment, buffer_text(&text));
    command_add(environment, "CUDA_DEVICE_ORDER=PCI_BUS_ID");
    buffer_clear(&text);
    buffer_printf(&text, "OMP_NUM_THREADS=%lld", (long long)start->threads);
    command_add(environment, buffer_text(&text));
    buffer_clear(&text);
    buffer_printf(&text, TRAMPOLINE_PARENT "=%d", (int)getpid());
    command_add(environment, buffer_text(&text));
}

static int spawn(struct runner *runner)
{
    struct command words = {}, environment = {};
    const struct command *command = &runner->start.entry->command;
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&runner->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&runner->output.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&runner->errors.pipe}};

    command_add(&words, "study-worker");
    command_add(&words, TRAMPOLINE_OPTION);
    for (size_t i = 0; i < command->n_words; i++)
        command_add(&words, command->words[i]);
    make_environment(&runner->start, &environment);

    uv_process_options_t options = {.exit_cb = exit_cb,
                                    .file = "/proc/self/exe",
                                    .args = words.words,
                                    .env = environment.words,
                                    .flags = UV_PROCESS_DETACHED, /* a process group of its own */
                                    .stdio_count = 3,
                                    .stdio = stdio};
    int code = uv_spawn(runner->loop, &runner->process, &options);

    command_deinit(&words);
    command_deinit(&environment);
    return code;
}

static void start_timer_cb(uv_timer_t *timer)
{
    struct runner *runner = timer->data;
    char reason[200];

    snprintf(reason, sizeof reason, "the runner was not ready after %g s (start_timeout_s); " HOW_TO_BE_READY,
             (double)runner->start.start_timeout_ms / 1000);
    runner_end(runner, FAILURE_TIMEOUT, reason);
}

static void spawn_failed_timer_cb(uv_timer_t *timer)
{
    runner_gone(timer->data);
}

static void init_pipe(struct runner *runner, uv_pipe_t *pipe)
{
    require(uv_pipe_init(runner->loop, pipe, 0) == 0);
    pipe->data = runner;
}

struct runner *runner_new(uv_loop_t *loop, const struct runner_start *start)
{
    struct runner *runner = memory_new(sizeof *runner);

    *runner = (struct runner){.loop = loop,
                              .start = *start,
                              .n_handles = 5,
                              .failure = FAILURE_KILLED,
                              .log = {.label = start->label}};
    runner->output.runner = runner->errors.runner = runner;
    init_pipe(runner, &runner->input);
    init_pipe(runner, &runner->output.pipe);
    init_pipe(runner, &runner->errors.pipe);
    require(uv_timer_init(loop, &runner->timer) == 0);
    runner->timer.data = runner;

    int code = spawn(runner);

    runner->process.data = runner;
    if (code < 0) {
        problem_set(&runner->reason, PROBLEM_INVALID, "", "no process can be started: %s", uv_strerror(code));
        runner->has_exited = true;
        uv_timer_start(&runner->timer, spawn_failed_timer_cb, 0, 0);
        return runner;
    }
    uv_read_start((uv_stream_t *)&runner->output.pipe, alloc_cb, read_cb);
    uv_read_start((uv_stream_t *)&runner->errors.pipe, alloc_cb, read_cb);
    uv_timer_start(&runner->timer, start_timer_cb, start->start_timeout_ms, 0);
    return runner;
}
