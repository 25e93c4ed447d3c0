/* SPDX-License-Identifier: MIT */
/* Turns a round's records into transactions: all in one where that works, else in parts. */
#include <stdio.h>
#include <string.h>

#include "daemon/store/batch.h"
#include "daemon/store/writer.h"
#include "proto/log.h"
#include "proto/memory.h"

#define MAX_TRIES 2 /* of a batch that others are in the way of, before its studies are tried one by one */
#define TOGETHER -1 /* instead of a study: all but those that are to be tried by themselves */

static void finish(struct item *item, enum store_result result)
{
    item->record->result = result;
    item->state = ITEM_FINISHED;
}

static void hold(struct writer *writer, struct item *item)
{
    item->state = ITEM_HELD;
    id_set_add(&writer->held, item->record->study_id);
}

/* Puts what is to be tried into `records`: the rest waits, or falls with what stands before it in its study.
 */
static size_t pick(struct writer *writer, struct item *items, size_t n, int64_t which,
                   struct store_record **records)
{
    size_t picked = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t study_id = items[i].record->study_id;
        if (items[i].state != ITEM_OPEN)
            continue;
        if (id_set_has(&writer->refused, study_id)) {
            finish(&items[i], STORE_AWAY);
        } else if (id_set_has(&writer->held, study_id) || waits_is_early(&writer->waits, study_id)) {
            hold(writer, &items[i]);
        } else if (which == TOGETHER ? !waits_is_alone(&writer->waits, study_id) : study_id == which) {
            items[i].state = ITEM_TRIED;
            records[picked++] = items[i].record;
        }
    }
    return picked;
}

static void hold_tried(struct writer *writer, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (items[i].state == ITEM_TRIED)
            hold(writer, &items[i]);
}

static void open_tried(struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (items[i].state == ITEM_TRIED)
            items[i].state = ITEM_OPEN;
}

static void note_refused(struct writer *writer, const struct store_record *record)
{
    log_error("the database refuses a change study_id=%lld why=\"%s\"", (long long)record->study_id,
              record->detail);
    if (record->study_id)
        id_set_add(&writer->refused, record->study_id);
}

/* The results stand in the records. */
static void settle(struct writer *writer, struct batch *batch, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct store_record *record = items[i].record;
        if (items[i].state != ITEM_TRIED)
            continue;
        if (batch_is_held(batch, record)) {
            hold(writer, &items[i]);
            waits_note_seen(&writer->waits, record->study_id);
            continue;
        }
        finish(&items[i], record->result);
        if (record->result == STORE_REFUSED)
            note_refused(writer, record);
    }
    batch_accept(batch, &writer->store->garbage);
    writer->has_passed = true;
}

/* Gets a new connection and tells by the number of committed batches whether the lost COMMIT happened.
 * BATCH_LOST: the store ends before there is one. */
static enum batch_outcome recover(struct writer *writer, const struct batch *batch)
{
    int64_t before = writer->owner.batch;
    if (!writer_own(writer))
        return BATCH_LOST;
    bool is_committed = batch->is_in_commit && writer->owner.batch == before + 1;
    return is_committed ? BATCH_DONE : BATCH_RETRY;
}

/* Tries until it is done, or must be split, or others are in the way for too long. BATCH_LOST: the store
 * ends.
 */
static enum batch_outcome try_batch(struct writer *writer, struct batch *batch, bool is_alone)
{
    enum batch_outcome outcome = BATCH_RETRY;
    int losses = 0;
    for (int tries = 0; outcome == BATCH_RETRY && tries < (is_alone ? 1 : MAX_TRIES); tries++) {
        batch->sql = writer->sql;
        batch->is_careful = is_alone || tries > 0 || writer->is_careful;
        outcome = batch_try(batch);
        if (outcome != BATCH_LOST)
            continue;
        if (losses++) { /* a new connection does not help: read-only, disk full */
            writer_set_away(writer, writer->sql->error);
            writer_wait_ms(writer, OWN_MS);
        }
        outcome = recover(writer, batch);
        tries = -1;
    }
    if (outcome != BATCH_LOST && outcome != BATCH_DEPOSED)
        writer_set_back(writer);
    return outcome;
}

static void note_obstacle(struct writer *writer)
{
    struct store *store = writer->store;
    uv_mutex_lock(&store->mutex);
    snprintf(store->obstacle, sizeof store->obstacle, "%s", writer->sql->error);
    uv_mutex_unlock(&store->mutex);
}

static void note_transaction(struct store *store, const struct batch *batch, uint64_t took_ns)
{
    if (batch->is_look_only)
        return;
    uv_mutex_lock(&store->mutex);
    for (size_t i = 0; i < batch->n; i++)
        store->n_records +=
            batch->records[i]->change != STORE_LOOK && batch_is_active(batch, batch->records[i]);
    histogram_add(&store->transactions, took_ns);
    uv_mutex_unlock(&store->mutex);
}

static bool commit(struct writer *writer, struct item *items, size_t n, int64_t which);

static bool commit_one_by_one(struct writer *writer, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (items[i].state == ITEM_OPEN && !commit(writer, items + i, n - i, items[i].record->study_id))
            return false;
    return true;
}

/* Others are in the way: of the whole database, of one study, or of who knows which. */
static bool give_way(struct writer *writer, const struct batch *batch, struct item *items, size_t n,
                     int64_t which)
{
    note_obstacle(writer);
    if (!batch->has_begun) {
        hold_tried(writer, items, n);
        return true;
    }
    if (which != TOGETHER) {
        waits_note_timeout(&writer->waits, which, writer->sql->error);
        hold_tried(writer, items, n);
        return true;
    }
    open_tried(items, n);
    return commit_one_by_one(writer, items, n);
}

/* Applies those of the items, or as many of them as can be. False: the writer must stop. */
static bool commit(struct writer *writer, struct item *items, size_t n, int64_t which)
{
    MEMORY_AUTO struct store_record **records = memory_array(n, sizeof *records);
    struct batch batch = {.owner = &writer->owner, .known = &writer->store->known, .records = records};
    batch.n = pick(writer, items, n, which, records);
    if (batch.n == 0)
        return true;
    if (store_is_ending(writer->store))
        return false;
    uint64_t begun_ns = uv_hrtime();
    enum batch_outcome outcome = try_batch(writer, &batch, which != TOGETHER);
    if (outcome == BATCH_DONE) {
        note_transaction(writer->store, &batch, uv_hrtime() - begun_ns);
        settle(writer, &batch, items, n);
    }
    batch_deinit(&batch);
    switch (outcome) {
    case BATCH_DONE:
        return true;
    case BATCH_RETRY:
        return give_way(writer, &batch, items, n, which);
    case BATCH_SPLIT:
        open_tried(items, n);
        return commit(writer, items, n / 2, which) && commit(writer, items + n / 2, n - n / 2, which);
    case BATCH_DEPOSED:
        writer_note_deposed(writer);
        break;
    case BATCH_LOST:
        break;
    }
    return false;
}

bool writer_commit(struct writer *writer, struct item *items, size_t n)
{
    waits_begin_round(&writer->waits);
    bool goes_on = commit(writer, items, n, TOGETHER) && commit_one_by_one(writer, items, n);
    if (goes_on)
        waits_settle(&writer->waits, &writer->held, writer->has_passed ? writer->sql : NULL);
    sql_forget(writer->sql);
    return goes_on;
}
