/* SPDX-License-Identifier: MIT */
/* Takes and keeps the ownership of the database. */
#include "daemon/store/owner.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/schema.h"

/* There may be no table yet while another one is creating them. */
static void read_who(struct sql *sql, char who[OWNER_WHO_SIZE])
{
    snprintf(who, OWNER_WHO_SIZE, "somebody");
    sql_query(sql, "SELECT host, pid FROM studyd_owner");
    while (sql_next(sql))
        snprintf(who, OWNER_WHO_SIZE, "%s pid %lld", sql_text(sql, 0), (long long)sql_int(sql, 1));
    sql_forget(sql);
}

static void raise_epoch(struct owner *owner, struct sql *sql)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    BUFFER_AUTO struct buffer quoted = {0};
    sql_put_text(&quoted, host);

    sql_begin(sql);
    sql_run(sql, "UPDATE studyd_owner SET epoch = epoch + 1, batch = 0, host = %s, pid = %lld WHERE id = 1",
            buffer_text(&quoted), (long long)getpid());
    if (sql->affected == 0)
        sql_run(sql, "INSERT INTO studyd_owner (id, epoch, batch, host, pid) VALUES (1, 1, 0, %s, %lld)",
                buffer_text(&quoted), (long long)getpid());
    int64_t epoch = 0;
    sql_query(sql, "SELECT epoch FROM studyd_owner WHERE id = 1");
    while (sql_next(sql))
        epoch = sql_int(sql, 0);
    sql_commit(sql);
    if (sql->status == SQL_OK)
        *owner = (struct owner){.epoch = epoch};
}

/* Is the epoch still ours? Reads `batch`. */
static enum owner_result check_epoch(struct owner *owner, struct sql *sql)
{
    int64_t epoch = 0, batch = 0;
    sql_query(sql, "SELECT epoch, batch FROM studyd_owner WHERE id = 1");
    while (sql_next(sql)) {
        epoch = sql_int(sql, 0);
        batch = sql_int(sql, 1);
    }
    if (sql->status != SQL_OK)
        return OWNER_FAILED;
    if (epoch != owner->epoch)
        return OWNER_DEPOSED;
    owner->batch = batch;
    return OWNER_MINE;
}

enum owner_result owner_take(struct owner *owner, struct sql *sql, char who[OWNER_WHO_SIZE])
{
    bool is_ours = sql_lock(sql);
    if (sql->status != SQL_OK)
        return OWNER_FAILED;
    if (!is_ours) {
        if (owner->epoch && check_epoch(owner, sql) == OWNER_DEPOSED)
            return OWNER_DEPOSED;
        read_who(sql, who);
        return sql->status == SQL_OK ? OWNER_OTHER : OWNER_FAILED;
    }
    if (owner->epoch)
        return check_epoch(owner, sql);
    schema_ensure(sql);
    raise_epoch(owner, sql);
    return sql->status == SQL_OK ? OWNER_MINE : OWNER_FAILED;
}

void owner_begin(const struct owner *owner, struct sql *sql)
{
    sql_begin(sql);
    sql_run_later(sql, 1, "UPDATE studyd_owner SET batch = batch + 1 WHERE epoch = %lld",
                  (long long)owner->epoch);
}

bool owner_has_begun(const struct sql *sql)
{
    return sql->n_done >= 2;
}

bool owner_is_deposed(const struct sql *sql)
{
    return sql->status == SQL_UNMATCHED && !owner_has_begun(sql);
}
