/* SPDX-License-Identifier: MIT */
/* What the files of the writer thread share. Everything here belongs to that thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/inside.h"
#include "daemon/store/owner.h"
#include "daemon/store/sql.h"
#include "daemon/store/waits.h"

#define MAX_BATCH_RECORDS 4096
#define PING_MS 1000 /* the server closes a session of the writer that is silent for 4 s */
#define OWN_MS 1000  /* between attempts to connect, or to get the lock */
#define EXIT_FAILED 1
#define EXIT_DATABASE 3

enum item_state { ITEM_OPEN, ITEM_TRIED, ITEM_FINISHED, ITEM_HELD };
struct item {
    struct store_record *record;
    enum item_state state; /* TRIED: in the transaction under way */
};

struct writer {
    struct store *store;
    struct sql *sql; /* NULL: not open */
    struct owner owner;
    bool has_served, is_away;
    char lost[SQL_ERROR_SIZE]; /* why the last connection was given up; "": it was not */
    struct waits waits;
    uint64_t garbage_rests_until_ns; /* somebody has rows of it locked */
    unsigned rounds;
    /* Of the last round. */
    size_t n_taken;
    uint64_t taken_ns, round_ns; /* when, and how long it took */
    /* Of the round under way. */
    struct id_set refused, held; /* studies */
    bool has_passed;             /* the database took, or could have taken, something */
    bool is_idle;                /* nothing came of the last round: its records are all held */
    bool is_careful;             /* somebody had rows locked in the last round */
};

/* ---- the connection: writer_own.c ---- */

/* Until `ms` have passed or something happens. */
void writer_wait_ms(struct writer *writer, unsigned ms);
/* Tells the loop, where it is news. */
void writer_set_away(struct writer *writer, const char *why);
void writer_set_back(struct writer *writer);
/* Another one has the database: the store ends. */
void writer_note_deposed(struct writer *writer);
/* Gets a new connection that owns the database, however long it takes. False: the store ends. */
[[nodiscard]] bool writer_own(struct writer *writer);
/* The same with nothing to write: a connection is all that is wanted. */
[[nodiscard]] bool writer_own_again(struct writer *writer);
/* Keeps the session alive, and notices when it is not. False: the store ends. */
[[nodiscard]] bool writer_ping(struct writer *writer);

/* ---- transactions: writer_commit.c ---- */

/* Applies what can be applied, and holds what others are in the way of. False: the writer must stop; what is
 * neither finished nor held was not applied. */
[[nodiscard]] bool writer_commit(struct writer *writer, struct item *items, size_t n);

/* ---- the queue: writer_queue.c ---- */

/* Takes what is queued, at most MAX_BATCH_RECORDS; waits for it, but not for ever. */
size_t writer_take(struct writer *writer, struct item *items);
/* Hands back what is finished; the rest goes to the front of the queue, in its order. Ends the round. */
void writer_hand_back(struct writer *writer, struct item *items, size_t n);
/* Nothing more will be written: hands everything back. */
void writer_end(struct writer *writer);
