/* SPDX-License-Identifier: MIT */
/* The routes that supervisors and load balancers ask. */
#pragma once

#include "daemon/http/request.h"

/* Alive: always 200. */
void handle_healthz(struct request *request);
/* Serving: 200 when the studies are loaded and the database is ours and there; else 503. */
void handle_readyz(struct request *request);
