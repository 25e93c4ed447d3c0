/* SPDX-License-Identifier: MIT */
/* Answers with a table of all trials, page by page: a page is read when the one before it is sent, so that
 * one is held at a time. Between two pages everything may happen to the study. */
#include "daemon/http/trial_table.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/http/trial_csv.h"
#include "proto/log.h"
#include "proto/memory.h"

#define PAGE 250

struct table {
    struct trials_call call;
    struct request *request;
    const struct study
        *study; /* only while a page is read, and there as long as the call brings no problem */
    char *uid;  /* owned: the study's */
    unsigned states;
    int64_t next, end;  /* numbers */
    struct buffer head; /* the first line */
};

static void table_free(void *user)
{
    struct table *table = user;

    free(table->uid);
    buffer_deinit(&table->head);
    free(table);
}

/* Clients notice that the answer has no end. */
static void log_cut(const struct table *table, const struct problem *problem)
{
    log_warning(
        "a table of trials was cut off study=\"%s\" before=%lld reason=\"%s; whoever wants it has to ask "
        "again\"",
        table->request->arguments[0], (long long)table->next, problem->detail);
}

static void fail(struct table *table, const struct problem *problem)
{
    if (table->request->status == 0) {
        request_refuse(table->request, problem);
        table_free(table);
    } else {
        log_cut(table, problem);
        request_continue(table->request, REQUEST_CUT);
    }
}

/* ---- a page ---- */

/* The columns are those of the first line, or the rows would lie. */
static int put_page(struct table *table, struct problem *problem)
{
    const struct spec *spec = study_spec(table->study);
    BUFFER_AUTO struct buffer head = {};

    trial_csv_put_head(spec, &head);
    if (table->head.size == 0) {
        buffer_append(&table->head, head.data, head.size);
        buffer_append(&table->request->answer, head.data, head.size);
    }
    if (strcmp(buffer_text(&head), buffer_text(&table->head)) != 0)
        return problem_set(problem, PROBLEM_EXISTS, "", "the study has other parameters now");
    for (size_t i = 0; i < table->call.n_trials; i++)
        trial_csv_put(spec, &table->call.views[i], &table->call.cold[i], &table->request->answer);
    return 0;
}

static int next_cb(struct request *request, void *user);

static void page_cb(struct trials_call *call)
{
    struct table *table = call->user;
    struct request *request = table->request;
    bool is_first = request->status == 0, is_last = table->next == table->end;

    if (call->problem.type != PROBLEM_NONE || put_page(table, &call->problem)) {
        fail(table, &call->problem);
    } else if (!is_first) {
        request_continue(request, is_last ? REQUEST_LAST_PART : REQUEST_PART);
    } else if (!is_last) {
        request_answer_in_parts(request, 200, TRIAL_CSV_TYPE, next_cb, table_free, table);
    } else {
        request_answer(request, 200, TRIAL_CSV_TYPE);
        table_free(table);
    }
}

static size_t list_page(struct table *table, int64_t numbers[PAGE])
{
    struct trial_view view;
    size_t n = 0;

    for (; table->next < table->end && n < PAGE; table->next++)
        if (study_get_trial(table->study, table->next, &view) == 0 && table->states & 1u << view.state)
            numbers[n++] = table->next;
    return n;
}

static void read_page(struct table *table, struct study *study)
{
    int64_t numbers[PAGE];

    table->study = study;
    table->call = (struct trials_call){.done = page_cb, .user = table};
    study_read_trials(table->request->context->studies, study, list_page(table, numbers), numbers,
                      &table->call);
}

static int next_cb(struct request *request, void *user)
{
    static const struct problem deleted = {.detail = "the study was deleted"};
    struct table *table = user;
    struct study *study = studies_find(request->context->studies, request->arguments[0]);

    if (study && strcmp(study_uid(study), table->uid) == 0) {
        read_page(table, study);
        return 0;
    }
    log_cut(table, &deleted);
    return -1;
}

void trial_table_answer(struct request *request, struct study *study, unsigned states)
{
    struct table *table = memory_new(sizeof *table);

    table->request = request;
    table->uid = memory_strdup(study_uid(study));
    table->states = states;
    table->end = study_end_number(study);
    read_page(table, study);
}
