/* SPDX-License-Identifier: MIT */
/* What the store's three threads share: the queue of records, what is finished, and what the loop is to be
 * told. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/store/garbage.h"
#include "daemon/store/id_set.h"
#include "daemon/store/known.h"
#include "daemon/store/load.h"
#include "daemon/store/sql.h"
#include "daemon/store/sql_address.h"
#include "daemon/store/store.h"
#include "daemon/store/watch.h"

/* Linked by record->next. A zeroed struct is empty. */
struct record_list {
    struct store_record *first, *last;
    size_t n;
};
void record_list_push(struct record_list *list, struct store_record *record);
struct store_record *record_list_pop(struct record_list *list); /* NULL where it is empty */

struct read_list {
    struct store_read *first, *last;
};

enum event_kind { EVENT_STANDBY, EVENT_LOADED, EVENT_AWAY, EVENT_BACK, EVENT_FAILED };
struct event {
    enum event_kind kind;
    int exit_code; /* FAILED */
    char text[512];
    struct event *next;
};

struct store {
    /* Constant while the threads run. */
    struct sql_address address;
    struct store_sink sink;
    struct store_observer observer;

    /* The loop thread's. */
    uv_async_t async;
    struct watch watch;
    uv_thread_t writer, reader;
    void (*closed)(void *user);
    void *closed_user;

    /* Built by the reader while it loads; the writer's from then on (`is_loaded` hands them over). */
    struct known known;
    struct garbage_list garbage;

    /* Under `mutex`. */
    uv_mutex_t mutex;
    uv_cond_t writer_wakes; /* records (n_wanted of them), is_loaded, is_closing */
    uv_cond_t reader_wakes; /* reads, wants_load, is_closing */
    struct record_list queue;
    size_t n_wanted;                 /* so many records wake the writer */
    size_t n_pending, pending_bytes; /* queued, or the writer has them */
    uint64_t n_records;              /* committed */
    struct histogram transactions;
    uint64_t n_passed;             /* so often the database took what was pending */
    char obstacle[SQL_ERROR_SIZE]; /* what the writer met last, "" where it has passed since */
    struct record_list finished;
    struct id_set refused; /* studies of which a finished record was refused: what is submitted before it is
                              delivered goes the same way */
    struct read_list reads, reads_finished;
    struct store_find *find, *found; /* wanted, finished; at most one of them */
    struct study_list found_studies;
    struct known adopted; /* studies that appeared: the writer takes them over before it looks at a record */
    struct event *events, **events_end;
    int64_t epoch; /* the owner's, once wants_load is set */
    bool wants_load, is_loaded;
    bool is_serving; /* takes records */
    bool is_away;
    bool has_failed;
    bool is_closing;
    uint64_t close_at_ns; /* uv_hrtime(); what is queued then comes back as STORE_AWAY */
    int n_ended;          /* threads */
};

/* Any thread. */
void store_post(struct store *store, enum event_kind kind, int exit_code, const char *text);
/* It will never work: tells the loop, once, and ends both threads. */
void store_fail(struct store *store, int exit_code, const char *why);
/* Gives the sink a study's trials, and notes in `known` what the writer needs to know of them. */
void store_emit(const struct store *store, void *study, struct known_study *known,
                const struct trial_list *list);
bool store_is_ending(struct store *store); /* failed, or closing with nothing queued or no time left */

/* The beginning of a thread of the store: signals are the loop's, but for those that say that the thread
 * itself is broken (blocked, they would end the process without a word from a sanitizer or a core dump's
 * handler). */
void store_begin_thread(void);
/* Thread functions. */
void writer_main(void *store);
void reader_main(void *store);
