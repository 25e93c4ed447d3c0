/* SPDX-License-Identifier: MIT */
/*
 * Workers of studyd in one thread, each on its own connection, with no more behind them than their waiting
 * times: ask (and wait for a trial), report now and then, tell, ask again.
 *
 *   fleet PORT STUDY WORKERS SECONDS [LEAST_MS MOST_MS REPORT_MS WAIT_S]
 *
 * A trial takes from LEAST_MS to MOST_MS, with a report each REPORT_MS (0: none) and at its end; an ask waits
 * WAIT_S for a trial. All are 0 where they are left out: ask, tell, ask, as fast as the answers come. What is
 * measured begins when each worker has begun, and ends after so long or when the study is finished; it is
 * printed in JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/require.h"

#define MAX_WORKERS 100000
#define RETRY_MS 1000 /* after an error */
#define LEASE_TEXT_SIZE 33

enum step { ASK, REPORT, TELL, N_STEPS };
static const char *const step_names[] = {"ask", "report", "tell"};

struct worker {
    int fd;
    size_t index, n_asks;
    enum step step; /* whose answer is under way, or that comes next */
    uv_poll_t poll;
    uv_timer_t timer;     /* until the next step */
    struct buffer answer; /* what came so far */
    double sent_at_ms;
    double ends_at_ms; /* its trial */
    long long number;
    char lease[LEASE_TEXT_SIZE];
    double value;
    int n_points;
};

/* How long answers took. */
struct times {
    size_t n, capacity;
    double *ms; /* owned */
};

static struct {
    const char *study;
    double least_ms, most_ms, report_ms, wait_s;
} options;

static uv_loop_t loop;
static uint64_t noise = 0x9e3779b97f4a7c15;
static double begin_ms; /* of what is measured */
static struct times times[N_STEPS], late;
static size_t n_errors;

static void give_up(const char *what, const char *detail)
{
    fprintf(stderr, "fleet: %s: %s\n", what, detail);
    exit(1);
}

static double now_ms(void)
{
    return (double)uv_hrtime() * 1e-6;
}

/* From 0 to below 1; xorshift64*. */
static double draw(void)
{
    noise ^= noise >> 12;
    noise ^= noise << 25;
    noise ^= noise >> 27;
    return (double)(noise * 0x2545f4914f6cdd1d >> 11) * 0x1p-53;
}

static void times_add(struct times *all, double ms)
{
    if (now_ms() < begin_ms)
        return;
    if (all->n == all->capacity) {
        all->capacity = all->capacity ? 2 * all->capacity : 1024;
        all->ms = memory_resize(all->ms, all->capacity, sizeof all->ms[0]);
    }
    all->ms[all->n++] = ms;
}

/* ---- what goes out ---- */

static int connect_loopback(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        give_up("cannot connect", strerror(errno));
    return fd;
}

