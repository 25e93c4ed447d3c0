/* SPDX-License-Identifier: MIT */
/*
 * Connections to MySQL and MariaDB, through either client library (MariaDB Connector/C or Oracle's
 * libmysqlclient).
 *
 * Blocking calls with time limits, never in the loop thread. The session speaks UTC, is strict, and takes a
 * backslash as what it is, so that both databases quote alike.
 */
#include <mysql.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/sql.h"
#include "proto/json_write.h"
#include "proto/log.h"
#include "proto/memory.h"

#define CONNECT_TIMEOUT_S 3
#define ANSWER_TIMEOUT_S 10
#define LOADER_TIMEOUT_S 60
#define IDLE_TIMEOUT_S 4 /* of the writer: a frozen owner loses its lock */
#define HEAD_SIZE 100    /* of a statement, at most: so much says what it was about */

struct sql_mysql {
    struct sql sql; /* first member */
    MYSQL *mysql;
    MYSQL_RES *result; /* of the open query */
    MYSQL_ROW row;
    unsigned long *sizes;
    bool has_lock;
    size_t max_bytes; /* of a statement; 0: not known yet */
    char *database;   /* its name, for remedies */
};

/* Errors that are not about the statement. Those of the client (2000 to 2999) mean a lost connection but for
 * one: what the library lacks it will not have after a while. */
static const struct {
    unsigned code;
    enum sql_status status;
} errors[] = {
    {1213, SQL_RETRY},   /* deadlock */
    {1205, SQL_RETRY},   /* lock wait timeout */
    {1020, SQL_RETRY},   /* record has changed since last read */
    {1317, SQL_RETRY},   /* query was interrupted */
    {3, SQL_LOST},       /* error writing file */
    {28, SQL_LOST},      /* no space left on device */
    {1021, SQL_LOST},    /* disk full */
    {1026, SQL_LOST},    /* error writing file */
    {1030, SQL_LOST},    /* error from the storage engine */
    {1040, SQL_LOST},    /* too many connections */
    {1053, SQL_LOST},    /* server shutdown in progress */
    {1114, SQL_LOST},    /* table is full */
    {1158, SQL_LOST},    /* error reading from the network */
    {1159, SQL_LOST},    /* timeout reading */
    {1160, SQL_LOST},    /* error writing to the network */
    {1161, SQL_LOST},    /* timeout writing */
    {1203, SQL_LOST},    /* too many connections of this user */
    {1290, SQL_LOST},    /* server runs with --read-only */
    {1792, SQL_LOST},    /* read-only transaction */
    {1836, SQL_LOST},    /* read-only mode */
    {1927, SQL_LOST},    /* connection was killed (MariaDB) */
    {3169, SQL_LOST},    /* session was killed (MySQL) */
    {4031, SQL_LOST},    /* disconnected for inactivity (MySQL) */
    {2059, SQL_REFUSED}, /* the account's way of logging in is not in this library */
};

/* What helps against an error at a statement that begins so: the database's name stands between the two
 * texts. */
#define GRANT "; an administrator must GRANT SELECT, INSERT, UPDATE, DELETE ON `"
#define LOGIN_FROM \
    "; the password is that of --password-file, else that of the URL, mysql://user:PASSWORD@host/"
#define LOGIN_OF "; CREATE USER must have made this user for this host"
static const struct {
    unsigned code;
    const char *statement, *before, *after;
} remedies[] = {
    {1044, "", GRANT, "`.* TO this user, and CREATE DATABASE it first where there is none"},
    {1142, "CREATE", "; an administrator must GRANT CREATE, REFERENCES ON `",
     "`.* TO this user for the first start, or make the tables that `studyd --print-schema` prints"},
    {1142, "", GRANT, "`.* TO this user"},
    {1045, "", LOGIN_FROM, LOGIN_OF},
    {1698, "", LOGIN_FROM, LOGIN_OF},
    {2059, "", "; the account for `",
     "` logs in by a plugin that this client library lacks: install it, or ALTER USER to another one"},
    {1049, "", "; an administrator must first CREATE DATABASE `",
     "` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"},
    {1114, "", "; that is what it says when its disk is full: make room where `", "` lies"},
};

static struct sql_mysql *self(struct sql *sql)
{
    return (struct sql_mysql *)sql;
}

static enum sql_status classify(unsigned code)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].code == code)
            return errors[i].status;
    return code >= 2000 && code <= 2999 ? SQL_LOST : SQL_REFUSED;
}

/* Without what is stored: /readyz says it to everybody. */
static int head_size(const char *statement)
{
    size_t size = strcspn(statement, "('=;");
    return size < HEAD_SIZE ? (int)size : HEAD_SIZE;
}

