/* SPDX-License-Identifier: MIT */
/* Gathers what is measured: the process, requests, the store, the sampler, the studies. */
#include "daemon/http/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/http/exposition.h"
#include "daemon/http/routes.h"
#include "daemon/http/traffic.h"
#include "proto/memory.h"

/* ---- the process: the names are those of Prometheus' own client libraries ---- */

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double cpu_seconds(void)
{
    struct timespec used = {};

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

static double n_open_files(void)
{
    double n = 0;
    DIR *directory = opendir("/proc/self/fd");

    if (!directory)
        return 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n - 3; /* ".", "..", and the directory itself */
}

static void put_process(const struct http_context *context, struct buffer *out)
{
    struct rlimit files = {};

    getrlimit(RLIMIT_NOFILE, &files);
    exposition_single(out, "process_start_time_seconds", "gauge", "When it began, in seconds since 1970.",
                      (double)context->started_s);
    exposition_single(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
                      cpu_seconds());
    exposition_single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    exposition_single(out, "process_open_fds", "gauge", "Open files and connections.", n_open_files());
    exposition_single(out, "process_max_fds", "gauge", "The most of them that there can be.",
                      (double)files.rlim_cur);
}

static void put_build(struct buffer *out)
{
    static const struct metric_label version = {"version", STUDYD_VERSION};

    exposition_begin(out, "studyd_build_info", "gauge", "Always 1; the version is a label.");
    exposition_sample(out, "studyd_build_info", &version, 1, 1);
}

static void put_readiness(const struct http_context *context, struct buffer *out)
{
    enum problem_type type = context->unavailable.type;

    exposition_single(out, "studyd_ready", "gauge",
                      "1: takes changes; 0: starts, stands by, stops, or its database is away (as /readyz).",
                      type == PROBLEM_NONE && context->not_ready.type == PROBLEM_NONE);
    exposition_single(out, "studyd_standby", "gauge",
                      "1: waits, because the database is owned by a second studyd.", type == PROBLEM_STANDBY);
}

/* ---- requests ---- */

static void put_answered(const struct traffic *traffic, size_t index, struct metric_label labels[3],
                         struct buffer *out)
{
    char code[16];

    labels[2] = (struct metric_label){"code", code};
    for (int status = TRAFFIC_MIN_STATUS; status <= TRAFFIC_MAX_STATUS; status++) {
        uint64_t n = traffic_n_answered(traffic, index, status);

        if (n == 0)
            continue;
        snprintf(code, sizeof code, "%d", status);
        exposition_sample(out, "studyd_http_requests_total", labels, 3, (double)n);
    }
}

static void label_route(size_t index, struct metric_label labels[2])
{
    labels[0] = (struct metric_label){"method", index < n_routes ? routes[index].method : ""};
    labels[1] = (struct metric_label){"route", index < n_routes ? routes[index].pattern : ""};
}

static void put_traffic(const struct traffic *traffic, struct buffer *out)
{
    struct metric_label labels[3];

    exposition_single(out, "studyd_http_open_requests", "gauge",
                      "Requests that are not answered yet, waiting asks and this one included.",
                      (double)traffic_n_open(traffic));
    exposition_begin(out, "studyd_http_requests_total", "counter",
                     "Requests by their answer's status; 499: the client left before it.");
    for (size_t i = 0; i <= n_routes; i++) {
        label_route(i, labels);
        put_answered(traffic, i, labels, out);
    }
    exposition_begin(out, "studyd_http_request_duration_seconds", "histogram",
                     "From a request's first line to its answer's last byte; an ask's includes its wait_s.");
    for (size_t i = 0; i <= n_routes; i++) {
        label_route(i, labels);
        if (traffic_durations(traffic, i)->n)
            exposition_histogram(out, "studyd_http_request_duration_seconds", labels, 2,
                                 traffic_durations(traffic, i));
    }
}

/* ---- the store and the sampler ---- */

static void put_store(const struct http_context *context, struct buffer *out)
{
    struct store_stats stats = {};

    context->store_stats(context->user, &stats);
    exposition_single(out, "studyd_store_queue_records", "gauge", "Changes that are not committed yet.",
                      (double)stats.n_pending);
    exposition_single(out, "studyd_store_queue_bytes", "gauge", "Memory that they take, about.",
                      (double)stats.pending_bytes);
    exposition_single(out, "studyd_store_records_total", "counter", "Changes that the database has taken.",
                      (double)stats.n_records);
    exposition_begin(out, "studyd_store_transaction_seconds", "histogram",
                     "A transaction from its first statement to its COMMIT's answer, retries included.");
    exposition_histogram(out, "studyd_store_transaction_seconds", NULL, 0, &stats.transactions);
}

static void put_sampler(const struct http_context *context, struct buffer *out)
{
    exposition_begin(out, "studyd_sampler_seconds", "histogram",
                     "One run of a sampler: all suggestions that asks of a study wait for.");
    exposition_histogram(out, "studyd_sampler_seconds", NULL, 0, context->sampler_runs);
}

/* ---- studies: those that the token may know of ---- */

struct seen {
    size_t n;
    const struct study **studies; /* owned */
};

static struct seen find_seen(const struct request *request)
{
    const struct studies *all = request->context->studies;
    struct seen seen = {.studies = memory_array(studies_count(all), sizeof seen.studies[0])};

    for (size_t i = 0; i < studies_count(all); i++)
        if (request_sees(request, study_name(studies_get(all, i))))
            seen.studies[seen.n++] = studies_get(all, i);
    return seen;
}

static void put_states(const struct seen *seen, struct buffer *out)
{
    exposition_begin(out, "studyd_study_state", "gauge", "1 for the state that the study is in.");
    for (size_t i = 0; i < seen->n; i++) {
        const struct study *study = seen->studies[i];
        const struct metric_label labels[] = {{"study", study_name(study)},
                                              {"state", study_state_names[study_state(study)]}};

        exposition_sample(out, "studyd_study_state", labels, 2, 1);
    }
}

static void put_counts(const struct seen *seen, struct buffer *out)
{
    exposition_begin(out, "studyd_study_trials", "gauge",
                     "Trials in each state; one whose lease has lapsed counts as running.");
    for (size_t i = 0; i < seen->n; i++) {
        const struct study *study = seen->studies[i];

        for (int state = 0; trial_state_names[state]; state++) {
            const struct metric_label labels[] = {{"study", study_name(study)},
                                                  {"state", trial_state_names[state]}};

            exposition_sample(out, "studyd_study_trials", labels, 2, (double)study_counts(study)[state]);
        }
    }
}

static void put_waiting(const struct seen *seen, struct buffer *out)
{
    exposition_begin(out, "studyd_study_waiting_asks", "gauge", "Asks of the study that wait for a trial.");
    for (size_t i = 0; i < seen->n; i++) {
        const struct metric_label label = {"study", study_name(seen->studies[i])};

        exposition_sample(out, "studyd_study_waiting_asks", &label, 1,
                          (double)study_n_waiting_asks(seen->studies[i]));
    }
}

static void put_best(const struct seen *seen, struct buffer *out)
{
    exposition_begin(out, "studyd_study_best_value", "gauge",
                     "The best trial's value; studies with several directions have none.");
    for (size_t i = 0; i < seen->n; i++) {
        const struct study *study = seen->studies[i];
        const struct metric_label label = {"study", study_name(study)};
        struct trial_view view;
        int64_t number;

        if (study_spec(study)->n_directions == 1 && study_best(study, 1, &number) &&
            study_get_trial(study, number, &view) == 0)
            exposition_sample(out, "studyd_study_best_value", &label, 1, view.values[0]);
    }
}

static void put_workers(const struct request *request, struct buffer *out)
{
    size_t n;

    free(request_workers(request, &n));
    exposition_single(out, "studyd_workers", "gauge", "Workers that were seen in the last hour.", (double)n);
}

static void put_studies(const struct request *request, struct buffer *out)
{
    struct seen seen = find_seen(request);

    exposition_single(out, "studyd_leases_lapsed_total", "counter",
                      "Leases of trials whose worker was not heard of for too long.",
                      (double)studies_n_lapses(request->context->studies));
    put_workers(request, out);
    put_states(&seen, out);
    put_counts(&seen, out);
    put_waiting(&seen, out);
    put_best(&seen, out);
    free(seen.studies);
}

void handle_metrics(struct request *request)
{
    const struct http_context *context = request->context;
    struct buffer *out = &request->answer;

    put_build(out);
    put_readiness(context, out);
    put_process(context, out);
    put_traffic(context->traffic, out);
    put_store(context, out);
    put_sampler(context, out);
    if (context->unavailable.type == PROBLEM_NONE) /* else they may be being loaded */
        put_studies(request, out);
    request_answer(request, 200, EXPOSITION_CONTENT_TYPE);
}
