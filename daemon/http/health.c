/* SPDX-License-Identifier: MIT */
/* Says whether studyd is alive, and whether it serves. */
#include "daemon/http/health.h"

#include "proto/json_write.h"

static void answer_status(struct request *request, const char *status)
{
    struct json_writer writer;

    json_writer_init(&writer, &request->answer);
    json_begin_object(&writer);
    json_member_string(&writer, "status", status);
    json_member_string(&writer, "version", STUDYD_VERSION);
    json_end_object(&writer);
    request_answer_json(request, 200);
}

void handle_healthz(struct request *request)
{
    answer_status(request, "alive");
}

void handle_readyz(struct request *request)
{
    const struct problem *not_ready = &request->context->not_ready;

    if (not_ready->type) {
        request_refuse(request, not_ready);
        return;
    }
    answer_status(request, "ready");
}
