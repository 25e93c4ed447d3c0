/* SPDX-License-Identifier: MIT */
/* The reader thread: loads everything once, then answers cold reads and looks for new studies, on a
 * connection of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/cold.h"
#include "daemon/store/find.h"
#include "daemon/store/inside.h"
#include "daemon/store/load.h"
#include "daemon/store/sql.h"
#include "proto/log.h"

#define RETRY_MS 1000
#define EXIT_DATABASE 3

struct reader {
    struct store *store;
    struct sql *sql; /* NULL: not open */
    bool has_told;   /* that loading waits */
};

/* Sleeps, unless the store ends: then false. */
static bool wait_to_retry(struct store *store)
{
    uv_mutex_lock(&store->mutex);
    if (!store->is_closing && !store->has_failed)
        uv_cond_timedwait(&store->reader_wakes, &store->mutex, (uint64_t)RETRY_MS * 1000000);
    bool goes_on = !store->is_closing && !store->has_failed;
    uv_mutex_unlock(&store->mutex);
    return goes_on;
}

static void reopen(struct reader *reader, enum sql_role role)
{
    sql_close(reader->sql);
    reader->sql = sql_open(&reader->store->address, role);
}

/* After a failure while loading: is it worth while to try again? Does what is needed for that. */
static bool recover(struct reader *reader)
{
    struct sql *sql = reader->sql;
    if (sql->status != SQL_REFUSED && !reader->has_told)
        log_warning("loading waits, it is tried again until it works reason=%s", LOG_QUOTED(sql->error));
    reader->has_told = true;
    if (sql->status == SQL_REFUSED) {
        char why[SQL_ERROR_SIZE + 40];
        snprintf(why, sizeof why, "the database cannot be read: %s", sql->error);
        store_fail(reader->store, EXIT_DATABASE, why);
        return false;
    }
    if (!wait_to_retry(reader->store))
        return false;
    if (sql->status == SQL_RETRY)
        sql_forget(sql);
    else
        reopen(reader, SQL_LOADER);
    return true;
}

/* ---- loading ---- */

/* False: the store ends. Chunks are handed on whole, so a lost connection costs one chunk. */
static bool load_study_trials(struct reader *reader, void *study, struct known_study *known)
{
    for (;;) {
        struct trial_list list = {0};
        load_next_trials(reader->sql, known, known->last_trial_id, &list);
        bool has_failed = reader->sql->status != SQL_OK;
        size_t n = list.n;
        if (!has_failed)
            store_emit(reader->store, study, known, &list);
        trial_list_deinit(&list);
        if (store_is_ending(reader->store) || (has_failed && !recover(reader)))
            return false;
        if (!has_failed && n == 0)
            return true;
    }
}

static bool load_study(struct reader *reader, struct loaded_study *loaded)
{
    const struct store_sink *sink = &reader->store->sink;
    loaded->study.epoch = reader->store->epoch;
    void *study = sink->study_begin(sink->user, &loaded->study);
    bool is_loaded = load_study_trials(reader, study, loaded->known);
    sink->study_end(sink->user, study);
    known_add(&reader->store->known, loaded->known);
    loaded->known = NULL;
    return is_loaded;
}

static bool load_all(struct reader *reader)
{
    struct study_list list;
    reopen(reader, SQL_LOADER);
    for (load_studies(reader->sql, NULL, &list); reader->sql->status != SQL_OK;
         load_studies(reader->sql, NULL, &list)) {
        study_list_deinit(&list);
        if (!recover(reader))
            return false;
    }
    bool goes_on = true;
    for (size_t i = 0; i < list.n && goes_on; i++)
        goes_on = load_study(reader, &list.studies[i]);
    reader->store->garbage = list.garbage;
    list.garbage = (struct garbage_list){0};
    study_list_deinit(&list);
    sql_close(reader->sql); /* what reads may take their time is done */
    reader->sql = NULL;
    return goes_on;
}

/* ---- while we serve ---- */

/* An idle connection may have been closed by the server. */
static void ready(struct reader *reader)
{
    if (!reader->sql || reader->sql->status == SQL_LOST || reader->sql->status == SQL_FATAL)
        reopen(reader, SQL_READER);
    sql_forget(reader->sql);
}

/* One more try on a new connection. */
static void serve_read(struct reader *reader, struct store_read *read)
{
    for (int tries = 0; tries < 2; tries++) {
        ready(reader);
        cold_read(reader->sql, read);
        if (reader->sql->status == SQL_OK)
            return;
        cold_free(read->trials, read->n_trials);
        read->trials = NULL;
    }
    read->error = -1;
    log_warning("cold read failed why=\"%s\"", reader->sql->error);
}

static void serve_find(struct reader *reader, struct store_find *find, struct study_list *list)
{
    for (int tries = 0; tries < 2; tries++) {
        ready(reader);
        find_studies(reader->sql, find, list);
        if (reader->sql->status == SQL_OK)
            return;
        study_list_deinit(list);
    }
    find->error = -1;
    log_warning("looking for new studies failed why=\"%s\"", reader->sql->error);
}

static void finish_read(struct store *store, struct store_read *read)
{
    if (store->reads_finished.first)
        store->reads_finished.last->next = read;
    else
        store->reads_finished.first = read;
    store->reads_finished.last = read;
    uv_async_send(&store->async);
}

/* Takes a read, or does what has precedence. False: the thread ends. Called and left with the mutex held. */
static bool step(struct reader *reader)
{
    struct store *store = reader->store;
    if (store->is_closing || store->has_failed)
        return false;
    if (store->wants_load && !store->is_loaded) {
        uv_mutex_unlock(&store->mutex);
        bool is_loaded = load_all(reader);
        uv_mutex_lock(&store->mutex);
        store->is_loaded = is_loaded;
        uv_cond_signal(&store->writer_wakes);
    } else if (store->reads.first) {
        struct store_read *read = store->reads.first;
        store->reads.first = read->next;
        read->next = NULL;
        bool is_away = store->is_away; /* each would wait for as long as the one before */
        uv_mutex_unlock(&store->mutex);
        if (is_away)
            read->error = -1;
        else
            serve_read(reader, read);
        uv_mutex_lock(&store->mutex);
        finish_read(store, read);
    } else if (store->find) {
        struct study_list list;
        uv_mutex_unlock(&store->mutex);
        serve_find(reader, store->find, &list);
        uv_mutex_lock(&store->mutex);
        store->found = store->find;
        store->find = NULL;
        store->found_studies = list;
        uv_async_send(&store->async);
    } else {
        uv_cond_wait(&store->reader_wakes, &store->mutex);
    }
    return true;
}

void reader_main(void *argument)
{
    struct reader reader = {.store = argument};
    struct store *store = argument;

    store_begin_thread();
    uv_mutex_lock(&store->mutex);
    while (step(&reader))
        ;
    uv_mutex_unlock(&store->mutex);
    sql_close(reader.sql);

    uv_mutex_lock(&store->mutex);
    for (struct store_read *read = store->reads.first; read; read = read->next)
        read->error = -1;
    if (store->reads_finished.first)
        store->reads_finished.last->next = store->reads.first;
    else
        store->reads_finished.first = store->reads.first;
    if (store->reads.first)
        store->reads_finished.last = store->reads.last;
    store->reads = (struct read_list){0};
    if (store->find) {
        store->find->error = -1;
        store->found = store->find;
        store->find = NULL;
    }
    store->n_ended++;
    uv_mutex_unlock(&store->mutex);
    uv_async_send(&store->async);
}
