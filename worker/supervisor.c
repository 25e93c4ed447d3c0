/* SPDX-License-Identifier: MIT */
/* Runs the worker: makes its slots, brings them trials, and stops in order. */
#include "worker/supervisor.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/buffer.h"
#include "proto/http_client.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "worker/plan.h"
#include "worker/poller.h"
#include "worker/results.h"
#include "worker/slot.h"
#include "worker/stock.h"
#include "worker/summary.h"
#include "worker/unserved.h"

#define STOP_MOST_MS 20000 /* an orderly stop takes no longer */
/* One wish to stop often comes as several signals: timeout(1) sends two, a terminal that is closed sends two,
 * a launcher that dies closes stdin besides. What comes later is impatience. */
#define SAME_SIGNAL_MS 1000
#define HOPELESS_STARTS 3 /* in a row in one slot */
#define SET_ASIDE_S 300   /* a study that cannot be served */
#define CONNECT_TIMEOUT_MS 10000
#define SURPLUS_LOOK_MS 1000 /* while trials wait for a slot */

static const int stop_signals[] = {SIGTERM, SIGINT, SIGHUP};
#define N_SIGNALS (sizeof stop_signals / sizeof stop_signals[0])

struct supervisor {
    const struct worker_config *config;
    uv_loop_t loop;
    uint64_t start_ms;

    struct worker_plan plan;

    struct http_client *client;
    struct poller *poller; /* NULL once it has stopped */
    struct stock *stock;
    uv_timer_t serve_timer;
    int64_t n_told[TRIAL_WAITING + 1]; /* by enum trial_state; WAITING: handed back */
    struct results results;
    struct unserved unserved;       /* asked of all: studies that are left alone for a while */
    enum worker_exit unserved_exit; /* where only those are left */
    struct slot_host slot_host;
    struct slot **slots; /* owned [plan.n_slots] */

    uv_signal_t signals[N_SIGNALS];
    uv_pipe_t stdin_pipe;
    uv_timer_t idle_timer, stop_timer;
    bool watches_stdin;

    bool has_started_runner;
    bool are_studies_over; /* as far as was heard */
    bool is_stopping, is_client_closing;
    uint64_t stop_ms; /* when that began */
    enum worker_exit exit_code;
};

/* ------------------------------------------------------------------------------------------------------
 * stopping */

static void write_summary(const struct supervisor *supervisor)
{
    const struct worker_config *config = supervisor->config;

    if (config->report && summary_write(config->report, config->name, supervisor->exit_code,
                                        uv_now(&supervisor->loop) - supervisor->start_ms, supervisor->n_told,
                                        supervisor->slots, supervisor->plan.n_slots))
        log_error("the summary cannot be written path=%s reason=%s", config->report,
                  LOG_QUOTED(strerror(errno)));
}

/* Not in order: runners die with us, leases lapse. */
static void leave_at_once(struct supervisor *supervisor, const char *why)
{
    log_warning("leaving at once, open trials will be run again when their leases lapse reason=%s",
                LOG_QUOTED(why));
    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        slot_kill_runner(supervisor->slots[i]);
    write_summary(supervisor);
    _exit(supervisor->exit_code);
}

static void stop_timer_cb(uv_timer_t *timer)
{
    leave_at_once(timer->data, "studyd or a runner did not answer in time");
}

/* The last handles; the loop ends when they are closed. */
static void client_closed(void *user)
{
    struct supervisor *supervisor = user;

    for (size_t i = 0; i < N_SIGNALS; i++)
        uv_close((uv_handle_t *)&supervisor->signals[i], NULL);
    uv_close((uv_handle_t *)&supervisor->idle_timer, NULL);
    uv_close((uv_handle_t *)&supervisor->stop_timer, NULL);
    uv_close((uv_handle_t *)&supervisor->serve_timer, NULL);
    if (supervisor->watches_stdin)
        uv_close((uv_handle_t *)&supervisor->stdin_pipe, NULL);
}

static size_t count_in(const struct supervisor *supervisor, enum slot_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        n += slot_state(supervisor->slots[i]) == state;
    return n;
}

static void stop_when_done(struct supervisor *supervisor)
{
    if (!supervisor->is_stopping || supervisor->is_client_closing || supervisor->poller ||
        !stock_is_empty(supervisor->stock) || count_in(supervisor, SLOT_STOPPED) < supervisor->plan.n_slots)
        return;
    supervisor->is_client_closing = true;
    http_client_close(supervisor->client, client_closed, supervisor);
}

