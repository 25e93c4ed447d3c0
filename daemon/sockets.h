/* SPDX-License-Identifier: MIT */
/* The listening sockets that systemd has opened for us (studyd.socket): it keeps them while we are away, so
 * that a restart refuses nobody. */
#pragma once

#include <stddef.h>

#include "daemon/http/address.h"
#include "proto/problem.h"

/* 0: none, we open our own. */
size_t sockets_count(void);
int sockets_fd(size_t index);
/* Where it listens. 0, or -1 with `problem` where it is no listening TCP socket. */
[[nodiscard]] int sockets_address(size_t index, struct address *address, struct problem *problem);
