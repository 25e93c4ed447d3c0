/* SPDX-License-Identifier: MIT */
/* Keeps the studies that wait for locks of other sessions, and tells the operator. */
#include "daemon/store/waits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "proto/log.h"
#include "proto/memory.h"

#define TELL_AFTER_NS UINT64_C(5000000000)
#define FIRST_REST_NS UINT64_C(250000000) /* doubled with each lock that was waited for in vain */
#define MAX_DOUBLINGS 3

static struct wait *find(const struct waits *waits, int64_t study_id)
{
    for (size_t i = 0; i < waits->n; i++)
        if (waits->items[i].study_id == study_id)
            return &waits->items[i];
    return NULL;
}

static struct wait *get(struct waits *waits, int64_t study_id)
{
    struct wait *wait = find(waits, study_id);
    if (wait)
        return wait;
    waits->items = memory_resize(waits->items, waits->n + 1, sizeof *waits->items);
    wait = &waits->items[waits->n++];
    *wait = (struct wait){.study_id = study_id, .since_ns = waits->round_ns};
    return wait;
}

void waits_deinit(struct waits *waits)
{
    free(waits->items);
    *waits = (struct waits){0};
}

void waits_begin_round(struct waits *waits)
{
    waits->round_ns = uv_hrtime();
}

void waits_note_seen(struct waits *waits, int64_t study_id)
{
    struct wait *wait = get(waits, study_id);
    wait->n_timeouts = 0;
    wait->try_at_ns = 0;
    snprintf(wait->why, sizeof wait->why,
             "another session has its row, or a trial's, locked: look for it in SHOW PROCESSLIST and "
             "information_schema.INNODB_TRX, KILL ends it");
}

void waits_note_timeout(struct waits *waits, int64_t study_id, const char *why)
{
    struct wait *wait = get(waits, study_id);
    unsigned doublings = wait->n_timeouts < MAX_DOUBLINGS ? wait->n_timeouts : MAX_DOUBLINGS;
    wait->n_timeouts++;
    wait->try_at_ns = uv_hrtime() + (FIRST_REST_NS << doublings);
    snprintf(wait->why, sizeof wait->why, "%s", why);
}

bool waits_is_alone(const struct waits *waits, int64_t study_id)
{
    const struct wait *wait = find(waits, study_id);
    return wait && wait->n_timeouts;
}

bool waits_is_early(const struct waits *waits, int64_t study_id)
{
    const struct wait *wait = find(waits, study_id);
    return wait && uv_hrtime() < wait->try_at_ns;
}

static unsigned seconds_since(uint64_t since_ns)
{
    return (unsigned)((uv_hrtime() - since_ns) / 1000000000);
}

/* ---- the operator ---- */

static void read_name(struct sql *sql, int64_t study_id, struct buffer *name)
{
    sql_query(sql, "SELECT study_name FROM studies WHERE study_id = %lld", (long long)study_id);
    while (sql_next(sql))
        buffer_append_text(name, sql_text(sql, 0));
}

static void tell(struct wait *wait, struct sql *sql)
{
    BUFFER_AUTO struct buffer name = {0};
    read_name(sql, wait->study_id, &name);
    log_warning(
        "changes of a study wait, those of others do not study=%s study_id=%lld waited_s=%u reason=%s",
        LOG_QUOTED(buffer_text(&name)), (long long)wait->study_id, seconds_since(wait->since_ns),
        LOG_QUOTED(wait->why));
    wait->is_told = true;
}

static void end(const struct wait *wait)
{
    if (wait->is_told)
        log_info("changes of a study wait no longer study_id=%lld waited_s=%u", (long long)wait->study_id,
                 seconds_since(wait->since_ns));
}

/* Returns whether there were any. */
static bool end_all_but(struct waits *waits, const struct id_set *held)
{
    size_t n_before = waits->n;
    for (size_t i = waits->n; i-- > 0;)
        if (!id_set_has(held, waits->items[i].study_id)) {
            end(&waits->items[i]);
            waits->items[i] = waits->items[--waits->n];
        }
    return waits->n < n_before;
}

void waits_settle(struct waits *waits, const struct id_set *held, struct sql *sql)
{
    bool has_ended = end_all_but(waits, held);
    for (size_t i = 0; i < waits->n; i++) {
        struct wait *wait = &waits->items[i];
        if (has_ended)
            wait->try_at_ns = 0;
        else if (sql && !wait->is_told && uv_hrtime() - wait->since_ns >= TELL_AFTER_NS)
            tell(wait, sql);
    }
}
