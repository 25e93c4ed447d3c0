/* SPDX-License-Identifier: MIT */
/* Writes problem documents. */
#include "daemon/http/problem_json.h"

#include <stdio.h>

#include "proto/json_write.h"

void problem_put_json(const struct problem *problem, struct buffer *out)
{
    const struct problem_info *info = problem_info(problem->type);
    struct json_writer writer;
    char type[64];

    snprintf(type, sizeof type, "urn:studyd:%s", info->urn);
    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_string(&writer, "type", type);
    json_member_string(&writer, "title", info->title);
    json_member_int(&writer, "status", info->status);
    json_member_string(&writer, "detail", problem->detail);
    if (*problem->field)
        json_member_string(&writer, "field", problem->field);
    json_end_object(&writer);
    buffer_append_char(out, '\n');
}