/* First no new trials; what an answer still brings is handed back with the rest. */
static void stop(struct supervisor *supervisor, enum worker_exit exit_code, const char *why)
{
    if (supervisor->is_stopping)
        return;
    log_info("stopping reason=%s exit_code=%d", LOG_QUOTED(why), exit_code);
    supervisor->is_stopping = true;
    supervisor->stop_ms = uv_now(&supervisor->loop);
    supervisor->exit_code = exit_code;
    uv_timer_stop(&supervisor->idle_timer);
    uv_timer_start(&supervisor->stop_timer, stop_timer_cb, STOP_MOST_MS, 0);
    poller_stop(supervisor->poller);
}

static void poller_stopped(void *user)
{
    struct supervisor *supervisor = user;

    supervisor->poller = NULL;
    stock_hand_back(supervisor->stock, 0, "the worker was stopped");
    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        slot_stop(supervisor->slots[i]);
    stop_when_done(supervisor);
}

static void signal_cb(uv_signal_t *handle, int number)
{
    struct supervisor *supervisor = handle->data;
    char why[40];

    snprintf(why, sizeof why, "signal %d (%s)", number, strsignal(number));
    if (supervisor->is_stopping && uv_now(&supervisor->loop) - supervisor->stop_ms >= SAME_SIGNAL_MS)
        leave_at_once(supervisor, "a second signal");
    stop(supervisor, WORKER_STOPPED, why);
}

static void stdin_alloc_cb(uv_handle_t *, size_t, uv_buf_t *room)
{
    static char nobody_reads_this[256];

    *room = uv_buf_init(nobody_reads_this, sizeof nobody_reads_this);
}

static void stdin_cb(uv_stream_t *stream, ssize_t n_read, const uv_buf_t *)
{
    if (n_read >= 0)
        return;
    uv_read_stop(stream);
    stop(stream->data, WORKER_STOPPED, "stdin was closed");
}

/* ---------------------------------------------------------------------------------------------------------
 * trials */

static void idle_timer_cb(uv_timer_t *timer)
{
    stop(timer->data, WORKER_FINISHED, "no trial for max_idle_s");
}

/* No slot does anything, nothing waits for one, and nothing is still to be told. */
static bool is_idle(const struct supervisor *supervisor)
{
    return count_in(supervisor, SLOT_IDLE) == supervisor->plan.n_slots && stock_is_empty(supervisor->stock);
}

static void watch_idleness(struct supervisor *supervisor)
{
    double max_idle_s = supervisor->config->max_idle_s;

    if (!is_idle(supervisor) || supervisor->is_stopping)
        uv_timer_stop(&supervisor->idle_timer);
    else if (max_idle_s > 0 && !uv_is_active((uv_handle_t *)&supervisor->idle_timer))
        uv_timer_start(&supervisor->idle_timer, idle_timer_cb, (uint64_t)(max_idle_s * 1000), 0);
}

/* How many more trials there is a use for. */
static size_t count_wanted(void *user)
{
    const struct supervisor *supervisor = user;
    size_t n_wanted = 0, n_here = stock_n_waiting(supervisor->stock);

    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        n_wanted += slot_wants_trial(supervisor->slots[i]);
    return n_wanted > n_here ? n_wanted - n_here : 0;
}

static void give(void *user, struct offer_message *offer)
{
    struct supervisor *supervisor = user;

    supervisor->are_studies_over = false;
    results_go_on(&supervisor->results);
    stock_add(supervisor->stock, offer);
    watch_idleness(supervisor);
}

static void stop_when_over(struct supervisor *supervisor)
{
    bool can_start_nothing = supervisor->unserved.n_studies > 0 && !supervisor->has_started_runner &&
                             supervisor->unserved_exit == WORKER_NO_RUNNER;

    if (!supervisor->are_studies_over || !is_idle(supervisor))
        return;
    if (can_start_nothing)
        stop(supervisor, WORKER_NO_RUNNER, "no runner can be started");
    else if (!supervisor->config->exit_when_finished)
        return;
    else if (supervisor->unserved.n_studies > 0)
        stop(supervisor, supervisor->unserved_exit,
             "what is left are studies that cannot be served, see above");
    else if (results_are_none(&supervisor->results) && results_look(&supervisor->results))
        return; /* studies_looked_at() comes */
    else if (results_are_none(&supervisor->results))
        stop(supervisor, WORKER_FAILED,
             "the studies are over, and no trial has a result: the objective has failed in each");
    else
        stop(supervisor, WORKER_FINISHED, "the studies are finished");
}

