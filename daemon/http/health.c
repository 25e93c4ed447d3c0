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
    struct problem problem = {};

    if (studies_is_store_away(request->context->studies)) {
        problem_set(&problem, PROBLEM_STORE_AWAY, "",
                    "the database cannot be reached; what is in memory can be read");
        request_refuse(request, &problem);
        return;
    }
    answer_status(request, "ready");
}
