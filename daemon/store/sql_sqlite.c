/* SPDX-License-Identifier: MIT */
/* Connections to a SQLite file: write-ahead log, each commit on disk before it returns, one owner by a lock
 * file beside it. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/sql.h"
#include "proto/memory.h"

#define BUSY_TIMEOUT_MS 1000

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "doubles are stored as little-endian bytes");

struct sql_sqlite {
    struct sql sql; /* first member */
    sqlite3 *db;
    sqlite3_stmt *query;
    char *path;
    int lock_fd; /* -1: not locked */
};

static struct sql_sqlite *self(struct sql *sql)
{
    return (struct sql_sqlite *)sql;
}

static enum sql_status classify(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return SQL_RETRY;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return SQL_LOST;
    default:
        return SQL_REFUSED;
    }
}

static void note_error(struct sql *sql)
{
    sqlite3 *db = self(sql)->db;
    enum sql_status status = classify(sqlite3_errcode(db));
    if (status == SQL_RETRY)
        sql_fail(sql, status,
                 "%s (SQLite error %d); another process is writing to it: `fuser %s` names those that have "
                 "it open",
                 sqlite3_errmsg(db), sqlite3_extended_errcode(db), self(sql)->path);
    else
        sql_fail(sql, status, "%s (SQLite error %d)", sqlite3_errmsg(db), sqlite3_extended_errcode(db));
}

/* Who opens the path would not find what goes to a file that is not there any more. True: that is so. */
static bool is_moved(struct sql *sql)
{
    int is_moved = 0;
    sqlite3_file_control(self(sql)->db, "main", SQLITE_FCNTL_HAS_MOVED, &is_moved);
    if (is_moved)
        sql_fail(
            sql, SQL_RETRY,
            "%s was moved, removed or replaced while studyd has it open; put it back, or stop studyd and "
            "start it on the one that is to be used",
            self(sql)->path);
    return is_moved;
}

static void run(struct sql *sql, const char *text, size_t size)
{
    sqlite3 *db = self(sql)->db;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_get_autocommit(db) && is_moved(sql)) /* a transaction begins */
        return;
    int result = sqlite3_prepare_v2(db, text, (int)size, &statement, NULL);
    while (result == SQLITE_OK || result == SQLITE_ROW)
        result = sqlite3_step(statement);
    if (result != SQLITE_DONE) {
        note_error(sql);
    } else {
        sql->affected = sqlite3_changes(db);
        sql->insert_id = sqlite3_last_insert_rowid(db) - sql->affected + 1; /* it names the last row */
    }
    sqlite3_finalize(statement);
}

static void query(struct sql *sql, const char *text, size_t size)
{
    sqlite3_finalize(self(sql)->query); /* one that was left before its end */
    self(sql)->query = NULL;
    if (sqlite3_prepare_v2(self(sql)->db, text, (int)size, &self(sql)->query, NULL) != SQLITE_OK)
        note_error(sql);
}

static bool next(struct sql *sql)
{
    struct sql_sqlite *connection = self(sql);
    int result = sqlite3_step(connection->query);
    if (result == SQLITE_ROW)
        return true;
    if (result != SQLITE_DONE)
        note_error(sql);
    sqlite3_finalize(connection->query);
    connection->query = NULL;
    return false;
}

static bool is_null(struct sql *sql, int column)
{
    return sqlite3_column_type(self(sql)->query, column) == SQLITE_NULL;
}

static int64_t get_int(struct sql *sql, int column)
{
    return sqlite3_column_int64(self(sql)->query, column);
}

static double get_double(struct sql *sql, int column)
{
    return sqlite3_column_double(self(sql)->query, column);
}

static const char *get_bytes(struct sql *sql, int column, size_t *size)
{
    sqlite3_stmt *statement = self(sql)->query;
    const char *bytes = sqlite3_column_type(statement, column) == SQLITE_BLOB
                            ? sqlite3_column_blob(statement, column)
                            : (const char *)sqlite3_column_text(statement, column);
    *size = (size_t)sqlite3_column_bytes(statement, column);
    return bytes ? bytes : ""; /* an empty blob is NULL to SQLite */
}

/* SQLite's own reading of decimal text may be off by a bit. */
static void put_double(struct buffer *out, double number)
{
    buffer_append_text(out, "double_of(");
    sql_put_bytes(out, &number, sizeof number);
    buffer_append_char(out, ')');
}

static void double_of(sqlite3_context *context, int n_arguments, sqlite3_value **arguments)
{
    double number;
    if (n_arguments != 1 || sqlite3_value_bytes(arguments[0]) != sizeof number) {
        sqlite3_result_error(context, "double_of() takes eight bytes", -1);
        return;
    }
    memcpy(&number, sqlite3_value_blob(arguments[0]), sizeof number);
    sqlite3_result_double(context, number);
}

/* The lock dies with the process or the connection. The file stays: removing it would race with the next
 * owner. */
