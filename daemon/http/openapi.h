/* SPDX-License-Identifier: MIT */
/* The API's description, proto/openapi.yaml, built in. */
#pragma once

#include <stddef.h>

#include "daemon/http/request.h"

extern const unsigned char openapi_text[];
extern const size_t openapi_size;

void handle_openapi(struct request *request);
