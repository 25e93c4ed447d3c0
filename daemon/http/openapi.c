/* SPDX-License-Identifier: MIT */
/* Serves proto/openapi.yaml, whose bytes the build puts here. */
#include "daemon/http/openapi.h"

const unsigned char openapi_text[] = {
#include "openapi_bytes.inc"
};
const size_t openapi_size = sizeof openapi_text;

void handle_openapi(struct request *request)
{
    buffer_append(&request->answer, openapi_text, openapi_size);
    request_answer(request, 200, "application/yaml");
}
