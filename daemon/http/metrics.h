/* SPDX-License-Identifier: MIT */
/* GET /metrics: what a monitoring system watches. docs/operations.md explains each metric. */
#pragma once

#include "daemon/http/request.h"

void handle_metrics(struct request *request);