static void send_request(struct worker *worker, const char *path, const char *body)
{
    BUFFER_AUTO struct buffer request = {0};

    buffer_printf(&request,
                  "POST /v1/studies/%s/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  options.study, path, strlen(body), body);
    buffer_clear(&worker->answer);
    worker->sent_at_ms = now_ms();
    /* a few hundred bytes fit into any socket's buffer */
    if (send(worker->fd, request.data, request.size, MSG_NOSIGNAL) != (ssize_t)request.size)
        give_up("cannot send", strerror(errno));
}

static void ask(struct worker *worker)
{
    char body[160];

    snprintf(body, sizeof body, "{\"worker\":\"worker-%zu\",\"request_id\":\"%zu-%zu-%d\",\"wait_s\":%g}",
             worker->index, worker->index, worker->n_asks++, (int)getpid(), options.wait_s);
    send_request(worker, "ask", body);
}

static void report(struct worker *worker)
{
    char path[64], body[160];

    snprintf(path, sizeof path, "trials/%lld/report", worker->number);
    snprintf(body, sizeof body, "{\"lease\":\"%s\",\"step\":%d,\"value\":%.17g}", worker->lease,
             worker->n_points++, worker->value);
    send_request(worker, path, body);
}

static void tell(struct worker *worker)
{
    char path[64], body[160];

    snprintf(path, sizeof path, "trials/%lld/tell", worker->number);
    snprintf(body, sizeof body, "{\"lease\":\"%s\",\"value\":%.17g}", worker->lease, worker->value);
    send_request(worker, path, body);
}

static void go_on(struct worker *worker)
{
    static void (*const senders[])(struct worker * worker) = {ask, report, tell};

    senders[worker->step](worker);
}

static void timer_cb(uv_timer_t *timer)
{
    go_on(timer->data);
}

static void go_on_in(struct worker *worker, enum step step, double ms)
{
    worker->step = step;
    if (ms < 1)
        go_on(worker);
    else
        uv_timer_start(&worker->timer, timer_cb, (uint64_t)ms, 0);
}

static void train_on(struct worker *worker)
{
    double left_ms = worker->ends_at_ms - now_ms();
    bool reports = options.report_ms > 0;

    go_on_in(worker, reports ? REPORT : TELL,
             reports && left_ms > options.report_ms ? options.report_ms : left_ms);
}

/* ---- the result ---- */

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static void print_times(const char *name, struct times *all)
{
    if (all->n)
        qsort(all->ms, all->n, sizeof all->ms[0], by_size);
    printf(", \"%ss\": %zu, \"%s_p50_ms\": %.3f, \"%s_p99_ms\": %.3f, \"%s_max_ms\": %.3f", name, all->n,
           name, all->n ? all->ms[all->n / 2] : 0, name, all->n ? all->ms[all->n * 99 / 100] : 0, name,
           all->n ? all->ms[all->n - 1] : 0);
}

static void print_and_end(void)
{
    printf("{\"seconds\": %.6f, \"errors\": %zu", (now_ms() - begin_ms) * 1e-3, n_errors);
    for (int step = 0; step < N_STEPS; step++)
        print_times(step_names[step], &times[step]);
    print_times("late", &late);
    printf("}\n");
    exit(fflush(stdout) != 0); /* the rest is the system's to clear */
}

/* ---- what comes in ---- */

/* A bowl with its bottom at 0.3 in each direction: a history as TPE makes it. */
static double objective(json_t *params)
{
    double sum = 0;
    const char *name;
    json_t *value;

    json_object_foreach (params, name, value)
        sum += (json_number_value(value) - 0.3) * (json_number_value(value) - 0.3);
    return sum;
}

static void begin_trial(struct worker *worker, json_t *trial)
{
    const char *lease = json_string_value(json_object_get(trial, "lease"));

    if (!lease || strlen(lease) >= LEASE_TEXT_SIZE)
        give_up("no lease in an offer", buffer_text(&worker->answer));
    strcpy(worker->lease, lease);
    worker->number = json_integer_value(json_object_get(trial, "number"));
    worker->value = objective(json_object_get(trial, "params"));
    worker->ends_at_ms = now_ms() + options.least_ms + draw() * (options.most_ms - options.least_ms);
    worker->n_points = 0;
    train_on(worker);
}

/* Without a trial: it has waited for as long as it wanted to. */
static void take_ask(struct worker *worker, const char *body, double took_ms)
{
    json_t *answer = json_loads(body, 0, NULL);
    json_t *trial = json_array_get(json_object_get(answer, "trials"), 0);

    if (trial) {
        times_add(&times[ASK], took_ms);
        begin_trial(worker, trial);
    } else if (strcmp(json_string_value(json_object_get(answer, "state")), "finished") == 0) {
        print_and_end();
    } else {
        times_add(&late, took_ms - 1e3 * options.wait_s);
        go_on_in(worker, ASK, options.wait_s > 0 ? 0 : RETRY_MS);
    }
    json_decref(answer);
}

static void take_answer(struct worker *worker, const char *body)
{
    double took_ms = now_ms() - worker->sent_at_ms;

    if (strncmp(worker->answer.data, "HTTP/1.1 200", 12) != 0) {
        if (n_errors++ == 0)
            fprintf(stderr, "fleet: %s is refused: %s\n", step_names[worker->step],
                    buffer_text(&worker->answer));
        go_on_in(worker, ASK, RETRY_MS);
    } else if (worker->step == ASK) {
        take_ask(worker, body, took_ms);
    } else {
        times_add(&times[worker->step], took_ms);
        if (worker->step == TELL)
            go_on_in(worker, ASK, 0);
        else if (worker->ends_at_ms - now_ms() < 1)
            go_on_in(worker, TELL, 0);
        else
            train_on(worker);
    }
}

/* Where the whole answer is there: its body, else NULL. */
static const char *body_of(const struct worker *worker)
{
    const char *text = buffer_text(&worker->answer);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");

    if (!end || !length || length > end)
        return NULL;

    size_t size = strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);

    return worker->answer.size >= (size_t)(end + 4 - text) + size ? end + 4 : NULL;
}

static void poll_cb(uv_poll_t *poll, int, int)
{
    struct worker *worker = poll->data;
    char bytes[16384];
    ssize_t size = recv(worker->fd, bytes, sizeof bytes, 0);

    if (size <= 0)
        give_up("connection lost", size < 0 ? strerror(errno) : "closed by studyd");
    buffer_append(&worker->answer, bytes, (size_t)size);

    const char *body = body_of(worker);

    if (body)
        take_answer(worker, body);
}

/* ---- the beginning ---- */

static void end_cb(uv_timer_t *)
{
    print_and_end();
}

static void raise_file_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Not all at the same moment, where trials differ in time. */
static void begin(struct worker *worker, size_t index, unsigned port)
{
    worker->index = index;
    worker->fd = connect_loopback(port);
    worker->poll.data = worker->timer.data = worker;
    require(uv_timer_init(&loop, &worker->timer) == 0);
    require(uv_poll_init(&loop, &worker->poll, worker->fd) == 0);
    require(uv_poll_start(&worker->poll, UV_READABLE, poll_cb) == 0);
    go_on_in(worker, ASK, draw() * (options.most_ms - options.least_ms));
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 9)
        give_up("usage", "fleet PORT STUDY WORKERS SECONDS [LEAST_MS MOST_MS REPORT_MS WAIT_S]");
    options.study = argv[2];

    size_t n_workers = strtoul(argv[3], NULL, 10);
    double limit_s = strtod(argv[4], NULL);
    struct worker *workers;
    uv_timer_t end;

    if (n_workers < 1 || n_workers > MAX_WORKERS || !(limit_s > 0))
        give_up("usage", "WORKERS is 1 to 100000, SECONDS above 0");
    if (argc == 9) {
        options.least_ms = strtod(argv[5], NULL);
        options.most_ms = strtod(argv[6], NULL);
        options.report_ms = strtod(argv[7], NULL);
        options.wait_s = strtod(argv[8], NULL);
    }
    raise_file_limit();
    require(uv_loop_init(&loop) == 0);
    workers = memory_array(n_workers, sizeof workers[0]);
    begin_ms = now_ms() + options.most_ms - options.least_ms;
    for (size_t i = 0; i < n_workers; i++)
        begin(&workers[i], i, (unsigned)strtoul(argv[1], NULL, 10));
    require(uv_timer_init(&loop, &end) == 0);
    uv_update_time(&loop);
    uv_timer_start(&end, end_cb, (uint64_t)(1e3 * limit_s + options.most_ms - options.least_ms), 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return 0;
}
