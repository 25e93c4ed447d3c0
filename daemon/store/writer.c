/* SPDX-License-Identifier: MIT */
/* The writer thread: owns the database, and commits what is queued. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/batch.h"
#include "daemon/store/inside.h"
#include "daemon/store/owner.h"
#include "proto/log.h"
#include "proto/memory.h"

#define MAX_BATCH_RECORDS 4096
#define MAX_BATCH_BYTES (1u << 20)
#define PING_MS 1000      /* the server closes a session of the writer that is silent for 4 s */
#define OWN_MS 1000       /* between attempts to connect, or to get the lock */
#define GARBAGE_ROUNDS 16 /* so often rows of deleted studies are removed while there is other work */
#define CLOSING_MS 20     /* instead of the others while the store closes */
#define HELD_MS 20        /* until a study that somebody else had locked is tried again */
#define MAX_TRIES 3       /* of a batch that others are in the way of, before it is split */
#define QUICK_ATTEMPTS 5  /* while an old session of ours may hold the lock; nobody is told */
#define EXIT_FAILED 1
#define EXIT_DATABASE 3

static const char deposed[] = "another studyd has taken the database over";

enum item_state { ITEM_OPEN, ITEM_FINISHED, ITEM_HELD };
struct item {
    struct store_record *record;
    enum item_state state;
};

struct writer {
    struct store *store;
    struct sql *sql; /* NULL: not open */
    struct owner owner;
    bool has_served, is_away;
    /* Of the round under way. */
    struct id_set refused, held; /* studies */
    bool is_idle;                /* nothing came of the last round: its records are all held */
    bool is_careful;             /* somebody had rows locked in the last round */
    unsigned rounds;
};

/* ---- owning ---- */

/* Until `ms` have passed or something happens. */
static void wait_ms(struct store *store, unsigned ms)
{
    uv_mutex_lock(&store->mutex);
    if (!store->has_failed)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex,
                          (uint64_t)(store->is_closing ? CLOSING_MS : ms) * 1000000);
    uv_mutex_unlock(&store->mutex);
}

static void set_away(struct writer *writer, const char *why)
{
    if (!writer->is_away)
        store_post(writer->store, EVENT_AWAY, 0, why);
    writer->is_away = true;
}

static void set_back(struct writer *writer)
{
    if (writer->is_away)
        store_post(writer->store, EVENT_BACK, 0, "");
    writer->is_away = false;
}

static void drop_connection(struct writer *writer)
{
    sql_close(writer->sql);
    writer->sql = NULL;
}

/* Why it did not work this time. False: it never will. What is refused at the start (no right to write, say)
 * is refused the next time too. */
static bool note_failure(struct writer *writer)
{
    struct sql *sql = writer->sql;
    if ((sql->status == SQL_FATAL || sql->status == SQL_REFUSED) && !writer->has_served) {
        store_fail(writer->store, EXIT_DATABASE, sql->error);
        return false;
    }
    if (sql->status != SQL_RETRY)
        set_away(writer, sql->error);
    drop_connection(writer);
    return true;
}

/* Somebody else has the lock for long: another studyd, or our own old session that the server has not ended
 * yet. */
static void note_other(struct writer *writer, const char *who, char told[OWNER_WHO_SIZE])
{
    if (writer->has_served) {
        set_away(writer, "the database's lock is not free yet");
    } else if (strcmp(told, who) != 0) {
        snprintf(told, OWNER_WHO_SIZE, "%s", who);
        store_post(writer->store, EVENT_STANDBY, 0, who);
    }
}

/* Gets a connection that owns the database, however long it takes. False: the store ends. */
static bool own(struct writer *writer)
{
    char who[OWNER_WHO_SIZE] = "", told[OWNER_WHO_SIZE] = "";
    for (int attempt = 0; !store_is_ending(writer->store); attempt++) {
        if (!writer->sql)
            writer->sql = sql_open(&writer->store->address, SQL_WRITER);
        switch (owner_take(&writer->owner, writer->sql, who)) {
        case OWNER_MINE:
            return true;
        case OWNER_OTHER:
            if (attempt >= QUICK_ATTEMPTS)
                note_other(writer, who, told);
            break;
        case OWNER_DEPOSED:
            store_fail(writer->store, EXIT_FAILED, deposed);
            return false;
        case OWNER_FAILED:
            if (!note_failure(writer))
                return false;
            break;
        }
        wait_ms(writer->store, attempt < QUICK_ATTEMPTS ? 10u << attempt : OWN_MS);
    }
    return false;
}

/* With nothing to write: a connection is all that is wanted. */
static bool own_again(struct writer *writer)
{
    drop_connection(writer);
    if (!own(writer))
        return false;
    set_back(writer);
    return true;
}

/* Keeps the session alive, and notices when it is not. False: the store ends. */
static bool ping(struct writer *writer)
{
    if (!writer->sql->driver->needs_ping)
        return true;
    sql_query(writer->sql, "SELECT 1");
    while (sql_next(writer->sql))
        ;
    return writer->sql->status == SQL_OK || own_again(writer);
}

