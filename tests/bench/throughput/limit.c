/* SPDX-License-Identifier: MIT */
/*
 * The database's own limit: the rows that an ask and its tell leave, Optuna's and ours, written without
 * anybody asking, in multi-row statements, one transaction per batch of trials.
 *
 *   limit URL BATCH SECONDS TRANSACTIONS    says in JSON how many trials were committed
 *
 * TRANSACTIONS is 1: finished trials; or 2: running ones, then what finishes them, as whoever must answer an
 * ask before the tell comes. No studyd may own the database; it gets the schema, and the study's uid is its
 * id.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/store/known.h"
#include "daemon/store/owner.h"
#include "daemon/store/sql.h"
#include "daemon/store/sql_address.h"
#include "proto/buffer.h"

#define N_PARAMS 6
#define NOW_US 1700000000000000

static const char distribution[] = "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null, "
                                   "\"low\": 0.0, \"high\": 1.0, \"log\": false}}";

struct limit {
    struct sql *sql;
    struct owner owner;
    int64_t study_id, n_trials, seq;
    int batch;
    uint64_t random; /* the state of a generator */
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "limit: %s: %s\n", what, detail);
    exit(1);
}

/* Leases and outcomes; xorshift64. */
static uint64_t draw(struct limit *limit)
{
    limit->random ^= limit->random << 13;
    limit->random ^= limit->random >> 7;
    limit->random ^= limit->random << 17;
    return limit->random;
}

static double draw_real(struct limit *limit)
{
    return (double)(draw(limit) >> 11) * 0x1p-53;
}

static void put_random_bytes(struct limit *limit, struct buffer *out)
{
    uint64_t bytes[2] = {draw(limit), draw(limit)};
    sql_put_bytes(out, bytes, sizeof bytes);
}

/* ---- rows ---- */

static void put_trials(struct limit *limit, bool is_finished)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(
        &text, "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete) VALUES ");
    for (int i = 0; i < limit->batch; i++) {
        buffer_printf(&text, "%s(%lld,%lld,'%s',", i ? "," : "", (long long)(limit->n_trials + i),
                      (long long)limit->study_id, is_finished ? "COMPLETE" : "RUNNING");
        sql_put_time(limit->sql, &text, NOW_US);
        buffer_append_char(&text, ',');
        sql_put_time(limit->sql, &text, is_finished ? NOW_US : 0);
        buffer_append_char(&text, ')');
    }
    sql_run_buffer(limit->sql, &text);
}

static void put_params(struct limit *limit, int64_t first_id)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(
        &text, "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES ");
    for (int i = 0; i < limit->batch * N_PARAMS; i++) {
        buffer_printf(&text, "%s(%lld,'x%d',", i ? "," : "", (long long)(first_id + i / N_PARAMS),
                      i % N_PARAMS);
        sql_put_double(limit->sql, &text, draw_real(limit));
        buffer_printf(&text, ",'%s')", distribution);
    }
    sql_run_buffer(limit->sql, &text);
}

static void put_values(struct limit *limit, int64_t first_id)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(&text, "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES ");
    for (int i = 0; i < limit->batch; i++) {
        buffer_printf(&text, "%s(%lld,0,", i ? "," : "", (long long)(first_id + i));
        sql_put_double(limit->sql, &text, draw_real(limit));
        buffer_append_text(&text, ",'FINITE')");
    }
    sql_run_buffer(limit->sql, &text);
}

static void put_own(struct limit *limit, int64_t first_id, bool is_finished)
{
    BUFFER_AUTO struct buffer text = {0};
    buffer_append_text(
        &text, "INSERT INTO studyd_trials (uid, trial_id, attempt, retries, lease, sampled_seq, asked_seq, "
               "finished_seq, outcome, params) VALUES ");
    for (int i = 0; i < limit->batch; i++) {
        double params[N_PARAMS];
        for (int j = 0; j < N_PARAMS; j++)
            params[j] = draw_real(limit);
        buffer_printf(&text, "%s(x'%032llx',%lld,1,0,", i ? "," : "", (long long)limit->study_id,
                      (long long)(first_id + i));
        put_random_bytes(limit, &text);
        buffer_printf(&text, ",%lld,%lld,", (long long)limit->seq, (long long)limit->seq + 1);
        if (is_finished) {
            buffer_printf(&text, "%lld,", (long long)limit->seq + 2);
            put_random_bytes(limit, &text);
        } else {
            buffer_append_text(&text, "NULL,NULL");
        }
        buffer_append_char(&text, ',');
        sql_put_bytes(&text, params, sizeof params);
        buffer_append_char(&text, ')');
        limit->seq += 3;
    }
    sql_run_buffer(limit->sql, &text);
}

