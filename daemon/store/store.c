/* SPDX-License-Identifier: MIT */
/* The loop thread's side of the store: takes records and reads, hands back what is finished. */
#include "daemon/store/store.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/batch.h"
#include "daemon/store/cold.h"
#include "daemon/store/inside.h"
#include "daemon/store/schema.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

#define MAX_PENDING 100000
#define MAX_PENDING_BYTES (64u << 20)

void record_list_push(struct record_list *list, struct store_record *record)
{
    record->next = NULL;
    if (list->first)
        list->last->next = record;
    else
        list->first = record;
    list->last = record;
    list->n++;
}

struct store_record *record_list_pop(struct record_list *list)
{
    struct store_record *record = list->first;
    if (!record)
        return NULL;
    list->first = record->next;
    list->n--;
    return record;
}

/* Memory that a record takes in the queue, and text in a batch, about. */
static size_t record_bytes(const struct store_record *record)
{
    json_t *attrs[] = {record->study.user_attrs, record->trial.user_attrs, record->trial.fixed_params};
    size_t size = 400;
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
        size += attrs[i] ? json_dumpb(attrs[i], NULL, 0, 0) : 0;
    if (record->study.spec_json)
        size += strlen(record->study.spec_json);
    if (record->trial.params)
        size += 200 * record->trial.space->n_params;
    return size + 40 * (record->report.n_points + record->trial.n_constraints + record->look.n_trials);
}

/* ---- any thread ---- */

void store_post(struct store *store, enum event_kind kind, int exit_code, const char *text)
{
    struct event *event = memory_new(sizeof *event);
    event->kind = kind;
    event->exit_code = exit_code;
    snprintf(event->text, sizeof event->text, "%s", text);
    uv_mutex_lock(&store->mutex);
    if (kind == EVENT_AWAY || kind == EVENT_BACK)
        store->is_away = kind == EVENT_AWAY;
    if (kind == EVENT_LOADED)
        store->is_serving = true;
    *store->events_end = event;
    store->events_end = &event->next;
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
}

void store_fail(struct store *store, int exit_code, const char *why)
{
    uv_mutex_lock(&store->mutex);
    bool is_first = !store->has_failed;
    store->has_failed = true;
    store->is_serving = false;
    uv_cond_signal(&store->writer_wakes);
    uv_cond_signal(&store->reader_wakes);
    uv_mutex_unlock(&store->mutex);
    if (is_first)
        store_post(store, EVENT_FAILED, exit_code, why);
}

void store_emit(const struct store *store, void *study, struct known_study *known,
                const struct trial_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct store_trial *trial = &list->trials[i];
        known->last_trial_id = trial->trial_id;
        if (trial->number < known->next_number) {
            log_warning("trial left out, its number is not above those before it study_id=%lld trial_id=%lld "
                        "number=%lld",
                        (long long)known->study_id, (long long)trial->trial_id, (long long)trial->number);
            continue;
        }
        known->next_number = trial->number + 1;
        store->sink.trial(store->sink.user, study, trial);
    }
}

bool store_is_ending(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    bool is_ending = store->has_failed ||
                     (store->is_closing && (store->n_pending == 0 || uv_hrtime() >= store->close_at_ns));
    uv_mutex_unlock(&store->mutex);
    return is_ending;
}

void store_begin_thread(void)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

/* ---- loop thread ---- */

static void deliver_event(struct store *store, const struct event *event)
{
    const struct store_observer *observer = &store->observer;
    switch (event->kind) {
    case EVENT_STANDBY:
        observer->standby(observer->user, event->text);
        break;
    case EVENT_LOADED:
        observer->loaded(observer->user);
        break;
    case EVENT_AWAY:
        watch_forget(store);
        observer->condition(observer->user, STORE_UNREACHABLE, event->text);
        break;
    case EVENT_BACK:
        observer->condition(observer->user, STORE_WORKS, "");
        break;
    case EVENT_FAILED:
        observer->failed(observer->user, event->exit_code, event->text);
        break;
    }
}