/* The reader loads, while the lock is kept. */
static bool load(struct writer *writer)
{
    struct store *store = writer->store;
    bool is_loaded = false;
    uv_mutex_lock(&store->mutex);
    store->epoch = writer->owner.epoch;
    store->wants_load = true;
    uv_cond_signal(&store->reader_wakes);
    uv_mutex_unlock(&store->mutex);
    while (!is_loaded) {
        if (store_is_ending(store) || !ping(writer))
            return false;
        uv_mutex_lock(&store->mutex);
        if (!store->is_loaded)
            uv_cond_timedwait(&store->writer_wakes, &store->mutex, (uint64_t)PING_MS * 1000000);
        is_loaded = store->is_loaded;
        uv_mutex_unlock(&store->mutex);
    }
    writer->has_served = true;
    store_post(store, EVENT_LOADED, 0, "");
    return true;
}

/* ---- committing ---- */

static void finish(struct item *item, enum store_result result)
{
    item->record->result = result;
    item->state = ITEM_FINISHED;
}

/* Puts what is to be tried into `records`: the rest waits or falls with what stands before it in its study.
 */
static size_t pick(struct writer *writer, struct item *items, size_t n, struct store_record **records)
{
    size_t picked = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t study_id = items[i].record->study_id;
        if (items[i].state != ITEM_OPEN)
            continue;
        if (id_set_has(&writer->refused, study_id))
            finish(&items[i], STORE_AWAY);
        else if (id_set_has(&writer->held, study_id))
            items[i].state = ITEM_HELD;
        else
            records[picked++] = items[i].record;
    }
    return picked;
}

static void hold(struct writer *writer, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (items[i].state != ITEM_OPEN)
            continue;
        items[i].state = ITEM_HELD;
        if (items[i].record->study_id)
            id_set_add(&writer->held, items[i].record->study_id);
    }
}

/* The results stand in the records. */
static void settle(struct writer *writer, struct batch *batch, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct store_record *record = items[i].record;
        if (items[i].state != ITEM_OPEN)
            continue;
        if (batch_is_held(batch, record)) {
            items[i].state = ITEM_HELD;
            id_set_add(&writer->held, record->study_id);
            continue;
        }
        finish(&items[i], record->result);
        if (record->result == STORE_REFUSED) {
            log_error("the database refuses a change study_id=%lld why=\"%s\"", (long long)record->study_id,
                      record->detail);
            if (record->study_id)
                id_set_add(&writer->refused, record->study_id);
        }
    }
    batch_accept(batch, &writer->store->garbage);
}

/* Gets a new connection and tells by the number of committed batches whether the lost COMMIT happened.
 * BATCH_LOST: the store ends before there is one. */
static enum batch_outcome recover(struct writer *writer, const struct batch *batch)
{
    int64_t before = writer->owner.batch;
    drop_connection(writer);
    if (!own(writer))
        return BATCH_LOST;
    bool is_committed = batch->is_in_commit && writer->owner.batch == before + 1;
    return is_committed ? BATCH_DONE : BATCH_RETRY;
}

/* Tries until it is done, or must be split or held. BATCH_LOST: the store ends. */
static enum batch_outcome try_batch(struct writer *writer, struct batch *batch)
{
    enum batch_outcome outcome = BATCH_RETRY;
    int losses = 0;
    for (int tries = 0; outcome == BATCH_RETRY && tries < MAX_TRIES; tries++) {
        batch->sql = writer->sql;
        batch->is_careful = tries > 0 || writer->is_careful;
        outcome = batch_try(batch);
        if (outcome != BATCH_LOST)
            continue;
        if (losses++) { /* a new connection does not help: read-only, disk full */
            set_away(writer, writer->sql->error);
            wait_ms(writer->store, OWN_MS);
        }
        outcome = recover(writer, batch);
        tries = -1;
    }
    if (outcome != BATCH_LOST && outcome != BATCH_DEPOSED)
        set_back(writer);
    return outcome;
}

/* Applies items, or as many as can be. False: the writer must stop; what is still open was not applied. */
static bool commit(struct writer *writer, struct item *items, size_t n)
{
    MEMORY_AUTO struct store_record **records = memory_array(n, sizeof *records);
    struct batch batch = {.owner = &writer->owner, .known = &writer->store->known, .records = records};
    batch.n = pick(writer, items, n, records);
    if (batch.n == 0)
        return true;
    enum batch_outcome outcome = try_batch(writer, &batch);
    if (outcome == BATCH_DONE)
        settle(writer, &batch, items, n);
    batch_deinit(&batch);
    if (outcome == BATCH_DEPOSED)
        store_fail(writer->store, EXIT_FAILED, deposed);
    if (outcome == BATCH_DEPOSED || outcome == BATCH_LOST)
        return false;
    if (outcome == BATCH_DONE)
        return true;
    if (n == 1 || !batch.has_begun) { /* somebody is in the way of all of it */
        hold(writer, items, n);
        return true;
    }
    return commit(writer, items, n / 2) && commit(writer, items + n / 2, n - n / 2);
}

/* ---- queue ---- */

