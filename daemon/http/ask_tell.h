/* SPDX-License-Identifier: MIT */
/* The routes of those who run trials: ask, report, heartbeat, tell; and enqueue. */
#pragma once

#include "daemon/http/request.h"

void handle_ask(struct request *request);
void handle_ask_all(struct request *request);
void handle_report(struct request *request);
void handle_heartbeat(struct request *request);
void handle_tell(struct request *request);
void handle_enqueue(struct request *request);
