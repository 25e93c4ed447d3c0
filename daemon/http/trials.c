/* SPDX-License-Identifier: MIT */
/* Reads trials, wholly or page by page, as JSON or as CSV. */
#include "daemon/http/trials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http/trial_csv.h"
#include "daemon/http/trial_json.h"
#include "daemon/http/trial_table.h"
#include "proto/json_write.h"
#include "proto/memory.h"

#define PAGE 1000

/* A cold read on its way, and what becomes of it. */
struct read {
    struct trials_call call;
    struct request *request;
    struct study *study; /* there as long as the call brings no problem */
    void (*answer)(struct read *read);
    int64_t next; /* a list's cursor */
};

static void read_done(struct trials_call *call)
{
    struct read *read = call->user;

    if (call->problem.type != PROBLEM_NONE)
        request_refuse(read->request, &call->problem);
    else
        read->answer(read);
    free(read);
}

static struct read *read_new(struct request *request, struct study *study, void (*answer)(struct read *read))
{
    struct read *read = memory_new(sizeof *read);

    read->request = request;
    read->study = study;
    read->answer = answer;
    read->call.user = read;
    read->call.done = read_done;
    return read;
}

static void read_start(struct read *read, size_t n, const int64_t *numbers)
{
    study_read_trials(read->request->context->studies, read->study, n, numbers, &read->call);
}

static void put_trials(const struct read *read, struct json_writer *writer)
{
    json_put_key(writer, "trials");
    json_begin_array(writer);
    for (size_t i = 0; i < read->call.n_trials; i++)
        trial_put_json(study_spec(read->study), &read->call.views[i], &read->call.cold[i], writer);
    json_end_array(writer);
}

/* ---- a list ---- */

/* The bit of each state that the query names: ?state=running,complete. */
static int read_states(const struct request *request, unsigned *states, struct problem *problem)
{
    MEMORY_AUTO char *copy = memory_strdup(request_parameter(request, "state"));

    *states = copy ? 0 : ~0u;
    for (char *name, *rest = copy; (name = strsep(&rest, ","));) {
        const char *nearest = problem_nearest(name, trial_state_names);
        int state = 0;

        while (trial_state_names[state] && strcmp(trial_state_names[state], name) != 0)
            state++;
        if (!trial_state_names[state])
            return problem_set(problem, PROBLEM_INVALID, "state",
                               "state must be running, complete, pruned, fail or waiting, or several with "
                               "commas, and is \"%.40s\"%s%s%s",
                               name, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                               nearest ? "\"?" : "");
        *states |= 1u << state;
    }
    return 0;
}

static void answer_list(struct read *read)
{
    struct json_writer writer;

    json_writer_init(&writer, &read->request->answer);
    json_begin_object(&writer);
    put_trials(read, &writer);
    json_member_int(&writer, "next", read->next);
    json_end_object(&writer);
    request_answer_json(read->request, 200);
}

/* A full page's header "Link" leads to the next: the same query with another cursor. Its values were checked,
 * so that none needs an escape. */
static void put_next_link(const struct read *read)
{
    const struct uri *uri = &read->request->uri;
    BUFFER_AUTO struct buffer link = {};

    buffer_printf(&link, "<?since=%lld", (long long)read->next);
    for (size_t i = 0; i < uri->n_parameters; i++)
        if (strcmp(uri->parameters[i].name, "since") != 0)
            buffer_printf(&link, "&%s=%s", uri->parameters[i].name, uri->parameters[i].value);
    buffer_append_text(&link, ">; rel=\"next\"");
    request_add_header(read->request, "Link", buffer_text(&link));
}

static void answer_csv(struct read *read)
{
    struct request *request = read->request;
    const struct spec *spec = study_spec(read->study);

    trial_csv_put_head(spec, &request->answer);
    for (size_t i = 0; i < read->call.n_trials; i++)
        trial_csv_put(spec, &read->call.views[i], &read->call.cold[i], &request->answer);
    request_answer(request, 200, TRIAL_CSV_TYPE);
}

void handle_list_trials(struct request *request)
{
    MEMORY_AUTO int64_t *numbers = memory_array(PAGE, sizeof numbers[0]);
    struct study *study = request_study(request);
    struct problem problem = {};
    int64_t since, limit;
    unsigned states;
    bool is_csv = request_accepts(request, "text/csv");

    if (!study)
        return;
    if (read_states(request, &states, &problem) ||
        request_read_int(request, "since", 0, INT64_MAX, 0, &since, &problem) ||
        request_read_int(request, "limit", 1, PAGE, PAGE, &limit, &problem)) {
        request_refuse(request, &problem);
        return;
    }

    request_add_header(request, "Vary", "Accept");
    if (is_csv && !request_parameter(request, "since") && !request_parameter(request, "limit")) {
        trial_table_answer(request, study, states);
        return;
    }

    struct read *read = read_new(request, study, is_csv ? answer_csv : answer_list);
    size_t n = study_list_changed(study, since, states, (size_t)limit, numbers, &read->next);

    if (n == (size_t)limit)
        put_next_link(read);
    read_start(read, n, numbers);
}

/* ---- one ---- */

static void answer_one(struct read *read)
{
    struct request *request = read->request;
    struct problem problem = {};
    struct json_writer writer;

    if (read->call.n_trials == 0) {
        problem_set(&problem, PROBLEM_NOT_FOUND, "number", "trial %s is gone", request->arguments[1]);
        request_refuse(request, &problem);
        return;
    }
    json_writer_init(&writer, &request->answer);
    trial_put_json(study_spec(read->study), &read->call.views[0], &read->call.cold[0], &writer);
    request_answer_json(request, 200);
}

void handle_show_trial(struct request *request)
{
    int64_t number;
    struct study *study = request_study_and_trial(request, &number);

    if (study)
        read_start(read_new(request, study, answer_one), 1, &number);
}

/* ---- the best ---- */

static void answer_best(struct read *read)
{
    struct json_writer writer;

    json_writer_init(&writer, &read->request->answer);
    json_begin_object(&writer);
    put_trials(read, &writer);
    json_end_object(&writer);
    request_answer_json(read->request, 200);
}

void handle_best_trials(struct request *request)
{
    MEMORY_AUTO int64_t *numbers = memory_array(PAGE, sizeof numbers[0]);
    struct study *study = request_study(request);

    if (!study)
        return;

    size_t n = study_best(study, PAGE, numbers);

    read_start(read_new(request, study, answer_best), n < PAGE ? n : PAGE, numbers);
}