/* Under the mutex. */
static void adopt_studies(struct store *store)
{
    for (size_t i = 0; i < store->adopted.n; i++)
        known_add(&store->known, store->adopted.studies[i]);
    store->adopted.n = 0;
}

/* Waits for records, but not for ever. */
static size_t take(struct writer *writer, struct item *items)
{
    struct store *store = writer->store;
    size_t n = 0, bytes = 0;
    uv_mutex_lock(&store->mutex);
    bool may_wait = !store->has_failed && !store->is_closing;
    if (may_wait && store->queue.first && writer->is_idle)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex, (uint64_t)HELD_MS * 1000000);
    else if (may_wait && !store->queue.first && store->garbage.n == 0 && writer->sql->driver->needs_ping)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex, (uint64_t)PING_MS * 1000000);
    else if (may_wait && !store->queue.first && store->garbage.n == 0)
        uv_cond_wait(&store->writer_wakes, &store->mutex);
    adopt_studies(store);
    while (store->queue.first && n < MAX_BATCH_RECORDS && bytes < MAX_BATCH_BYTES) {
        items[n] = (struct item){.record = record_list_pop(&store->queue)};
        bytes += items[n++].record->size_bytes;
    }
    store->n_queued -= n;
    store->queued_bytes -= bytes;
    uv_mutex_unlock(&store->mutex);
    return n;
}

/* What was queued behind a refused record of its study falls with it. Under the mutex. */
static void drop_refused(struct writer *writer)
{
    struct store *store = writer->store;
    struct record_list queue = store->queue;
    store->queue = (struct record_list){0};
    for (struct store_record *record; (record = record_list_pop(&queue));) {
        if (!id_set_has(&writer->refused, record->study_id)) {
            record_list_push(&store->queue, record);
            continue;
        }
        store->n_queued--;
        store->queued_bytes -= record->size_bytes;
        record->result = STORE_AWAY;
        record_list_push(&store->finished, record);
    }
    for (size_t i = 0; i < writer->refused.n; i++)
        id_set_add(&store->refused, writer->refused.ids[i]);
}

/* Hands back what is finished; the rest goes to the front of the queue, in its order. */
static void hand_back(struct writer *writer, struct item *items, size_t n)
{
    struct store *store = writer->store;
    struct record_list kept = {0};
    size_t n_kept = 0;
    uv_mutex_lock(&store->mutex);
    for (size_t i = 0; i < n; i++) {
        if (items[i].state == ITEM_FINISHED) {
            record_list_push(&store->finished, items[i].record);
            continue;
        }
        record_list_push(&kept, items[i].record);
        store->queued_bytes += items[i].record->size_bytes;
        n_kept++;
    }
    if (kept.first) {
        kept.last->next = store->queue.first;
        if (!store->queue.first)
            store->queue.last = kept.last;
        store->queue.first = kept.first;
        store->n_queued += n_kept;
    }
    if (writer->refused.n)
        drop_refused(writer);
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
    writer->is_idle = n_kept == n;
    writer->is_careful = n_kept > 0;
    id_set_clear(&writer->refused);
    id_set_clear(&writer->held);
}

/* Idle work. False: the writer must stop. */
static bool remove_garbage(struct writer *writer)
{
    struct garbage_list *garbage = &writer->store->garbage;
    if (garbage->n == 0)
        return true;
    if (!garbage_remove_slice(garbage, &writer->owner, writer->sql)) {
        store_fail(writer->store, EXIT_FAILED, deposed);
        return false;
    }
    if (writer->sql->status == SQL_REFUSED) {
        log_error("rows of a deleted study stay, the next start tries again study_id=%lld why=\"%s\"",
                  (long long)garbage->items[garbage->n - 1].study_id, writer->sql->error);
        garbage->n--;
    }
    sql_forget(writer->sql);
    return writer->sql->status == SQL_OK || own_again(writer);
}

static bool serve(struct writer *writer, struct item *items)
{
    if (store_is_ending(writer->store))
        return false;
    size_t n = take(writer, items);
    if (n == 0)
        return remove_garbage(writer) && ping(writer);
    bool goes_on = commit(writer, items, n);
    hand_back(writer, items, n);
    if (++writer->rounds % GARBAGE_ROUNDS == 0)
        goes_on = goes_on && remove_garbage(writer);
    return goes_on;
}

/* Nothing more will be written. */
static void end(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    store->is_serving = false;
    for (struct store_record *record; (record = record_list_pop(&store->queue));) {
        record->result = STORE_AWAY;
        record_list_push(&store->finished, record);
    }
    store->n_queued = store->queued_bytes = 0;
    store->n_ended++;
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
}

void writer_main(void *argument)
{
    struct writer writer = {.store = argument};
    struct item *items = memory_array(MAX_BATCH_RECORDS, sizeof *items);
    sigset_t all;
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_BLOCK, &all, NULL);

    if (own_again(&writer) && load(&writer)) {
        writer.sql->driver->warn(writer.sql);
        while (serve(&writer, items))
            ;
    }
    sql_close(writer.sql);
    free(items);
    end(writer.store);
}
