/* SPDX-License-Identifier: MIT */
/* The writer's end of the queue: what it takes, and what it hands back. */
#include "daemon/store/writer.h"

#define MAX_BATCH_BYTES (1u << 20)
#define MAX_REST_NS UINT64_C(1000000) /* for others to come */
#define HELD_MS 20                    /* until a study that somebody else had locked is tried again */

/* Under the mutex. */
static void wait_for_work(struct writer *writer)
{
    struct store *store = writer->store;
    bool has_garbage = store->garbage.n && uv_hrtime() >= writer->garbage_rests_until_ns;
    bool is_busy = store->queue.first ? !writer->is_idle : store->is_closing || has_garbage;
    if (store->has_failed || is_busy)
        return;
    if (store->queue.first)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex, (uint64_t)HELD_MS * 1000000);
    else if (store->garbage.n || writer->sql->driver->needs_ping)
        uv_cond_timedwait(&store->writer_wakes, &store->mutex, (uint64_t)PING_MS * 1000000);
    else
        uv_cond_wait(&store->writer_wakes, &store->mutex);
}

/* Who was answered by the last round comes back at about the same time. Were the first one taken alone, he
 * and the others would go by turns from then on, each of the two groups with commits of its own. So where the
 * last round held more, the writer rests for as long as that took: where they do not come, this round holds
 * less, and the next one does not rest. Under the mutex. */
static void wait_for_others(struct writer *writer)
{
    struct store *store = writer->store;
    uint64_t now_ns = uv_hrtime();
    uint64_t until_ns = now_ns + (writer->round_ns < MAX_REST_NS ? writer->round_ns : MAX_REST_NS);
    store->n_wanted = writer->n_taken;
    while (store->queue.n && store->queue.n < store->n_wanted && !store->is_closing && !store->has_failed &&
           now_ns < until_ns) {
        uv_cond_timedwait(&store->writer_wakes, &store->mutex, until_ns - now_ns);
        now_ns = uv_hrtime();
    }
    store->n_wanted = 0;
}

/* Under the mutex. */
static void adopt_studies(struct store *store)
{
    for (size_t i = 0; i < store->adopted.n; i++)
        known_add(&store->known, store->adopted.studies[i]);
    store->adopted.n = 0;
}

size_t writer_take(struct writer *writer, struct item *items)
{
    struct store *store = writer->store;
    size_t n = 0, bytes = 0;
    uv_mutex_lock(&store->mutex);
    wait_for_work(writer);
    wait_for_others(writer);
    adopt_studies(store);
    while (store->queue.first && n < MAX_BATCH_RECORDS && bytes < MAX_BATCH_BYTES) {
        items[n] = (struct item){.record = record_list_pop(&store->queue)};
        bytes += items[n++].record->size_bytes;
    }
    uv_mutex_unlock(&store->mutex);
    writer->n_taken = n;
    writer->taken_ns = uv_hrtime();
    return n;
}

/* Under the mutex. */
static void give_back(struct store *store, struct store_record *record)
{
    store->n_pending--;
    store->pending_bytes -= record->size_bytes;
    record_list_push(&store->finished, record);
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
        record->result = STORE_AWAY;
        give_back(store, record);
    }
    for (size_t i = 0; i < writer->refused.n; i++)
        id_set_add(&store->refused, writer->refused.ids[i]);
}

static void put_in_front(struct store *store, struct record_list *kept)
{
    if (!kept->first)
        return;
    kept->last->next = store->queue.first;
    if (!store->queue.first)
        store->queue.last = kept->last;
    store->queue.first = kept->first;
    store->queue.n += kept->n;
}

void writer_hand_back(struct writer *writer, struct item *items, size_t n)
{
    struct store *store = writer->store;
    struct record_list kept = {0};

    uv_mutex_lock(&store->mutex);
    for (size_t i = 0; i < n; i++) {
        if (items[i].state == ITEM_FINISHED) {
            give_back(store, items[i].record);
            continue;
        }
        record_list_push(&kept, items[i].record);
    }
    put_in_front(store, &kept);
    if (writer->refused.n)
        drop_refused(writer);
    store->n_passed += writer->has_passed;
    if (writer->has_passed)
        store->obstacle[0] = '\0';
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
    writer->round_ns = uv_hrtime() - writer->taken_ns;
    writer->has_passed = false;
    writer->is_idle = kept.n == n;
    writer->is_careful = kept.n > 0;
    id_set_clear(&writer->refused);
    id_set_clear(&writer->held);
}

void writer_end(struct writer *writer)
{
    struct store *store = writer->store;
    uv_mutex_lock(&store->mutex);
    store->is_serving = false;
    for (struct store_record *record; (record = record_list_pop(&store->queue));) {
        record->result = STORE_AWAY;
        give_back(store, record);
    }
    store->n_ended++;
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
}
