/* SPDX-License-Identifier: MIT */
/* Signals as events of the loop, and systemd's notifications. */
#include "daemon/service.h"

#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "proto/require.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#else
static int sd_notify(int, const char *)
{
    return 0;
}
static int sd_watchdog_enabled(int, uint64_t *)
{
    return 0;
}
#endif

/* ---- signals ---- */

static void signal_cb(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;

    if (number == SIGHUP)
        service->callbacks.reload(service->callbacks.user);
    else
        service->callbacks.stop(service->callbacks.user, service->n_stops++ > 0);
}

/* ---- systemd ---- */

void service_notify_ready(void)
{
    sd_notify(0, "READY=1");
}

void service_notify_reloading(void)
{
    struct timespec now;
    char text[80];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
             now.tv_sec * 1000000LL + now.tv_nsec / 1000);
    sd_notify(0, text);
}

void service_notify_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_notify_status(const char *format, ...)
{
    char status[256], text[300];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(status, sizeof status, format, arguments);
    va_end(arguments);
    snprintf(text, sizeof text, "STATUS=%s", status);
    sd_notify(0, text);
}

static void watchdog_cb(uv_timer_t *)
{
    sd_notify(0, "WATCHDOG=1");
}

static void start_watchdog(struct service *service)
{
    uint64_t timeout_us;

    if (sd_watchdog_enabled(0, &timeout_us) > 0)
        uv_timer_start(&service->watchdog, watchdog_cb, 0, timeout_us / 2000);
}

/* ---- beginning and end ---- */

void service_start(struct service *service, uv_loop_t *loop, const struct service_callbacks *callbacks)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    service->callbacks = *callbacks;
    signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error of its connection */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        service->signals[i].data = service;
        require(uv_signal_init(loop, &service->signals[i]) == 0);
        require(uv_signal_start(&service->signals[i], signal_cb, numbers[i]) == 0);
    }
    require(uv_timer_init(loop, &service->watchdog) == 0);
    start_watchdog(service);
}

void service_close(struct service *service)
{
    for (size_t i = 0; i < sizeof service->signals / sizeof service->signals[0]; i++)
        uv_close((uv_handle_t *)&service->signals[i], NULL);
    uv_close((uv_handle_t *)&service->watchdog, NULL);
}
