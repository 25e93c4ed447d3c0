/* SPDX-License-Identifier: MIT */
/* A small table of addresses: in each of its sets the one that is quiet longest makes room. */
#include "daemon/http/failed_auth.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"

#define N_SETS 256
#define SET_SIZE 4
#define TELL_EVERY_MS 60000 /* of one address */
#define TELL_ANY_MS 1000    /* of all */

struct origin {
    bool is_v4;
    uint32_t network[2]; /* as they go over the wire; the second of IPv6 only */
};

struct entry {
    struct origin origin;
    uint64_t quiet_ms; /* when all is forgiven: each failure moves it on by an interval */
    uint64_t tell_ms;  /* when it may be told */
    uint64_t n_untold;
};

struct failed_auth {
    struct entry sets[N_SETS][SET_SIZE];
    uint64_t tell_ms;
};

struct failed_auth *failed_auth_new(void)
{
    return memory_new(sizeof(struct failed_auth));
}

void failed_auth_free(struct failed_auth *failed)
{
    free(failed);
}

/* ---- where it comes from ---- */

static struct origin origin_of(const struct sockaddr *peer)
{
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    struct origin origin = {};

    if (peer->sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(v6)) {
        memcpy(origin.network, v6, sizeof origin.network);
        return origin;
    }
    origin.is_v4 = true;
    if (peer->sa_family == AF_INET6)
        memcpy(origin.network, &v6->s6_addr[12], sizeof origin.network[0]);
    else if (peer->sa_family == AF_INET)
        memcpy(origin.network, &((const struct sockaddr_in *)peer)->sin_addr, sizeof origin.network[0]);
    return origin;
}

static bool is_same(const struct origin *a, const struct origin *b)
{
    return a->is_v4 == b->is_v4 && memcmp(a->network, b->network, sizeof a->network) == 0;
}

static void format(const struct origin *origin, char text[INET6_ADDRSTRLEN + 3])
{
    struct in6_addr v6 = {};

    memcpy(&v6, origin->network, sizeof origin->network);
    inet_ntop(origin->is_v4 ? AF_INET : AF_INET6, &v6, text, INET6_ADDRSTRLEN);
    if (!origin->is_v4)
        strcat(text, "/64");
}

/* ---- the table ---- */

/* The origin's, or one made in the place of the set's quietest. */
static struct entry *find(struct failed_auth *failed, const struct origin *origin)
{
    uint64_t key = (uint64_t)origin->network[0] << 32 | origin->network[1];
    struct entry *set = failed->sets[key * 0x9e3779b97f4a7c15u >> 56], *quietest = set;

    for (struct entry *entry = set; entry < set + SET_SIZE; entry++) {
        if (is_same(&entry->origin, origin))
            return entry;
        if (entry->quiet_ms < quietest->quiet_ms)
            quietest = entry;
    }
    *quietest = (struct entry){.origin = *origin};
    return quietest;
}

static void tell(struct failed_auth *failed, struct entry *entry, uint64_t now_ms)
{
    char text[INET6_ADDRSTRLEN + 3];

    if (now_ms < entry->tell_ms || now_ms < failed->tell_ms)
        return;
    format(&entry->origin, text);
    log_warning(
        "many requests without a valid token are told to slow down address=%s count=%llu "
        "reason=\"somebody there tries tokens, or a client has an old one or none: studyd --new-token makes "
        "one; requests with a valid token pass as ever\"",
        text, (unsigned long long)entry->n_untold);
    entry->tell_ms = now_ms + TELL_EVERY_MS;
    failed->tell_ms = now_ms + TELL_ANY_MS;
    entry->n_untold = 0;
}

bool failed_auth_count(struct failed_auth *failed, const struct sockaddr *peer, uint64_t now_ms)
{
    struct origin origin = origin_of(peer);
    struct entry *entry = find(failed, &origin);

    if (entry->quiet_ms < now_ms)
        entry->quiet_ms = now_ms;
    entry->n_untold++;
    if (entry->quiet_ms - now_ms <= (FAILED_AUTH_BURST - 1) * FAILED_AUTH_INTERVAL_MS) {
        entry->quiet_ms += FAILED_AUTH_INTERVAL_MS;
        return true;
    }
    tell(failed, entry, now_ms);
    return false;
}