static bool lock(struct sql *sql)
{
    struct sql_sqlite *connection = self(sql);
    if (connection->lock_fd < 0) {
        BUFFER_AUTO struct buffer path = {0};
        buffer_printf(&path, "%s.lock", connection->path);
        connection->lock_fd = open(buffer_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (connection->lock_fd < 0) {
            sql_fail(sql, SQL_LOST, "%s: %s", buffer_text(&path), strerror(errno));
            return false;
        }
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(connection->lock_fd, F_OFD_SETLK, &whole) == 0)
        return true;
    if (errno != EAGAIN && errno != EACCES)
        sql_fail(sql, SQL_LOST, "%s.lock cannot be locked: %s (a network file system?)", connection->path,
                 strerror(errno));
    return false;
}

static void warn(struct sql *sql)
{
    (void)sql; /* open_sqlite() sets what durability needs */
}

static void set_session(struct sql *sql, enum sql_role role)
{
    struct sql_sqlite *connection = self(sql);
    sqlite3_busy_timeout(connection->db, BUSY_TIMEOUT_MS);
    sqlite3_create_function(connection->db, "double_of", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                            double_of, NULL, NULL);
    if (role == SQL_WRITER) {
        sql_query(sql, "PRAGMA journal_mode = WAL");
        while (sql_next(sql))
            if (strcmp(sql_text(sql, 0), "wal") != 0)
                sql_fail(sql, SQL_FATAL, "%s: no write-ahead log there (a network file system?)",
                         connection->path);
    } else {
        sql_run(sql, "PRAGMA query_only = ON");
    }
    sql_run(sql, "PRAGMA synchronous = FULL");
    sql_run(sql, "PRAGMA foreign_keys = ON");
}

/* SQLite names only the file that it cannot open, where more often the directory is at fault. */
static void explain_directory(struct sql *sql)
{
    struct sql_sqlite *connection = self(sql);
    const char *slash = strrchr(connection->path, '/');
    size_t size = slash == connection->path ? 1 : slash ? (size_t)(slash - connection->path) : 0;
    MEMORY_AUTO char *directory = size ? memory_strndup(connection->path, size) : memory_strdup(".");
    if (eaccess(directory, W_OK) == 0)
        return;
    int system_error = errno;
    sql->status = SQL_OK; /* the better words replace SQLite's */
    if (system_error == ENOENT)
        sql_fail(sql, SQL_FATAL, "the directory %s does not exist", directory);
    else
        sql_fail(sql, SQL_FATAL, "the directory %s cannot be written by this user: %s", directory,
                 strerror(system_error));
}

/* A backup that root has put back, say: SQLite opens it for reading, and fails at some later change. Not so
 * where the file system is read-only for a while: that is waited for. */
static void check_file(struct sql *sql)
{
    const char *path = self(sql)->path;
    if (sqlite3_db_readonly(self(sql)->db, "main") != 1 || eaccess(path, W_OK) == 0 || errno != EACCES)
        return;
    sql->status = SQL_OK; /* the better words replace SQLite's */
    sql_fail(
        sql, SQL_FATAL,
        "the file %s cannot be written by this user; chown it, and those beside it (%s-wal, -shm, .lock)",
        path, path);
}

static struct sql *open_sqlite(const struct sql_address *address, enum sql_role role)
{
    struct sql_sqlite *connection = memory_new(sizeof *connection);
    struct sql *sql = &connection->sql;
    sql->driver = &sql_sqlite;
    sql->id_step = 1;
    sql->statement_bytes = SQL_STATEMENT_BYTES;
    connection->lock_fd = -1;
    connection->path = memory_strdup(address->path);
    /* One thread has the connection: it needs no mutex, which each column that is read would take. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (role == SQL_WRITER ? SQLITE_OPEN_CREATE : 0);
    if (sqlite3_open_v2(address->path, &connection->db, flags, NULL) == SQLITE_OK) {
        set_session(sql, role);
        check_file(sql);
    } else {
        int system_error = sqlite3_system_errno(connection->db);
        sql_fail(sql, SQL_FATAL, "%s: %s", address->path,
                 system_error ? strerror(system_error) : sqlite3_errmsg(connection->db));
    }
    if (sql->status != SQL_OK && (sqlite3_errcode(connection->db) & 0xff) == SQLITE_CANTOPEN)
        explain_directory(sql);
    if (sql->status == SQL_LOST) /* a file of another kind, one that cannot be written */
        sql->status = SQL_FATAL;
    return sql;
}

static void close_sqlite(struct sql *sql)
{
    struct sql_sqlite *connection = self(sql);
    sqlite3_finalize(connection->query);
    sqlite3_close(connection->db);
    if (connection->lock_fd >= 0)
        close(connection->lock_fd);
    free(connection->path);
    free(connection);
}

const struct sql_driver sql_sqlite = {
    .begin = "BEGIN IMMEDIATE",
    .for_update = "", /* BEGIN IMMEDIATE has locked all there is */
    .tables = "SELECT name FROM sqlite_master WHERE type = 'table'",
    .upsert = " ON CONFLICT(%s) DO UPDATE SET ",
    .new_value = "excluded.%s",
    .has_fraction = true,
    .reuses_ids = true,
    .open = open_sqlite,
    .close = close_sqlite,
    .run = run,
    .query = query,
    .next = next,
    .is_null = is_null,
    .get_int = get_int,
    .get_double = get_double,
    .get_bytes = get_bytes,
    .lock = lock,
    .warn = warn,
    .put_double = put_double,
};