/* The record is its owner's again as soon as `done` begins. */
static void deliver_record(struct store_record *record)
{
    struct trial_list foreign = {.n = record->n_foreign, .trials = (struct store_trial *)record->foreign};
    record->done(record);
    trial_list_deinit(&foreign);
}

static void deliver_read(struct store_read *read)
{
    struct store_cold_trial *trials = read->trials;
    size_t n = read->n_trials;
    read->done(read);
    cold_free(trials, n);
}

/* A study that appeared. The writer knows it before the first record that concerns it. */
static void deliver_study(struct store *store, struct loaded_study *loaded)
{
    const struct store_sink *sink = &store->sink;
    loaded->study.epoch = store->epoch;
    void *study = sink->study_begin(sink->user, &loaded->study);
    if (!study)
        return;
    store_emit(store, study, loaded->known, &loaded->trials);
    uv_mutex_lock(&store->mutex);
    known_add(&store->adopted, loaded->known);
    loaded->known = NULL;
    uv_mutex_unlock(&store->mutex);
    sink->study_end(sink->user, study);
}

static void deliver_found(struct store *store, struct store_find *find, struct study_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        deliver_study(store, &list->studies[i]);
    study_list_deinit(list);
    find->done(find);
}

/* Returns whether both threads have ended. */
static bool deliver(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    struct event *events = store->events;
    struct record_list finished = store->finished;
    struct read_list reads = store->reads_finished;
    struct store_find *found = store->found;
    struct study_list found_studies = store->found_studies;
    bool has_ended = store->n_ended == 2;
    store->events = NULL;
    store->events_end = &store->events;
    store->finished = (struct record_list){0};
    store->reads_finished = (struct read_list){0};
    store->found = NULL;
    store->found_studies = (struct study_list){0};
    id_set_clear(&store->refused);
    uv_mutex_unlock(&store->mutex);

    for (struct event *event = events, *next; event; event = next) {
        next = event->next;
        deliver_event(store, event);
        free(event);
    }
    for (struct store_record *record; (record = record_list_pop(&finished));)
        deliver_record(record);
    for (struct store_read *read = reads.first, *next; read; read = next) {
        next = read->next;
        deliver_read(read);
    }
    if (found)
        deliver_found(store, found, &found_studies);
    watch_look(store);
    return has_ended;
}

static void close_cb(uv_handle_t *handle)
{
    struct store *store = handle->data;
    void (*closed)(void *user) = store->closed;
    void *user = store->closed_user;
    known_deinit(&store->known);
    known_deinit(&store->adopted);
    garbage_deinit(&store->garbage);
    uv_cond_destroy(&store->writer_wakes);
    uv_cond_destroy(&store->reader_wakes);
    uv_mutex_destroy(&store->mutex);
    sql_address_deinit(&store->address);
    free(store);
    if (closed)
        closed(user);
}

/* One after the other: the last one frees them both. */
static void close_timer_cb(uv_handle_t *handle)
{
    struct store *store = handle->data;
    uv_close((uv_handle_t *)&store->async, close_cb);
}

static void async_cb(uv_async_t *async)
{
    struct store *store = async->data;
    bool has_ended = deliver(store);
    if (!has_ended || !store->is_closing || uv_is_closing((uv_handle_t *)&store->watch.timer))
        return;
    uv_thread_join(&store->writer);
    uv_thread_join(&store->reader);
    deliver(store); /* what the callbacks above submitted */
    uv_close((uv_handle_t *)&store->watch.timer, close_timer_cb);
}

int store_check_url(const char *url, struct problem *problem)
{
    struct sql_address address;
    int result = sql_address_read(&address, url, NULL, problem);
    sql_address_deinit(&address);
    return result;
}

void store_put_schema(struct buffer *out)
{
    schema_put(out);
}

