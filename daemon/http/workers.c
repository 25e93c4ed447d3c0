/* SPDX-License-Identifier: MIT */
/* Lists the workers that were seen lately. */
#include "daemon/http/workers.h"

#include "proto/json_write.h"
#include "proto/memory.h"

static void put_worker(const struct worker_view *worker, struct json_writer *writer)
{
    json_begin_object(writer);
    json_member_string(writer, "name", worker->name);
    json_member_time(writer, "last_seen", worker->last_seen_us);
    json_member_int(writer, "running", (int64_t)worker->n_running);
    json_member_int(writer, "complete", worker->n_complete);
    json_member_int(writer, "pruned", worker->n_pruned);
    json_member_int(writer, "fail", worker->n_fail);
    json_end_object(writer);
}

void handle_list_workers(struct request *request)
{
    struct json_writer writer;
    size_t n;
    MEMORY_AUTO struct worker_view *workers = request_workers(request, &n);

    json_writer_init(&writer, &request->answer);
    json_begin_object(&writer);
    json_put_key(&writer, "workers");
    json_begin_array(&writer);
    for (size_t i = 0; i < n; i++)
        put_worker(&workers[i], &writer);
    json_end_array(&writer);
    json_end_object(&writer);
    request_answer_json(request, 200);
}
