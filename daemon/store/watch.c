/* SPDX-License-Identifier: MIT */
/* Watches over what is pending. */
#include "daemon/store/watch.h"

#include <stdio.h>

#include "daemon/store/inside.h"
#include "proto/require.h"

#define TICK_MS 1000
#define STALL_TICKS (STORE_STALL_S * 1000 / TICK_MS)

/* Looks at what the writer does. */
enum pace { PACE_IDLE, PACE_PASSES, PACE_AWAY, PACE_STANDS };

/* What stands in the way goes to `why`. */
static enum pace look(struct store *store, char why[SQL_ERROR_SIZE])
{
    struct watch *watch = &store->watch;
    enum pace pace = PACE_STANDS;
    uv_mutex_lock(&store->mutex);
    if (store->n_passed != watch->n_passed)
        pace = PACE_PASSES;
    else if (store->n_pending == 0)
        pace = PACE_IDLE;
    else if (store->is_away) /* the loop is told by itself */
        pace = PACE_AWAY;
    watch->n_passed = store->n_passed;
    snprintf(why, SQL_ERROR_SIZE, "%s", *store->obstacle ? store->obstacle : "it does not answer");
    uv_mutex_unlock(&store->mutex);
    return pace;
}

static void set_stalled(struct store *store, bool is_stalled, const char *why)
{
    store->watch.is_stalled = is_stalled;
    store->observer.condition(store->observer.user, is_stalled ? STORE_STALLED : STORE_WORKS, why);
}

static void tick_cb(uv_timer_t *timer)
{
    struct store *store = timer->data;
    struct watch *watch = &store->watch;
    char why[SQL_ERROR_SIZE];
    switch (look(store, why)) {
    case PACE_IDLE:
        uv_timer_stop(timer);
        break;
    case PACE_PASSES:
    case PACE_AWAY:
        watch->n_ticks = 0;
        break;
    case PACE_STANDS:
        if (++watch->n_ticks == STALL_TICKS)
            set_stalled(store, true, why);
        break;
    }
}

void watch_init(struct store *store, uv_loop_t *loop)
{
    store->watch.timer.data = store;
    require(uv_timer_init(loop, &store->watch.timer) == 0);
}

void watch_begin(struct store *store)
{
    struct watch *watch = &store->watch;
    if (uv_is_active((uv_handle_t *)&watch->timer) || uv_is_closing((uv_handle_t *)&watch->timer))
        return;
    watch->n_passed = store->n_passed;
    watch->n_ticks = 0;
    uv_timer_start(&watch->timer, tick_cb, TICK_MS, TICK_MS);
}

void watch_look(struct store *store)
{
    char why[SQL_ERROR_SIZE];
    if (store->watch.is_stalled && look(store, why) == PACE_PASSES)
        set_stalled(store, false, "");
}

void watch_forget(struct store *store)
{
    store->watch.is_stalled = false;
}
