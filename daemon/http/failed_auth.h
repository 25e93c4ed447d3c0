/* SPDX-License-Identifier: MIT */
/* Counts requests without a valid token by where they come from, so that whoever tries tokens, or forgot his,
 * neither fills the log nor keeps us busy. Loop thread only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define FAILED_AUTH_BURST 20         /* at once */
#define FAILED_AUTH_INTERVAL_MS 1000 /* and then one in each */

/* Of fixed size: of very many addresses those are forgotten that have done least lately. */
struct failed_auth;

struct failed_auth *failed_auth_new(void);
void failed_auth_free(struct failed_auth *failed);
/* One more from this address (of IPv6 its /64); `now_ms` never goes back. Is it within the limits? Beyond
 * them a line in the log says who it is, at most once a minute for each address and once a second for all. */
bool failed_auth_count(struct failed_auth *failed, const struct sockaddr *peer, uint64_t now_ms);