/* ---- transactions ---- */

static void begin(struct limit *limit)
{
    owner_begin(&limit->owner, limit->sql);
}

static void commit(struct limit *limit)
{
    sql_run(limit->sql, "UPDATE studyd_studies SET seq=%lld WHERE uid=x'%032llx'", (long long)limit->seq,
            (long long)limit->study_id);
    sql_commit(limit->sql);
    if (limit->sql->status != SQL_OK)
        give_up("commit", limit->sql->error);
}

static void finish_trials(struct limit *limit, int64_t first_id)
{
    long long last_id = (long long)first_id + limit->batch - 1;
    sql_run(limit->sql,
            "UPDATE trials SET state='COMPLETE', datetime_complete=datetime_start WHERE trial_id BETWEEN "
            "%lld AND %lld",
            (long long)first_id, last_id);
    sql_run(limit->sql,
            "UPDATE studyd_trials SET finished_seq=%lld, outcome=x'%032llx' WHERE uid=x'%032llx' AND "
            "trial_id BETWEEN %lld AND "
            "%lld",
            (long long)limit->seq, (unsigned long long)draw(limit), (long long)limit->study_id,
            (long long)first_id, last_id);
}

static void put_batch(struct limit *limit, bool is_split)
{
    begin(limit);
    put_trials(limit, !is_split);
    int64_t first_id = limit->sql->insert_id;
    put_own(limit, first_id, !is_split);
    put_params(limit, first_id);
    if (is_split) {
        commit(limit);
        begin(limit);
        finish_trials(limit, first_id);
    }
    put_values(limit, first_id);
    commit(limit);
    limit->n_trials += limit->batch;
}

static void make_study(struct limit *limit)
{
    char who[OWNER_WHO_SIZE];
    if (limit->sql->status != SQL_OK || owner_take(&limit->owner, limit->sql, who) != OWNER_MINE)
        give_up("cannot take the database", limit->sql->error);
    sql_run(limit->sql, "INSERT INTO studies (study_name) VALUES ('limit %lld')",
            (long long)limit->owner.epoch);
    limit->study_id = limit->sql->insert_id;
    sql_run(limit->sql,
            "INSERT INTO studyd_studies (uid, study_id, state, seq) VALUES (x'%032llx',%lld,'running',0)",
            (long long)limit->study_id, (long long)limit->study_id);
    if (limit->sql->status != SQL_OK)
        give_up("cannot make a study", limit->sql->error);
}

int main(int argc, char **argv)
{
    struct limit limit = {.seq = 1, .random = 88172645463325252};
    struct sql_address address;
    struct problem problem = {0};
    if (argc != 5)
        give_up("usage", "limit URL BATCH SECONDS TRANSACTIONS");
    limit.batch = atoi(argv[2]);
    double limit_s = strtod(argv[3], NULL);
    int n_transactions = atoi(argv[4]);
    if (limit.batch < 1 || limit.batch > 1000 || !(limit_s > 0) || n_transactions < 1 || n_transactions > 2)
        give_up("usage", "BATCH is 1 to 1000, SECONDS above 0, TRANSACTIONS 1 or 2");
    if (sql_address_read(&address, argv[1], NULL, &problem) < 0)
        give_up(argv[1], problem.detail);
    limit.sql = sql_open(&address, SQL_WRITER);
    make_study(&limit);
    double begin_s = now_s(), seconds = 0;
    while (seconds < limit_s) {
        put_batch(&limit, n_transactions == 2);
        seconds = now_s() - begin_s;
    }
    printf("{\"trials\": %lld, \"seconds\": %.6f}\n", (long long)limit.n_trials, seconds);
    sql_close(limit.sql);
    sql_address_deinit(&address);
    return 0;
}
