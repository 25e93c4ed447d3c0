/* SPDX-License-Identifier: MIT */
/* The runner protocol's lines, of both sides: each input is read as either. */
#include <string.h>

#include "proto/json_read.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"
#include "worker/runner_message.h"

/* One line with its end, and nothing else. */
static void check_line(const struct buffer *line)
{
    require(line->size > 0 && memchr(line->data, '\n', line->size) == line->data + line->size - 1);
}

static bool pass_message(const char *line, size_t size, struct buffer *out)
{
    struct problem problem = {};
    struct runner_message message;
    bool is_read = runner_message_read(&message, line, size, &problem) == 0;

    if (is_read)
        runner_message_write(&message, out);
    else
        fuzz_check_problem(&problem);
    runner_message_deinit(&message);
    return is_read;
}

static bool pass_trial(const char *line, size_t size, struct buffer *out)
{
    struct problem problem = {};
    struct runner_trial trial;
    json_auto_t *json = json_parse(line, size, &problem);

    if (!json)
        return false;

    bool is_read = runner_trial_read(&trial, json, &problem) == 0;

    if (is_read)
        runner_trial_write(&trial, out);
    else
        fuzz_check_problem(&problem);
    runner_trial_deinit(&trial);
    return is_read;
}

static void check(bool (*pass)(const char *line, size_t size, struct buffer *out), const char *line,
                  size_t size)
{
    BUFFER_AUTO struct buffer first = {}, second = {};

    if (!pass(line, size, &first))
        return;
    check_line(&first);
    require(pass(first.data, first.size, &second));
    require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(pass_message, (const char *)data, size);
    check(pass_trial, (const char *)data, size);
    return 0;
}
