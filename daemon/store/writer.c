/* SPDX-License-Identifier: MIT */
/* The writer thread: owns the database, and commits what is queued. */
#include "daemon/store/writer.h"

#include <stdlib.h>

#include "proto/log.h"
#include "proto/memory.h"

#define GARBAGE_ROUNDS 16 /* so often rows of deleted studies are removed while there is other work */
#define GARBAGE_REST_NS UINT64_C(5000000000) /* while somebody has them locked */

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
        if (store_is_ending(store) || !writer_ping(writer))
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

static void note_garbage_refused(struct writer *writer)
{
    struct garbage_list *garbage = &writer->store->garbage;
    log_error("rows of a deleted study stay, the next start tries again study_id=%lld why=\"%s\"",
              (long long)garbage->items[garbage->n - 1].study_id, writer->sql->error);
    garbage->n--;
}

/* Idle work. False: the writer must stop. */
static bool remove_garbage(struct writer *writer)
{
    struct garbage_list *garbage = &writer->store->garbage;
    if (garbage->n == 0 || uv_hrtime() < writer->garbage_rests_until_ns)
        return true;
    if (!garbage_remove_slice(garbage, &writer->owner, writer->sql)) {
        writer_note_deposed(writer);
        return false;
    }
    if (writer->sql->status == SQL_REFUSED)
        note_garbage_refused(writer);
    else if (writer->sql->status == SQL_RETRY)
        writer->garbage_rests_until_ns = uv_hrtime() + GARBAGE_REST_NS;
    sql_forget(writer->sql);
    return writer->sql->status == SQL_OK || writer_own_again(writer);
}

static bool serve(struct writer *writer, struct item *items)
{
    if (store_is_ending(writer->store))
        return false;
    size_t n = writer_take(writer, items);
    if (n == 0)
        return remove_garbage(writer) && writer_ping(writer);
    bool goes_on = writer_commit(writer, items, n);
    writer_hand_back(writer, items, n);
    if (++writer->rounds % GARBAGE_ROUNDS == 0)
        goes_on = goes_on && remove_garbage(writer);
    return goes_on;
}

void writer_main(void *argument)
{
    struct writer writer = {.store = argument};
    struct item *items = memory_array(MAX_BATCH_RECORDS, sizeof *items);

    store_begin_thread();
    if (writer_own_again(&writer) && load(&writer)) {
        writer.sql->driver->warn(writer.sql);
        while (serve(&writer, items))
            ;
    }
    sql_close(writer.sql);
    waits_deinit(&writer.waits);
    free(items);
    writer_end(&writer);
}
