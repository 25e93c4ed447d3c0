/* SPDX-License-Identifier: MIT */
/* Notices when a trial is silent for unusually long. */
#include "worker/silence.h"

#include "proto/require.h"

#define UNUSUAL 10 /* times the longest before */

static uint64_t silent_ms(const struct silence *silence)
{
    return uv_now(silence->timer.loop) - silence->since_ms;
}

static void unusual_timer_cb(uv_timer_t *timer)
{
    struct silence *silence = timer->data;

    silence->unusual(silence->user, silent_ms(silence), silence->longest_ms);
}

void silence_init(struct silence *silence, uv_loop_t *loop)
{
    require(uv_timer_init(loop, &silence->timer) == 0);
    silence->timer.data = silence;
}

void silence_begin(struct silence *silence)
{
    uint64_t unusual_ms = UNUSUAL * silence->longest_ms;

    if (unusual_ms < silence->least_ms)
        unusual_ms = silence->least_ms;
    silence->since_ms = uv_now(silence->timer.loop);
    if (silence->least_ms > 0)
        uv_timer_start(&silence->timer, unusual_timer_cb, unusual_ms, 0);
}

void silence_break(struct silence *silence)
{
    if (silent_ms(silence) > silence->longest_ms)
        silence->longest_ms = silent_ms(silence);
    silence_begin(silence);
}

void silence_end(struct silence *silence)
{
    uv_timer_stop(&silence->timer);
}

void silence_close(struct silence *silence)
{
    uv_close((uv_handle_t *)&silence->timer, NULL);
}
