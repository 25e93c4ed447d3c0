/* SPDX-License-Identifier: MIT */
/* What every request goes through before its handler sees it. */
#pragma once

#include "daemon/http/request.h"

/* When the headers are there: finds the route, and decides whether this client may. What it finds wrong is in
 * request->problem, and the body need not be kept. */
void dispatch_admit(struct request *request);
/* When the body is there: reads it, and calls the handler, or refuses. */
void dispatch_handle(struct request *request);
