/* SPDX-License-Identifier: MIT */
/* GET /: how it goes, as a table for people. */
#pragma once

#include "daemon/http/request.h"

void handle_status_page(struct request *request);

/* "8 s", "12 min", "3 h", "5 d"; "" for a time that is not known (0). */
#define STATUS_TIME_SIZE 24
void status_format_age(int64_t since_us, int64_t now_us, char text[STATUS_TIME_SIZE]);
/* "2.5/s", "12/min", "3/h". */
void status_format_rate(int64_t count, int64_t since_us, int64_t now_us, char text[STATUS_TIME_SIZE]);