struct store *store_new(uv_loop_t *loop, const char *url, const char *password, const struct store_sink *sink,
                        const struct store_observer *observer, struct problem *problem)
{
    struct sql_address address;
    if (sql_address_read(&address, url, password, problem) < 0) {
        sql_address_deinit(&address);
        return NULL;
    }
    struct store *store = memory_new(sizeof *store);
    store->address = address;
    store->sink = *sink;
    store->observer = *observer;
    store->events_end = &store->events;
    store->async.data = store;
    require(uv_async_init(loop, &store->async, async_cb) == 0);
    watch_init(store, loop);
    require(uv_mutex_init(&store->mutex) == 0);
    require(uv_cond_init(&store->writer_wakes) == 0);
    require(uv_cond_init(&store->reader_wakes) == 0);
    require(uv_thread_create(&store->writer, writer_main, store) == 0);
    require(uv_thread_create(&store->reader, reader_main, store) == 0);
    return store;
}

const char *store_name(const struct store *store)
{
    return store->address.name;
}

int store_submit(struct store *store, struct store_record *record)
{
    record->n_foreign = 0;
    record->foreign = NULL;
    record->detail[0] = '\0';
    record->size_bytes = record_bytes(record);
    uv_mutex_lock(&store->mutex);
    bool is_taken = store->is_serving && !store->is_away && !store->watch.is_stalled && !store->is_closing &&
                    store->n_pending < MAX_PENDING &&
                    store->pending_bytes + record->size_bytes <= MAX_PENDING_BYTES;
    if (is_taken && id_set_has(&store->refused, record->study_id)) {
        record->result = STORE_AWAY; /* behind one that was refused */
        record_list_push(&store->finished, record);
    } else if (is_taken) {
        record_list_push(&store->queue, record);
        store->n_pending++;
        store->pending_bytes += record->size_bytes;
        watch_begin(store);
        if (store->queue.n >= store->n_wanted)
            uv_cond_signal(&store->writer_wakes);
    }
    uv_mutex_unlock(&store->mutex);
    return is_taken ? 0 : -1;
}

int store_read_trials(struct store *store, struct store_read *read)
{
    read->error = 0;
    read->trials = NULL;
    read->next = NULL;
    uv_mutex_lock(&store->mutex);
    bool is_taken = store->is_serving && !store->is_away && !store->is_closing;
    if (is_taken) {
        if (store->reads.first)
            store->reads.last->next = read;
        else
            store->reads.first = read;
        store->reads.last = read;
        uv_cond_signal(&store->reader_wakes);
    }
    uv_mutex_unlock(&store->mutex);
    return is_taken ? 0 : -1;
}

int store_find(struct store *store, struct store_find *find)
{
    find->error = 0;
    uv_mutex_lock(&store->mutex);
    require(!store->find && !store->found);
    bool is_taken = store->is_serving && !store->is_away && !store->is_closing;
    if (is_taken) {
        store->find = find;
        uv_cond_signal(&store->reader_wakes);
    }
    uv_mutex_unlock(&store->mutex);
    return is_taken ? 0 : -1;
}

void store_stats(struct store *store, struct store_stats *stats)
{
    uv_mutex_lock(&store->mutex);
    *stats = (struct store_stats){
        .n_pending = store->n_pending,
        .pending_bytes = store->pending_bytes,
        .n_records = store->n_records,
        .transactions = store->transactions,
    };
    uv_mutex_unlock(&store->mutex);
}

void store_close(struct store *store, int grace_ms, void (*closed)(void *user), void *user)
{
    store->closed = closed;
    store->closed_user = user;
    uv_mutex_lock(&store->mutex);
    store->is_closing = true;
    store->close_at_ns = uv_hrtime() + (uint64_t)grace_ms * 1000000;
    uv_cond_signal(&store->writer_wakes);
    uv_cond_signal(&store->reader_wakes);
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async); /* the threads may have ended long ago */
}
