/* SPDX-License-Identifier: MIT */
/* The messages of ask/tell: the first byte names one, the rest is its JSON. What is read is written so that
 * the same is read again. */
#include <string.h>

#include "proto/json_read.h"
#include "proto/message.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

/* Reads, and where that went well writes. 0 or -1. */
typedef int pass_fn(json_t *json, struct json_writer *writer, struct problem *problem);

#define PASS(name, read, write, deinit)                                                       \
    static int pass_##name(json_t *json, struct json_writer *writer, struct problem *problem) \
    {                                                                                         \
        struct name##_message message = {};                                                   \
        int status = read;                                                                    \
                                                                                              \
        if (status == 0)                                                                      \
            write;                                                                            \
        deinit;                                                                               \
        return status;                                                                        \
    }
#define PASS_OF(name)                                                                                \
    PASS(name, name##_message_read(&message, json, problem), name##_message_write(&message, writer), \
         name##_message_deinit(&message))

PASS(ask, ask_message_read(&message, json, true, problem), ask_message_write(&message, writer),
     ask_message_deinit(&message))
PASS_OF(ask_reply)
PASS_OF(report)
PASS_OF(report_reply)
PASS_OF(heartbeat)
PASS_OF(tell)
PASS(tell_reply, tell_reply_message_read(&message, json, problem), tell_reply_message_write(&message, writer),
     (void)message)
/* Nobody of ours writes one. */
PASS(enqueue, enqueue_message_read(&message, json, problem), json_put_value(writer, json),
     enqueue_message_deinit(&message))

static pass_fn *const passes[] = {
    ['a'] = pass_ask,       ['A'] = pass_ask_reply, ['r'] = pass_report,     ['R'] = pass_report_reply,
    ['h'] = pass_heartbeat, ['t'] = pass_tell,      ['T'] = pass_tell_reply, ['e'] = pass_enqueue};

static void check_again(pass_fn *pass, const struct buffer *first)
{
    struct problem problem = {};
    struct json_writer writer;
    BUFFER_AUTO struct buffer second = {};
    json_auto_t *json = fuzz_parse_own(first);

    json_writer_init(&writer, &second);
    require(pass(json, &writer, &problem) == 0);
    require(first->size == second.size && memcmp(first->data, second.data, second.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {};
    struct json_writer writer;
    BUFFER_AUTO struct buffer first = {};

    if (size < 1 || data[0] >= sizeof passes / sizeof passes[0] || !passes[data[0]])
        return 0;

    json_auto_t *json = json_parse((const char *)data + 1, size - 1, &problem);

    if (!json)
        return 0;
    json_writer_init(&writer, &first);
    if (passes[data[0]](json, &writer, &problem) == 0)
        check_again(passes[data[0]], &first);
    else
        fuzz_check_problem(&problem);
    return 0;
}
