/* SPDX-License-Identifier: MIT */
/* The writer's connection: gets it, with the lock, as often as it is lost. */
#include <stdio.h>
#include <string.h>

#include "daemon/store/writer.h"

#define CLOSING_MS 20    /* instead of the others while the store closes */
#define QUICK_ATTEMPTS 5 /* while an old session of ours may hold the lock; nobody is told */

void writer_wait_ms(struct writer *writer, unsigned ms)
{
    struct store *store = writer->store;
    uv_mutex_lock(&store->mutex);
    if (!store->has_failed)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex,
                          (uint64_t)(store->is_closing ? CLOSING_MS : ms) * 1000000);
    uv_mutex_unlock(&store->mutex);
}

void writer_set_away(struct writer *writer, const char *why)
{
    if (!writer->is_away)
        store_post(writer->store, EVENT_AWAY, 0, why);
    writer->is_away = true;
}

void writer_set_back(struct writer *writer)
{
    if (writer->is_away)
        store_post(writer->store, EVENT_BACK, 0, "");
    writer->is_away = false;
}

void writer_note_deposed(struct writer *writer)
{
    store_fail(writer->store, EXIT_FAILED, "another studyd has taken the database over");
}

static void drop_connection(struct writer *writer)
{
    if (writer->sql && writer->sql->status != SQL_OK)
        snprintf(writer->lost, sizeof writer->lost, "%s", writer->sql->error);
    sql_close(writer->sql);
    writer->sql = NULL;
}

/* Why it did not work this time. False: it never will. What is refused at the start (no right to write, say)
 * is refused the next time too. Somebody's lock is told only when it lasts. */
static bool note_failure(struct writer *writer, bool is_lasting)
{
    struct sql *sql = writer->sql;
    if ((sql->status == SQL_FATAL || sql->status == SQL_REFUSED) && !writer->has_served) {
        store_fail(writer->store, EXIT_DATABASE, sql->error);
        return false;
    }
    if (sql->status != SQL_RETRY || is_lasting)
        writer_set_away(writer, sql->error);
    drop_connection(writer);
    return true;
}

/* Our own old session has the lock for long: the server has not ended it yet, for it hangs in what that
 * session was lost in (a full disk, say). */
static void note_old_session(struct writer *writer)
{
    char why[SQL_ERROR_SIZE + 80];
    snprintf(why, sizeof why, "%s; the server has not freed the lock of the session before yet",
             writer->lost);
    writer_set_away(writer, why);
}

/* Somebody else has the lock for long: another studyd, or our own old session. */
static void note_other(struct writer *writer, const char *who, char told[OWNER_WHO_SIZE])
{
    if (writer->has_served) {
        note_old_session(writer);
    } else if (strcmp(told, who) != 0) {
        snprintf(told, OWNER_WHO_SIZE, "%s", who);
        store_post(writer->store, EVENT_STANDBY, 0, who);
    }
}

bool writer_own(struct writer *writer)
{
    char who[OWNER_WHO_SIZE] = "", told[OWNER_WHO_SIZE] = "";
    drop_connection(writer);
    for (int attempt = 0; !store_is_ending(writer->store); attempt++) {
        bool is_lasting = attempt >= QUICK_ATTEMPTS;
        if (!writer->sql)
            writer->sql = sql_open(&writer->store->address, SQL_WRITER);
        switch (owner_take(&writer->owner, writer->sql, who)) {
        case OWNER_MINE:
            return true;
        case OWNER_OTHER:
            if (is_lasting)
                note_other(writer, who, told);
            break;
        case OWNER_DEPOSED:
            writer_note_deposed(writer);
            return false;
        case OWNER_FAILED:
            if (!note_failure(writer, is_lasting))
                return false;
            break;
        }
        writer_wait_ms(writer, is_lasting ? OWN_MS : 10u << attempt);
    }
    return false;
}

bool writer_own_again(struct writer *writer)
{
    if (!writer_own(writer))
        return false;
    writer_set_back(writer);
    return true;
}

bool writer_ping(struct writer *writer)
{
    if (!writer->sql->driver->needs_ping)
        return true;
    sql_query(writer->sql, "SELECT 1");
    while (sql_next(writer->sql))
        ;
    return writer->sql->status == SQL_OK || writer_own_again(writer);
}