static void serve_timer_cb(uv_timer_t *timer);

/* A slot that asked ahead may be busy for hours with a trial that turned out to be long, or pause: what no
 * slot will run soon goes back, so that another worker can. */
static void hand_surplus_back(struct supervisor *supervisor)
{
    size_t n_useful = 0;

    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        n_useful += slot_can_use_trial(supervisor->slots[i]);
    stock_hand_back(supervisor->stock, n_useful, "no slot of the worker is free soon");
    if (stock_n_waiting(supervisor->stock) > 0)
        uv_timer_start(&supervisor->serve_timer, serve_timer_cb, SURPLUS_LOOK_MS, 0);
}

/* Trials for the slots that are free, and requests for more. */
static void serve(struct supervisor *supervisor)
{
    struct held_trial *held;

    for (size_t i = 0; i < supervisor->plan.n_slots && !supervisor->is_stopping; i++) {
        if (slot_state(supervisor->slots[i]) == SLOT_IDLE && (held = stock_take(supervisor->stock)))
            slot_take(supervisor->slots[i], held);
    }
    hand_surplus_back(supervisor);
    watch_idleness(supervisor);
    stop_when_over(supervisor);
    if (supervisor->poller)
        poller_wake(supervisor->poller);
}

static void serve_timer_cb(uv_timer_t *timer)
{
    serve(timer->data);
}

/* Not from within whatever has happened: what else a runner has said by now still belongs to the trial that
 * it had. */
static void serve_soon(void *user)
{
    struct supervisor *supervisor = user;

    if (!supervisor->is_stopping)
        uv_timer_start(&supervisor->serve_timer, serve_timer_cb, 0, 0);
}

static void slot_changed(void *user, struct slot *)
{
    struct supervisor *supervisor = user;

    serve_soon(supervisor);
    stop_when_done(supervisor);
}

/* ---- what cannot be served ---- */

static bool serves_whatever_runs(const struct supervisor *supervisor)
{
    return supervisor->config->studies.n_items == 0;
}

/* The others need this worker. `exit_code`: where nothing else is left. */
static void set_aside(struct supervisor *supervisor, const char *study, const char *why,
                      enum worker_exit exit_code)
{
    uint64_t until_ms = uv_now(&supervisor->loop) + SET_ASIDE_S * 1000;

    supervisor->unserved_exit = exit_code;
    if (unserved_add(&supervisor->unserved, study, until_ms))
        log_error("a study cannot be served, it is left alone for %d s while others are study=%s reason=%s",
                  SET_ASIDE_S, LOG_QUOTED(study), LOG_QUOTED(why));
}

static json_t *names_set_aside(void *user)
{
    struct supervisor *supervisor = user;

    return unserved_names(&supervisor->unserved, uv_now(&supervisor->loop));
}

/* ---- objectives that fail ---- */

static bool is_failure_of_objective(const struct lease_outcome *outcome)
{
    return outcome->told->state == TRIAL_FAIL && outcome->told->failure == FAILURE_OBJECTIVE;
}

/* A typo in the objective must not burn a study's budget. */
static bool is_hopeless(const struct supervisor *supervisor)
{
    const int64_t *n_told = supervisor->n_told;

    return n_told[TRIAL_FAIL] >= HOPELESS_TRIALS && n_told[TRIAL_COMPLETE] + n_told[TRIAL_PRUNED] == 0;
}

static void check_hope(struct supervisor *supervisor, const struct held_trial *held)
{
    if (!serves_whatever_runs(supervisor) && is_hopeless(supervisor))
        stop(supervisor, WORKER_FAILED,
             "the objective has failed in every trial so far; once it is mended, "
             "a worker goes on with the trials that are left");
    if (serves_whatever_runs(supervisor) && results_are_hopeless(held))
        set_aside(supervisor, held_trial_offer(held)->study, "its objective has failed in every trial so far",
                  WORKER_FAILED);
}

