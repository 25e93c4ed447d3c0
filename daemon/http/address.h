/* SPDX-License-Identifier: MIT */
/* An address to listen on: "127.0.0.1:8090", "[::1]:8090", "localhost:0". */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "proto/problem.h"

#define ADDRESS_TEXT_SIZE 64

struct address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* Numeric addresses and "localhost" only: nothing is looked up. 0, or -1 with `problem`. */
[[nodiscard]] int address_parse(struct address *address, const char *text, struct problem *problem);
bool address_is_loopback(const struct address *address);
/* "127.0.0.1:8090", "[::1]:8090". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE]);
/* Does a Host header ("127.0.0.1:8090", "[::1]", "localhost") name this machine's loopback? */
bool host_is_loopback(const char *host);
/* The host of "host:port" or "[::1]:port", without brackets; cut to `size`. */
void host_without_port(const char *host, char *out, size_t size);
