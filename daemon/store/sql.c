/* SPDX-License-Identifier: MIT */
/* What both kinds of connection share: the failure that sticks, and the text of literals. */
#include "daemon/store/sql.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/sql_time.h"
#include "proto/memory.h"

struct sql *sql_open(const struct sql_address *address, enum sql_role role)
{
    return address->driver->open(address, role);
}

void sql_close(struct sql *sql)
{
    if (!sql)
        return;
    buffer_deinit(&sql->late.text);
    free(sql->late.items);
    sql->late.items = NULL;
    sql->late.n = 0; /* the driver may still run something */
    sql->driver->close(sql);
}

__attribute__((format(printf, 2, 0), nonnull)) static void format_text(struct buffer *text,
                                                                       const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    buffer_reserve(text, 256);
    int size = vsnprintf(text->data, text->capacity, format, arguments);
    if ((size_t)size >= text->capacity) {
        buffer_reserve(text, (size_t)size + 1);
        vsnprintf(text->data, text->capacity, format, again);
    }
    text->size = (size_t)size;
    va_end(again);
}

void sql_run(struct sql *sql, const char *format, ...)
{
    if (sql->status != SQL_OK)
        return;
    BUFFER_AUTO struct buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    format_text(&text, format, arguments);
    va_end(arguments);
    sql_run_buffer(sql, &text);
}

/* ---- statements, those that were put off in front ---- */

static void drop_late(struct sql *sql)
{
    buffer_clear(&sql->late.text);
    sql->late.n = 0;
    sql->late.is_expecting = false;
}

/* Where the next statement begins; it counts only where it is put off. */
static void put_late(struct sql *sql, int64_t expected)
{
    if (sql->late.n == sql->late.capacity) {
        sql->late.capacity = sql->late.capacity ? 2 * sql->late.capacity : 16;
        sql->late.items = memory_resize(sql->late.items, sql->late.capacity, sizeof *sql->late.items);
    }
    sql->late.items[sql->late.n] = (struct sql_late){.begin = sql->late.text.size, .expected = expected};
}

static void make_room(struct sql *sql, size_t size)
{
    if (sql->late.text.size + size > sql->statement_bytes)
        sql_run_late(sql);
}

/* Hands the statement to the driver, behind those that were put off. */
static void send_text(struct sql *sql, void (*send)(struct sql *sql, const char *text, size_t size),
                      const struct buffer *text)
{
    make_room(sql, text->size);
    if (sql->status != SQL_OK)
        return;
    if (sql->late.n == 0) {
        send(sql, text->data, text->size);
        return;
    }
    put_late(sql, SQL_ANY);
    buffer_append(&sql->late.text, text->data, text->size);
    send(sql, sql->late.text.data, sql->late.text.size);
    drop_late(sql);
}

static void run_expecting(struct sql *sql, int64_t expected, const struct buffer *text)
{
    sql->affected = 0;
    sql->insert_id = 0;
    if (sql->status == SQL_OK)
        send_text(sql, sql->driver->run, text);
    if (sql->status == SQL_OK)
        sql_note_success(sql, expected);
}

void sql_note_success(struct sql *sql, int64_t expected)
{
    if (expected == SQL_ANY || sql->affected == expected)
        sql->n_done++;
    else
        sql_fail(sql, SQL_UNMATCHED, "%lld rows were affected, not %lld", (long long)sql->affected,
                 (long long)expected);
}

void sql_run_buffer(struct sql *sql, const struct buffer *text)
{
    run_expecting(sql, SQL_ANY, text);
}

void sql_run_buffer_later(struct sql *sql, int64_t expected, const struct buffer *text)
{
    if (!sql->takes_several) {
        run_expecting(sql, expected, text);
        return;
    }
    make_room(sql, text->size);
    if (sql->status != SQL_OK)
        return;
    put_late(sql, expected);
    sql->late.n++;
    sql->late.is_expecting |= expected != SQL_ANY;
    buffer_append(&sql->late.text, text->data, text->size);
    buffer_append_char(&sql->late.text, ';');
}

void sql_run_later(struct sql *sql, int64_t expected, const char *format, ...)
{
    if (sql->status != SQL_OK)
        return;
    BUFFER_AUTO struct buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    format_text(&text, format, arguments);
    va_end(arguments);
    sql_run_buffer_later(sql, expected, &text);
}

/* The last one goes as any other would behind those before it. */
void sql_run_late(struct sql *sql)
{
    if (sql->status != SQL_OK || sql->late.n == 0)
        return;
    int64_t expected = sql->late.items[--sql->late.n].expected;
    sql->driver->run(sql, sql->late.text.data, sql->late.text.size - 1);
    if (sql->status == SQL_OK)
        sql_note_success(sql, expected);
    drop_late(sql);
}

void sql_query(struct sql *sql, const char *format, ...)
{
    if (sql->status != SQL_OK)
        return;
    BUFFER_AUTO struct buffer text = {0};
    va_list arguments;
    va_start(arguments, format);
    format_text(&text, format, arguments);
    va_end(arguments);
    send_text(sql, sql->driver->query, &text);
    if (sql->status == SQL_OK)
        sql->n_done++;
}