static void trial_over(void *user, struct held_trial *held, const struct lease_outcome *outcome)
{
    struct supervisor *supervisor = user;
    struct slot *slot = held_trial_slot(held);

    if (outcome->end == LEASE_TOLD) {
        supervisor->n_told[held_trial_became(outcome)]++;
        results_take(&supervisor->results, held, outcome);
        if (is_failure_of_objective(outcome))
            check_hope(supervisor, held);
    }
    if (slot)
        slot_trial_over(slot, outcome);
    serve_soon(supervisor);
}

static void stock_emptied(void *user)
{
    struct supervisor *supervisor = user;

    watch_idleness(supervisor);
    stop_when_over(supervisor);
    stop_when_done(supervisor);
}

static void studies_looked_at(void *user)
{
    stop_when_over(user);
}

static void all_finished(void *user)
{
    struct supervisor *supervisor = user;

    supervisor->are_studies_over = true;
    stop_when_over(supervisor);
}

static void refused(void *user, int status, const char *why)
{
    const struct supervisor *supervisor = user;
    const char *remedy = supervisor->config->token
                             ? " remedy=\"studyd does not know the token in token_file (or STUDYD_TOKEN)\""
                             : " remedy=\"set token_file (or STUDYD_TOKEN)\"";

    log_error("studyd refused reason=%s%s", LOG_QUOTED(why), status == 401 ? remedy : "");
    stop(user, WORKER_FAILED, "studyd refused");
}

static void cannot_serve(void *user, const char *study, const char *why)
{
    struct supervisor *supervisor = user;

    if (serves_whatever_runs(supervisor)) {
        set_aside(supervisor, study, why, WORKER_MISCONFIGURED);
        return;
    }
    log_error("a study cannot be served reason=%s", LOG_QUOTED(why));
    stop(supervisor, WORKER_MISCONFIGURED, "a study cannot be served");
}

static void cannot_start(void *user, struct slot *slot, const char *study, unsigned n_in_a_row,
                         const char *why)
{
    struct supervisor *supervisor = user;

    log_error("a runner does not start slot=%s times=%u reason=%s", slot_name(slot), n_in_a_row,
              LOG_QUOTED(why));
    if (n_in_a_row < HOPELESS_STARTS)
        return;
    if (serves_whatever_runs(supervisor))
        set_aside(supervisor, study, "its runner does not start", WORKER_NO_RUNNER);
    else if (!supervisor->has_started_runner)
        stop(supervisor, WORKER_NO_RUNNER, "no runner can be started");
}

static void has_started(void *user)
{
    struct supervisor *supervisor = user;

    supervisor->has_started_runner = true;
}

/* ----------------------------------------------------------------------------------------------------------
 * start */

static int make_client(struct supervisor *supervisor, struct problem *problem)
{
    const struct worker_config *config = supervisor->config;
    struct http_client_config client = {.n_urls = config->coordinators.n_items,
                                        .urls = (const char *const *)config->coordinators.items,
                                        .token = config->token,
                                        .ca_file = config->ca_file,
                                        .cert_file = config->cert_file,
                                        .key_file = config->key_file,
                                        .user_agent = "study-worker/" STUDYD_VERSION,
                                        .connect_timeout_ms = CONNECT_TIMEOUT_MS};

    supervisor->client = http_client_new(&supervisor->loop, &client, problem);
    return supervisor->client ? 0 : -1;
}

/* Those that this process may use. */
static int64_t count_processors(void)
{
    cpu_set_t processors;

    return sched_getaffinity(0, sizeof processors, &processors) == 0 ? CPU_COUNT(&processors) : 1;
}

static void make_slots(struct supervisor *supervisor)
{
    const struct worker_config *config = supervisor->config;
    int64_t threads = config->threads;

    if (threads == 0)
        threads = count_processors() / (int64_t)supervisor->plan.n_slots;
    supervisor->slot_host =
        (struct slot_host){.loop = &supervisor->loop,
                           .runners = &supervisor->plan.runners,
                           .data = &supervisor->plan.data,
                           .threads = threads > 0 ? threads : 1,
                           .trial_timeout_ms = (uint64_t)(config->trial_timeout_s * 1000),
                           .start_timeout_ms = (uint64_t)(config->start_timeout_s * 1000),
                           .ask_ahead_below_ms = (uint64_t)(config->ask_ahead_below_s * 1000),
                           .silence_warning_ms = (uint64_t)(config->silence_warning_s * 1000),
                           .user = supervisor,
                           .changed = slot_changed,
                           .cannot_serve = cannot_serve,
                           .cannot_start = cannot_start,
                           .has_started = has_started};
    supervisor->slots = memory_array(supervisor->plan.n_slots, sizeof(struct slot *));
    for (size_t i = 0; i < supervisor->plan.n_slots; i++)
        supervisor->slots[i] = slot_new(&supervisor->slot_host, &supervisor->plan.places[i]);
}

