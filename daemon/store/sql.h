/* SPDX-License-Identifier: MIT */
/*
 * A connection to a database, the same for MySQL and SQLite.
 *
 * Statements are text; everything above this file is written once. The first failure sticks: it stands in
 * `status` and `error`, and later calls do nothing until sql_forget(). So a transaction reads as a list of
 * steps, checked once at its end:
 *
 *     sql_begin(sql);
 *     sql_run(sql, "UPDATE ...");
 *     sql_query(sql, "SELECT ...");
 *     while (sql_next(sql))
 *         use(sql_int(sql, 0), sql_text(sql, 1));
 *     sql_commit(sql);
 *     if (sql->status != SQL_OK) ...
 *
 * A statement whose answer nobody needs at once is put off (sql_run_later): it goes to the server together
 * with the next one, in one round trip. Where one fails, those behind it are not run.
 *
 * A connection belongs to one thread. One query is open at a time: reading it to the end closes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/sql_address.h"
#include "proto/buffer.h"

enum sql_status {
    SQL_OK,
    SQL_RETRY,     /* somebody else was in the way (deadlock, lock wait, busy): the same again may work */
    SQL_LOST,      /* the connection is gone, or the database cannot write now: open a new one, later */
    SQL_REFUSED,   /* this statement, for a reason of its own */
    SQL_UNMATCHED, /* a statement affected another number of rows than it had to */
    SQL_FATAL,     /* opening: this login, this database, this file will not do */
};

enum sql_role {
    SQL_WRITER, /* short time limits, so that a frozen process loses its lock */
    SQL_LOADER, /* never writes; may read for long */
    SQL_READER, /* never writes; somebody waits for what it reads */
};

#define SQL_ERROR_SIZE 400
#define SQL_STATEMENT_BYTES (512u << 10) /* where the database allows more */

#define SQL_ANY -1 /* number of rows */

struct sql {
    const struct sql_driver *driver;
    enum sql_status status;
    char error[SQL_ERROR_SIZE]; /* the database's words for it, and what helps */
    int64_t affected;           /* rows that the last statement inserted, deleted, or found to update */
    int64_t insert_id; /* id of the first row that the last INSERT made; the next ones follow in steps of
                          id_step */
    int64_t id_step;
    size_t statement_bytes; /* one that grows row by row should not be longer */
    size_t n_done;          /* statements that succeeded since sql_begin(), the beginning counts */
    bool is_in_transaction; /* begun, and neither committed nor rolled back */
    bool may_be_committed;  /* sql_commit() failed in a way that leaves that open */

    bool takes_several; /* statements at once; where not, nothing is put off */
    struct {
        struct buffer text; /* ';' behind each */
        size_t n, capacity;
        struct sql_late *items; /* owned; one more tells where the statement behind them begins */
        bool is_expecting;      /* one of them has to affect a certain number of rows */
    } late;
};

/* A statement that was put off. */
struct sql_late {
    size_t begin;     /* in the text */
    int64_t expected; /* rows, or SQL_ANY */
};

/* What the two databases do differently. Functions never see a connection that has failed. The text of run()
 * and query() begins with the statements that were put off. */
struct sql_driver {
    const char *begin; /* starts a transaction that writes */
    const char
        *for_update;    /* at the end of a SELECT that locks its rows, leaving out those that others hold */
    const char *tables; /* query for the names of all tables */
    const char *upsert; /* "... ON DUPLICATE KEY UPDATE", printf with the key's columns */
    const char *new_value; /* printf with a column's name: what the INSERT would have stored there */
    bool has_fraction;     /* of a second, in its times */
    bool needs_ping;       /* a session that is silent for some seconds is closed */
    bool reuses_ids;       /* of rows that were deleted, so that an id alone tells nothing */

    struct sql *(*open)(const struct sql_address *address, enum sql_role role);
    void (*close)(struct sql *sql);
    void (*run)(struct sql *sql, const char *text, size_t size);
    void (*query)(struct sql *sql, const char *text, size_t size);
    bool (*next)(struct sql *sql); /* false: no more rows, or a failure; the query is closed then */
    bool (*is_null)(struct sql *sql, int column);
    int64_t (*get_int)(struct sql *sql, int column);
    double (*get_double)(struct sql *sql, int column);
    const char *(*get_bytes)(struct sql *sql, int column, size_t *size); /* valid until the next row */
    bool (*lock)(struct sql *sql);                                       /* see sql_lock() */
    void (*warn)(struct sql *sql);                         /* logs settings that weaken durability */
    void (*put_double)(struct buffer *out, double number); /* a finite literal that is stored bit by bit */
};

extern const struct sql_driver sql_mysql;
extern const struct sql_driver sql_sqlite;

/* Never NULL; `status` tells whether it worked. */
[[nodiscard]] struct sql *sql_open(const struct sql_address *address, enum sql_role role);
void sql_close(struct sql *sql); /* NULL is fine */

void sql_run(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sql_run_buffer(struct sql *sql, const struct buffer *text);
/* The same, at the latest with the next one that is run, queried or committed. */
void sql_run_later(struct sql *sql, int64_t expected, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sql_run_buffer_later(struct sql *sql, int64_t expected, const struct buffer *text);
void sql_run_late(struct sql *sql); /* what was put off, now */
void sql_query(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sql_next(struct sql *sql);
bool sql_is_null(struct sql *sql, int column);
int64_t sql_int(struct sql *sql, int column);      /* NULL is 0 */
double sql_double(struct sql *sql, int column);    /* NULL is NaN */
const char *sql_text(struct sql *sql, int column); /* NULL where it is NULL; valid until the next row */
const void *sql_blob(struct sql *sql, int column, size_t *size);
int64_t sql_time(struct sql *sql, int column); /* microseconds since 1970 UTC; NULL is 0 */

void sql_begin(struct sql *sql); /* with the first statement */
/* What had to affect a certain number of rows is known to have done so before the COMMIT is sent. */
void sql_commit(struct sql *sql);
/* Also after a failure, which stays. Where it fails itself the connection counts as lost: the next
 * transaction would commit this one. */
void sql_rollback(struct sql *sql);
void sql_forget(struct sql *sql); /* the failure; not one of a lost connection */
/* Says that the database is of no use now, for a reason that the caller found. */
void sql_fail(struct sql *sql, enum sql_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For drivers: a statement that had to affect so many rows has succeeded, and affected what stands in
 * `affected`. */
void sql_note_success(struct sql *sql, int64_t expected);

/* Takes the lock of this database's one owner for as long as the connection lives. True: it is ours. */
bool sql_lock(struct sql *sql);

/* Literals. */
void sql_put_text(struct buffer *out, const char *text);                       /* NULL is NULL; UTF-8 */
void sql_put_bytes(struct buffer *out, const void *bytes, size_t size);        /* NULL is NULL */
void sql_put_double(const struct sql *sql, struct buffer *out, double number); /* finite; -0.0 becomes 0.0 */
void sql_put_time(const struct sql *sql, struct buffer *out, int64_t time_us); /* 0 is NULL */
/* " ON DUPLICATE KEY UPDATE a=VALUES(a), ...": `columns` is a NULL-terminated list; one that begins with '?'
 * keeps its old value where the new one is NULL. */
void sql_put_upsert(const struct sql *sql, struct buffer *out, const char *key, const char *const *columns);
/* "(1,2,3)" */
void sql_put_ids(struct buffer *out, const int64_t *ids, size_t n);