bool sql_next(struct sql *sql)
{
    return sql->status == SQL_OK && sql->driver->next(sql);
}

bool sql_is_null(struct sql *sql, int column)
{
    return sql->driver->is_null(sql, column);
}

int64_t sql_int(struct sql *sql, int column)
{
    return sql->driver->is_null(sql, column) ? 0 : sql->driver->get_int(sql, column);
}

double sql_double(struct sql *sql, int column)
{
    return sql->driver->is_null(sql, column) ? NAN : sql->driver->get_double(sql, column);
}

const char *sql_text(struct sql *sql, int column)
{
    size_t size;
    return sql->driver->is_null(sql, column) ? NULL : sql->driver->get_bytes(sql, column, &size);
}

const void *sql_blob(struct sql *sql, int column, size_t *size)
{
    *size = 0;
    return sql->driver->is_null(sql, column) ? NULL : sql->driver->get_bytes(sql, column, size);
}

int64_t sql_time(struct sql *sql, int column)
{
    const char *text = sql_text(sql, column);
    return text ? sql_time_read(text) : 0;
}

void sql_begin(struct sql *sql)
{
    sql->n_done = 0;
    sql->is_in_transaction = true;
    sql_run_later(sql, SQL_ANY, "%s", sql->driver->begin);
}

void sql_commit(struct sql *sql)
{
    sql->may_be_committed = false;
    if (sql->late.is_expecting)
        sql_run_late(sql);
    if (sql->status != SQL_OK)
        return;
    size_t n_before = sql->n_done + sql->late.n;
    sql_run(sql, "COMMIT");
    sql->is_in_transaction = sql->status != SQL_OK;
    sql->may_be_committed = sql->status == SQL_LOST || (sql->status != SQL_OK && sql->n_done >= n_before);
}

void sql_rollback(struct sql *sql)
{
    bool has_begun = sql->is_in_transaction && sql->n_done > 0;
    sql->is_in_transaction = false;
    drop_late(sql);
    if (sql->status == SQL_LOST) /* the session is gone, and its transaction with it */
        return;
    struct sql failure = *sql;
    sql->status = SQL_OK;
    sql_run(sql, "ROLLBACK");
    if (sql->status != SQL_OK && has_begun)
        sql->status = SQL_LOST;
    if (sql->status == SQL_LOST || failure.status == SQL_OK)
        return;
    sql->status = failure.status;
    memcpy(sql->error, failure.error, sizeof sql->error);
}

void sql_forget(struct sql *sql)
{
    if (sql->status != SQL_LOST && sql->status != SQL_FATAL)
        sql->status = SQL_OK;
}

void sql_fail(struct sql *sql, enum sql_status status, const char *format, ...)
{
    if (sql->status != SQL_OK)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql->error, sizeof sql->error, format, arguments);
    va_end(arguments);
    sql->status = status;
}

bool sql_lock(struct sql *sql)
{
    return sql->status == SQL_OK && sql->driver->lock(sql);
}

/* ---- literals ---- */

void sql_put_text(struct buffer *out, const char *text)
{
    if (!text) {
        buffer_append_text(out, "NULL");
        return;
    }
    buffer_append_char(out, '\'');
    for (const char *quote; (quote = strchr(text, '\'')); text = quote + 1) {
        buffer_append(out, text, (size_t)(quote - text));
        buffer_append_text(out, "''");
    }
    buffer_append_text(out, text);
    buffer_append_char(out, '\'');
}

void sql_put_bytes(struct buffer *out, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    if (!bytes) {
        buffer_append_text(out, "NULL");
        return;
    }
    buffer_append_text(out, "x'");
    buffer_reserve(out, 2 * size + 2);
    const unsigned char *from = bytes;
    char *to = out->data + out->size;
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    out->size += 2 * size;
    buffer_append_char(out, '\'');
}

void sql_put_double(const struct sql *sql, struct buffer *out, double number)
{
    sql->driver->put_double(out, number == 0 ? 0.0 : number);
}

void sql_put_time(const struct sql *sql, struct buffer *out, int64_t time_us)
{
    char text[SQL_TIME_SIZE];
    if (time_us <= 0) {
        buffer_append_text(out, "NULL");
        return;
    }
    sql_time_format(text, time_us, sql->driver->has_fraction);
    sql_put_text(out, text);
}

void sql_put_upsert(const struct sql *sql, struct buffer *out, const char *key, const char *const *columns)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    buffer_printf(out, sql->driver->upsert, key);
    for (size_t i = 0; columns[i]; i++) {
        bool keeps = columns[i][0] == '?';
        const char *column = columns[i] + keeps;
        buffer_printf(out, keeps ? "%s%s=COALESCE(" : "%s%s=", i ? ", " : "", column);
        buffer_printf(out, sql->driver->new_value, column);
        if (keeps)
            buffer_printf(out, ", %s)", column);
    }
#pragma GCC diagnostic pop
}

void sql_put_ids(struct buffer *out, const int64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buffer_printf(out, "%c%lld", i ? ',' : '(', (long long)ids[i]);
    buffer_append_char(out, ')');
}
