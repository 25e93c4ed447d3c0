/* SPDX-License-Identifier: MIT */
/* Enqueue: a trial that must be run with these parameters. */
#include <stdlib.h>

#include "proto/message.h"
#include "proto/message_member.h"

int enqueue_message_read(struct enqueue_message *message, json_t *json, struct problem *problem)
{
    struct json_reader reader;

    *message = (struct enqueue_message){};
    json_reader_open(&reader, json, "", problem);
    message->params = message_read_object(&reader, "params");
    if (!message->params)
        json_read_fail(&reader, "params",
                       "is missing; an object of parameters and values is needed, {} for none");
    message->user_attrs = message_read_user_attrs(&reader);
    message->request_id = message_read_request_id(&reader);
    return json_reader_close(&reader);
}

void enqueue_message_deinit(struct enqueue_message *message)
{
    json_decref(message->params);
    json_decref(message->user_attrs);
    free(message->request_id);
    *message = (struct enqueue_message){};
}
