/* SPDX-License-Identifier: MIT */
/* Reads, writes and judges addresses, without looking any name up. */
#include "daemon/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void host_without_port(const char *host, char *out, size_t size)
{
    const char *end = *host == '[' ? strchr(host, ']') : strrchr(host, ':');

    if (*host == '[')
        host++;
    snprintf(out, size, "%.*s", end ? (int)(end - host) : (int)strlen(host), host);
}

/* The port behind the last colon, or -1. */
static long read_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end;

    if (!colon || colon[1] < '0' || colon[1] > '9')
        return -1;

    long port = strtol(colon + 1, &end, 10);

    return *end || port > 65535 ? -1 : port;
}

int address_parse(struct address *address, const char *text, struct problem *problem)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;
    char host[ADDRESS_TEXT_SIZE];
    long port = read_port(text);

    *address = (struct address){};
    host_without_port(text, host, sizeof host);
    if (strcmp(host, "localhost") == 0)
        strcpy(host, "127.0.0.1");
    if (port >= 0 && *text != '[' && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        address->size = sizeof *v4;
        return 0;
    }
    if (port >= 0 && *text == '[' && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        address->size = sizeof *v6;
        return 0;
    }
    return problem_set(
        problem, PROBLEM_INVALID, "listen",
        "listen must be ADDR:PORT, as in 127.0.0.1:8090, [::1]:8090 or 0.0.0.0:8090, and is \"%.80s\"", text);
}

bool address_is_loopback(const struct address *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;

    if (address->storage.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_SIZE])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    char host[INET6_ADDRSTRLEN] = "";

    if (address->storage.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_SIZE, "%s:%d", host, ntohs(v4->sin_port));
    } else {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_SIZE, "[%s]:%d", host, ntohs(v6->sin6_port));
    }
}

bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char name[256];

    host_without_port(host, name, sizeof name);
    if (strcasecmp(name, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
