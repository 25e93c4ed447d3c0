/* SPDX-License-Identifier: MIT */
/* The route that lists workers. */
#pragma once

#include "daemon/http/request.h"

void handle_list_workers(struct request *request);
