/* SPDX-License-Identifier: MIT */
/* Times as databases write them: "2026-11-23 10:11:12", UTC, with a fraction where there is one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SQL_TIME_SIZE 48

/* Microseconds since 1970 UTC; 0 for text that is no time. */
int64_t sql_time_read(const char *text);
/* The fraction is cut off where it is not wanted: a time never lies in the future. */
void sql_time_format(char text[SQL_TIME_SIZE], int64_t time_us, bool has_fraction);
