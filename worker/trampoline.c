/* SPDX-License-Identifier: MIT */
/* Ties a runner's process to its supervisor, then becomes the runner. */
#include "worker/trampoline.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The supervisor's sockets are not the runner's, whoever opened them. */
static void close_inherited(void)
{
    DIR *fds = opendir("/proc/self/fd");
    struct dirent *entry;

    while (fds && (entry = readdir(fds))) {
        int fd = atoi(entry->d_name);

        if (fd > STDERR_FILENO)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (fds)
        closedir(fds);
}

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int trampoline_exec(char **words)
{
    const char *parent = getenv(TRAMPOLINE_PARENT);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The supervisor may have ended before that call: then nobody would ever kill us. */
    if (parent && getppid() != atoi(parent))
        return 126;
    unsetenv(TRAMPOLINE_PARENT);
    close_inherited();
    reset_signals();
    execvp(words[0], words);

    int code = errno == ENOENT ? 127 : 126;

    fprintf(stderr, "cannot execute \"%s\": %s\n", words[0], strerror(errno));
    return code;
}
