/* SPDX-License-Identifier: MIT */
/* Writes the status page: studies with their progress, workers, the store. */
#include "daemon/http/status_page.h"

#include <stdio.h>
#include <time.h>

#include "daemon/http/text_table.h"
#include "proto/memory.h"

#define SECOND_US 1000000LL

/* ---- times ---- */

static const struct {
    const char *name;
    int64_t seconds;
} units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
enum { N_UNITS = sizeof units / sizeof units[0] };

void status_format_age(int64_t since_us, int64_t now_us, char text[STATUS_TIME_SIZE])
{
    int64_t seconds = now_us > since_us ? (now_us - since_us) / SECOND_US : 0;
    int unit = 0;

    text[0] = '\0';
    if (since_us <= 0)
        return;
    while (unit < N_UNITS - 1 && seconds < 2 * units[unit].seconds)
        unit++;
    snprintf(text, STATUS_TIME_SIZE, "%lld %s", (long long)(seconds / units[unit].seconds), units[unit].name);
}

void status_format_rate(int64_t count, int64_t since_us, int64_t now_us, char text[STATUS_TIME_SIZE])
{
    double per_second = now_us > since_us ? (double)count / ((double)(now_us - since_us) / SECOND_US) : 0;
    int unit = N_UNITS - 1;

    text[0] = '\0';
    if (since_us <= 0 || per_second <= 0)
        return;
    while (unit > 0 && per_second * (double)units[unit].seconds < 1)
        unit--;

    double rate = per_second * (double)units[unit].seconds;

    snprintf(text, STATUS_TIME_SIZE, rate < 100 ? "%.3g/%s" : "%.0f/%s", rate, units[unit].name);
}

/* ---- studies ---- */

static void add_best(const struct study *study, struct text_table *table)
{
    struct trial_view view;
    int64_t number;
    size_t n = study_best(study, 1, &number);

    if (n == 0 || study_get_trial(study, number, &view))
        text_table_add(table, "%s", "");
    else if (study_spec(study)->n_directions > 1)
        text_table_add(table, "%zu in front", n);
    else
        text_table_add(table, "%.6g", view.values[0]);
}

static void add_study(const struct study *study, int64_t now_us, struct text_table *table)
{
    const int64_t *counts = study_counts(study);
    int64_t done = counts[TRIAL_COMPLETE] + counts[TRIAL_PRUNED] + counts[TRIAL_FAIL];
    int64_t total = study_spec(study)->max_trials, first_ask_us = study_first_ask_us(study);
    char rate[STATUS_TIME_SIZE], age[STATUS_TIME_SIZE];

    status_format_rate(study_state(study) == STUDY_RUNNING ? done : 0, first_ask_us, now_us, rate);
    status_format_age(first_ask_us, now_us, age);
    text_table_add(table, "%s", study_name(study));
    text_table_add(table, "%s", study_state_names[study_state(study)]);
    if (total >= 0)
        text_table_add(table, "%lld/%lld", (long long)done, (long long)total);
    else
        text_table_add(table, "%lld", (long long)done);
    text_table_add(table, "%lld", (long long)counts[TRIAL_RUNNING]);
    text_table_add(table, "%lld", (long long)counts[TRIAL_WAITING]);
    text_table_add(table, "%lld", (long long)counts[TRIAL_FAIL]);
    add_best(study, table);
    text_table_add(table, "%s", rate);
    text_table_add(table, "%s", age);
}

static void add_head(struct text_table *table, const char *const *titles)
{
    for (size_t i = 0; i < table->n_columns; i++)
        text_table_add(table, "%s", titles[i]);
}

static void put_table(const struct text_table *table, const char *route, struct buffer *out)
{
    text_table_put(table, out);
    if (table->n_cut)
        buffer_printf(out, "(names of more than %d characters are cut; %s has them whole)\n",
                      TEXT_TABLE_MAX_WIDTH, route);
}

static void put_studies(const struct request *request, int64_t now_us, struct buffer *out)
{
    static const char *const titles[] = {"STUDY",  "STATE", "DONE", "RUNNING",  "WAITING",
                                         "FAILED", "BEST",  "RATE", "FIRST ASK"};
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 9, .right = 0x1fc};
    const struct studies *studies = request->context->studies;
    size_t n = 0;

    add_head(&table, titles);
    for (size_t i = 0; i < studies_count(studies); i++) {
        if (!request_sees(request, study_name(studies_get(studies, i))))
            continue;
        add_study(studies_get(studies, i), now_us, &table);
        n++;
    }
    if (n == 0)
        buffer_append_text(out, "no studies yet; POST /v1/studies creates one\n");
    else
        put_table(&table, "GET /v1/studies", out);
}

/* ---- workers ---- */

static void add_worker(const struct worker_view *worker, int64_t now_us, struct text_table *table)
{
    char age[STATUS_TIME_SIZE];

    status_format_age(worker->last_seen_us, now_us, age);
    text_table_add(table, "%s", *worker->name ? worker->name : "(no name)");
    text_table_add(table, "%zu", worker->n_running);
    text_table_add(table, "%lld", (long long)worker->n_complete);
    text_table_add(table, "%lld", (long long)worker->n_pruned);
    text_table_add(table, "%lld", (long long)worker->n_fail);
    text_table_add(table, "%s", age);
}

static void put_workers(const struct request *request, int64_t now_us, struct buffer *out)
{
    static const char *const titles[] = {"WORKER", "RUNNING", "COMPLETE", "PRUNED", "FAILED", "LAST SEEN"};
    TEXT_TABLE_AUTO struct text_table table = {.n_columns = 6, .right = 0x3e};
    size_t n;
    MEMORY_AUTO struct worker_view *workers = request_workers(request, &n);

    if (n == 0) {
        buffer_append_text(out, "no worker in the last hour\n");
        return;
    }
    add_head(&table, titles);
    for (size_t i = 0; i < n; i++)
        add_worker(&workers[i], now_us, &table);
    put_table(&table, "GET /v1/workers", out);
}

/* ---- the page ---- */

void handle_status_page(struct request *request)
{
    const struct http_context *context = request->context;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    studies_seek(context->studies);

    int64_t now_us = now.tv_sec * SECOND_US + now.tv_nsec / 1000;

    buffer_printf(&request->answer, "studyd " STUDYD_VERSION ", store %s\n", context->store_name);
    if (context->not_ready.type)
        buffer_printf(&request->answer, "NOT READY: %s\n", context->not_ready.detail);
    buffer_append_char(&request->answer, '\n');
    put_studies(request, now_us, &request->answer);
    buffer_append_char(&request->answer, '\n');
    put_workers(request, now_us, &request->answer);
    request_add_header(request, "Vary", "Accept");
    request_answer(request, 200, "text/plain; charset=utf-8");
}