/* `statement` is empty while the connection is being opened. */
static void note_error(struct sql *sql, const char *statement)
{
    unsigned code = mysql_errno(self(sql)->mysql);
    const char *before = "", *database = "", *after = "";
    if (*statement && classify(code) == SQL_RETRY) {
        sql_fail(
            sql, SQL_RETRY,
            "%s (error %u) at %.*s...; another session holds a lock: look for it in SHOW PROCESSLIST and "
            "information_schema.INNODB_TRX, KILL ends it",
            mysql_error(self(sql)->mysql), code, head_size(statement), statement);
        return;
    }
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies && !*before; i++)
        if (remedies[i].code == code &&
            strncmp(statement, remedies[i].statement, strlen(remedies[i].statement)) == 0) {
            before = remedies[i].before;
            database = self(sql)->database;
            after = remedies[i].after;
        }
    sql_fail(sql, classify(code), "%s (error %u)%s%s%s", mysql_error(self(sql)->mysql), code, before,
             database, after);
}

/* 0, or -1: the server would end the connection, and so again at the next try. */
static int check_size(struct sql *sql, size_t size)
{
    size_t max_bytes = self(sql)->max_bytes;
    if (max_bytes == 0 || size < max_bytes)
        return 0;
    sql_fail(sql, SQL_REFUSED,
             "a statement of %zu bytes is longer than the server's max_allowed_packet (%zu); SET GLOBAL "
             "max_allowed_packet = 16777216",
             size, max_bytes);
    return -1;
}

/* Takes what the server says to the statements that were put off. An error ends what it says; where one did
 * not affect what it had to, those behind it are still answered. False: there is no answer to the last one.
 */
static bool take_late(struct sql *sql, const char *text)
{
    MYSQL *mysql = self(sql)->mysql;
    for (size_t i = 0; i < sql->late.n; i++) {
        sql->affected = (int64_t)mysql_affected_rows(mysql);
        if (sql->status == SQL_OK)
            sql_note_success(sql, sql->late.items[i].expected);
        if (mysql_next_result(mysql) != 0) {
            note_error(sql, text + sql->late.items[i + 1].begin);
            return false;
        }
    }
    return true;
}

/* Sends it all. False: there is no answer to the last statement. */
static bool send_all(struct sql *sql, const char *text, size_t size)
{
    if (check_size(sql, size) < 0)
        return false;
    if (mysql_real_query(self(sql)->mysql, text, (unsigned long)size) == 0)
        return take_late(sql, text);
    note_error(sql, text);
    return false;
}

static void run(struct sql *sql, const char *text, size_t size)
{
    MYSQL *mysql = self(sql)->mysql;
    if (!send_all(sql, text, size))
        return;
    sql->affected = (int64_t)mysql_affected_rows(mysql);
    sql->insert_id = (int64_t)mysql_insert_id(mysql);
}

static void query(struct sql *sql, const char *text, size_t size)
{
    struct sql_mysql *connection = self(sql);
    if (connection->result) /* of a query that was left before its end */
        mysql_free_result(connection->result);
    connection->result = NULL;
    if (!send_all(sql, text, size))
        return;
    connection->result = mysql_store_result(connection->mysql);
    if (!connection->result)
        note_error(sql, text);
}

static bool next(struct sql *sql)
{
    struct sql_mysql *connection = self(sql);
    connection->row = mysql_fetch_row(connection->result);
    if (connection->row) {
        connection->sizes = mysql_fetch_lengths(connection->result);
        return true;
    }
    mysql_free_result(connection->result);
    connection->result = NULL;
    return false;
}

static bool is_null(struct sql *sql, int column)
{
    return !self(sql)->row[column];
}

static int64_t get_int(struct sql *sql, int column)
{
    return strtoll(self(sql)->row[column], NULL, 10);
}

static double get_double(struct sql *sql, int column)
{
    return strtod(self(sql)->row[column], NULL);
}

static const char *get_bytes(struct sql *sql, int column, size_t *size)
{
    *size = self(sql)->sizes[column];
    return self(sql)->row[column];
}

/* With an exponent it is a DOUBLE to the server from the start, never a DECIMAL. */
static void put_double(struct buffer *out, double number)
{
    char text[JSON_NUMBER_SIZE];
    json_format_double(text, number);
    buffer_append_text(out, text);
    if (!strchr(text, 'e'))
        buffer_append_text(out, "e0");
}

/* The lock is the server's, so its name holds the database's (names have at most 64 characters; MySQL 9.6 and
 * later have no MD5() and no SHA1()). */