static void make_stock(struct supervisor *supervisor)
{
    struct stock_host host = {.loop = &supervisor->loop,
                              .client = supervisor->client,
                              .user = supervisor,
                              .ready = serve_soon,
                              .over = trial_over,
                              .emptied = stock_emptied};

    supervisor->stock = stock_new(&host);
}

static void make_poller(struct supervisor *supervisor)
{
    struct poller_host host = {.loop = &supervisor->loop,
                               .client = supervisor->client,
                               .worker = supervisor->config->name,
                               .studies = &supervisor->config->studies,
                               .runners = &supervisor->plan.runners,
                               .user = supervisor,
                               .count_wanted = count_wanted,
                               .except = names_set_aside,
                               .give = give,
                               .all_finished = all_finished,
                               .refused = refused,
                               .stopped = poller_stopped};

    supervisor->poller = poller_new(&host);
}

/* Started under nohup, say: a hang-up is then not for us. */
static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void watch_outside(struct supervisor *supervisor)
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        require(uv_signal_init(&supervisor->loop, &supervisor->signals[i]) == 0);
        supervisor->signals[i].data = supervisor;
        if (!is_ignored(stop_signals[i]))
            uv_signal_start(&supervisor->signals[i], signal_cb, stop_signals[i]);
    }
    require(uv_timer_init(&supervisor->loop, &supervisor->idle_timer) == 0);
    require(uv_timer_init(&supervisor->loop, &supervisor->stop_timer) == 0);
    require(uv_timer_init(&supervisor->loop, &supervisor->serve_timer) == 0);
    supervisor->idle_timer.data = supervisor->stop_timer.data = supervisor->serve_timer.data = supervisor;
    supervisor->watches_stdin = supervisor->config->stop_on_stdin_eof;
    if (supervisor->watches_stdin) {
        require(uv_pipe_init(&supervisor->loop, &supervisor->stdin_pipe, 0) == 0);
        supervisor->stdin_pipe.data = supervisor;
        require(uv_pipe_open(&supervisor->stdin_pipe, STDIN_FILENO) == 0);
        uv_read_start((uv_stream_t *)&supervisor->stdin_pipe, stdin_alloc_cb, stdin_cb);
    }
}

static void supervisor_deinit(struct supervisor *supervisor)
{
    for (size_t i = 0; supervisor->slots && i < supervisor->plan.n_slots; i++)
        slot_free(supervisor->slots[i]);
    free(supervisor->slots);
    stock_free(supervisor->stock);
    unserved_deinit(&supervisor->unserved);
    results_deinit(&supervisor->results);
    worker_plan_deinit(&supervisor->plan);
    require(uv_loop_close(&supervisor->loop) == 0);
}

enum worker_exit supervisor_run(const struct worker_config *config)
{
    struct supervisor supervisor = {.config = config};
    struct problem problem = {};

    require(uv_loop_init(&supervisor.loop) == 0);
    supervisor.start_ms = uv_now(&supervisor.loop);
    if (worker_plan_make(&supervisor.plan, config, &problem) || make_client(&supervisor, &problem)) {
        log_error("%s", problem.detail);
        supervisor_deinit(&supervisor);
        return WORKER_MISCONFIGURED;
    }
    supervisor.results =
        (struct results){.client = supervisor.client, .user = &supervisor, .looked = studies_looked_at};
    make_slots(&supervisor);
    make_stock(&supervisor);
    make_poller(&supervisor);
    watch_outside(&supervisor);
    watch_idleness(&supervisor);
    log_info("started worker=%s slots=%zu gpus=%zu threads=%lld coordinator=%s", config->name,
             supervisor.plan.n_slots, supervisor.plan.gpus.n_ids, (long long)supervisor.slot_host.threads,
             config->coordinators.items[0]);
    poller_wake(supervisor.poller);
    uv_run(&supervisor.loop, UV_RUN_DEFAULT);
    write_summary(&supervisor);
    supervisor_deinit(&supervisor);
    return supervisor.exit_code;
}
