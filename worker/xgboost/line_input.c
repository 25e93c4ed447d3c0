/* SPDX-License-Identifier: MIT */
/* Reads a pipe line by line. */
#include "worker/xgboost/line_input.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"

static bool take_line(struct line_input *input, char **line, size_t *size)
{
    buffer_consume(&input->bytes, input->taken_bytes);
    input->taken_bytes = 0;
    char *newline = input->bytes.size > 0 ? memchr(input->bytes.data, '\n', input->bytes.size) : NULL;
    if (!newline)
        return false;
    *newline = '\0';
    *line = input->bytes.data;
    *size = (size_t)(newline - input->bytes.data);
    input->taken_bytes = *size + 1;
    return true;
}

/* Is there something to read, or the end? */
static bool is_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, 0) > 0;
}

static void read_more(struct line_input *input)
{
    char bytes[65536];
    ssize_t got = read(input->fd, bytes, sizeof bytes);
    if (got > 0)
        buffer_append(&input->bytes, bytes, (size_t)got);
    else if (got == 0 || errno != EINTR)
        input->is_at_end = true;
}

enum line_status line_input_next(struct line_input *input, bool may_wait, char **line, size_t *size)
{
    while (!take_line(input, line, size)) {
        if (input->bytes.size > input->max_line_bytes && !input->is_at_end) {
            log_error("a line of more than %zu bytes came in", input->max_line_bytes);
            input->is_at_end = true;
        }
        if (input->is_at_end)
            return LINE_END;
        if (!may_wait && !is_readable(input->fd))
            return LINE_NONE;
        read_more(input);
    }
    return LINE_READY;
}

void line_input_deinit(struct line_input *input)
{
    buffer_deinit(&input->bytes);
}
