/* SPDX-License-Identifier: MIT */
/* What a service manager and an operator say to the process, and what it tells them: signals, sd_notify,
 * watchdog. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct service_callbacks {
    void *user;
    void (*stop)(void *user, bool is_second); /* SIGTERM, SIGINT; the second time somebody lost patience */
    void (*reload)(void *user);               /* SIGHUP */
};

/* Owned by main; zeroed before service_start(). */
struct service {
    struct service_callbacks callbacks;
    uv_signal_t signals[3];
    uv_timer_t watchdog; /* runs only where systemd wants to hear from us */
    int n_stops;
};

void service_start(struct service *service, uv_loop_t *loop, const struct service_callbacks *callbacks);
/* Closes the handles; the loop must turn afterwards. */
void service_close(struct service *service);

/* To systemd; without it they do nothing. */
void service_notify_ready(void);
void service_notify_reloading(void);
void service_notify_stopping(void);
void service_notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