#define LOCK_NAME "CONCAT('studyd:', IF(CHAR_LENGTH(DATABASE()) <= 57, DATABASE(), SHA2(DATABASE(), 224)))"

static bool lock(struct sql *sql)
{
    sql_query(sql, "SELECT GET_LOCK(" LOCK_NAME ", 0)");
    while (sql_next(sql))
        self(sql)->has_lock = sql_int(sql, 0) == 1;
    return self(sql)->has_lock;
}

static void warn(struct sql *sql)
{
    sql_query(sql, "SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog");
    while (sql_next(sql)) {
        if (sql_int(sql, 0) != 1)
            log_warning("the database may lose acknowledged trials in a crash: "
                        "innodb_flush_log_at_trx_commit is %lld, set it to 1",
                        (long long)sql_int(sql, 0));
        if (sql_int(sql, 1) != 0 && sql_int(sql, 2) != 1)
            log_warning("the database's binary log may lose acknowledged trials in a crash: "
                        "sync_binlog is %lld, set it to 1",
                        (long long)sql_int(sql, 2));
    }
}

static void set_session(struct sql *sql, enum sql_role role)
{
    sql_run(sql,
            "SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 1, lock_wait_timeout = 1, "
            "autocommit = 1, sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION'");
    sql_run(sql,
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"); /* whatever the server's default is */
    if (role == SQL_WRITER)
        sql_run(sql, "SET SESSION wait_timeout = %d", IDLE_TIMEOUT_S);
    sql_query(sql, "SELECT @@auto_increment_increment, @@max_allowed_packet");
    while (sql_next(sql)) {
        sql->id_step = sql_int(sql, 0);
        self(sql)->max_bytes = (size_t)sql_int(sql, 1);
        sql->statement_bytes =
            self(sql)->max_bytes / 2 < SQL_STATEMENT_BYTES ? self(sql)->max_bytes / 2 : SQL_STATEMENT_BYTES;
    }
}

static void set_options(MYSQL *mysql, const struct sql_address *address, enum sql_role role)
{
    unsigned connect_s = CONNECT_TIMEOUT_S;
    unsigned timeout_s = role == SQL_LOADER ? LOADER_TIMEOUT_S : ANSWER_TIMEOUT_S;
    unsigned tcp = MYSQL_PROTOCOL_TCP;
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &timeout_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &timeout_s);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (address->port && !address->socket) /* "localhost" with a port is no socket */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void init_library(void)
{
    if (mysql_library_init(0, NULL, NULL) != 0)
        log_error("the MySQL client library does not start");
}

static struct sql *open_mysql(const struct sql_address *address, enum sql_role role)
{
    pthread_once(&library_once, init_library); /* mysql_init() alone is not safe in two threads at once */
    struct sql_mysql *connection = memory_new(sizeof *connection);
    struct sql *sql = &connection->sql;
    sql->driver = &sql_mysql;
    connection->database = memory_strdup(address->database);
    connection->mysql = mysql_init(NULL);
    if (!connection->mysql) {
        sql_fail(sql, SQL_LOST, "out of memory");
        return sql;
    }
    set_options(connection->mysql, address, role);
    const char *host = address->host ? address->host : "localhost";
    sql->takes_several = role == SQL_WRITER;
    if (mysql_real_connect(connection->mysql, host, address->user, address->password, address->database,
                           address->port, address->socket,
                           CLIENT_FOUND_ROWS | (sql->takes_several ? CLIENT_MULTI_STATEMENTS : 0))) {
        set_session(sql, role);
        return sql;
    }
    note_error(sql, "");
    if (sql->status != SQL_LOST) /* refused login, unknown database, ... */
        sql->status = SQL_FATAL;
    return sql;
}

static void close_mysql(struct sql *sql)
{
    struct sql_mysql *connection = self(sql);
    if (connection->result)
        mysql_free_result(connection->result);
    if (connection->has_lock && sql->status == SQL_OK) /* the server may end the session later than we do */
        sql_run(sql, "DO RELEASE_LOCK(" LOCK_NAME ")");
    if (connection->mysql)
        mysql_close(connection->mysql);
    free(connection->database);
    free(connection);
}

const struct sql_driver sql_mysql = {
    .begin = "START TRANSACTION",
    .for_update = " FOR UPDATE SKIP LOCKED",
    .tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
    .upsert = " ON DUPLICATE KEY UPDATE %.0s", /* any unique key: the columns need not be named */
    .new_value = "VALUES(%s)",
    .needs_ping = true,
    .open = open_mysql,
    .close = close_mysql,
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
