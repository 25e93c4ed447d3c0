/* SPDX-License-Identifier: MIT */
/* Takes what sd_listen_fds() finds. */
#include "daemon/sockets.h"

#include <sys/socket.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else
#define SD_LISTEN_FDS_START 3
static int sd_listen_fds(int)
{
    return 0;
}
static int sd_is_socket(int, int, int, int)
{
    return 0;
}
#endif

size_t sockets_count(void)
{
    int n = sd_listen_fds(0);

    return n > 0 ? (size_t)n : 0;
}

int sockets_fd(size_t index)
{
    return SD_LISTEN_FDS_START + (int)index;
}

int sockets_address(size_t index, struct address *address, struct problem *problem)
{
    int fd = sockets_fd(index);

    *address = (struct address){.size = sizeof address->storage};
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 &&
        getsockname(fd, (struct sockaddr *)&address->storage, &address->size) == 0 &&
        (address->storage.ss_family == AF_INET || address->storage.ss_family == AF_INET6))
        return 0;
    return problem_set(problem, PROBLEM_INVALID, "listen",
                       "socket %zu of those that systemd passes does not listen on TCP: ListenStream= in "
                       "studyd.socket takes ADDR:PORT",
                       index + 1);
}
