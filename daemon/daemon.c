/* SPDX-License-Identifier: MIT */
/* Wires the rooms together, and takes them apart in order. */
#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

#include "daemon/http/auth.h"
#include "daemon/http/server.h"
#include "daemon/http/traffic.h"
#include "daemon/ports.h"
#include "daemon/service.h"
#include "daemon/sockets.h"
#include "daemon/store/store.h"
#include "daemon/study/study.h"
#include "proto/buffer.h"
#include "proto/log.h"
#include "proto/require.h"

#define OTHER_FILES 64 /* that are open besides connections */

/* How long each stage of a stop waits at most. */
#define DRAIN_MS 5000       /* for open requests */
#define STORE_GRACE_MS 2500 /* for the changes in the store's queue */
#define FLUSH_MS 500        /* for the answers to those */
#define STOP_LIMIT_MS 9000  /* for all of it, whatever the database does: a thread may hang in it for long */
#define STOP_TURN_MS 20     /* how often it looks */

/* A stop goes down this list. */
enum stage {
    STAGE_RUNNING,
    STAGE_DRAINING, /* no new requests; long polls are sent away, the others finish */
    STAGE_STORING,  /* the store writes what is queued, and closes */
    STAGE_FLUSHING, /* the last answers go out */
    STAGE_ENDED,    /* all is closed; the loop runs out */
};

struct daemon {
    struct config *config; /* borrowed */
    int argc;
    char **argv;
    uv_loop_t loop;
    struct service service;
    struct ports ports;
    struct studies *studies;
    struct store *store; /* NULL before it is opened and after it is closed */
    struct http_context http;
    struct server *server;
    bool is_loaded, is_announced;
    uint64_t trouble_since_ms; /* with the database */

    enum stage stage;
    uv_timer_t stop_timer;
    uint64_t stage_ends_ms, stop_by_ms;
    enum exit_code exit_code;
};

/* Why nothing is served. The newest reason replaces the one before. */
__attribute__((format(printf, 3, 4))) static void
set_unavailable(struct daemon *daemon, enum problem_type type, const char *format, ...)
{
    char reason[400];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    daemon->http.unavailable = (struct problem){};
    problem_set(&daemon->http.unavailable, type, "", "%s", reason);
}

/* ---- stop ---- */

static void closed_cb(void *user)
{
    struct daemon *daemon = user;

    daemon->store = NULL;
}

static void enter_stage(struct daemon *daemon, enum stage stage, uint64_t limit_ms)
{
    daemon->stage = stage;
    daemon->stage_ends_ms = uv_now(&daemon->loop) + limit_ms;
}

static void end(struct daemon *daemon)
{
    daemon->stage = STAGE_ENDED;
    server_close(daemon->server);
    ports_close(&daemon->ports);
    service_close(&daemon->service);
    uv_close((uv_handle_t *)&daemon->stop_timer, NULL);
}

/* Nobody can end a thread that waits for its database or its disk; the process can. */
static void end_in_time(const struct daemon *daemon)
{
    if (uv_now(&daemon->loop) < daemon->stop_by_ms)
        return;
    log_warning("ending without waiting any longer; all that was acknowledged is stored waits_for=\"%s\" "
                "requests=%zu",
                daemon->stage == STAGE_STORING ? "the database" : "open requests",
                server_open_requests(daemon->server));
    _exit((int)daemon->exit_code);
}

static void stop_timer_cb(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    bool is_late = uv_now(&daemon->loop) >= daemon->stage_ends_ms;
    bool is_quiet = is_late || server_open_requests(daemon->server) == 0;
    /* What was begun always comes back, and its request must not go before. */
    bool is_done = studies_open_calls(daemon->studies) == 0 && daemon->ports.pool.n_jobs == 0;

    end_in_time(daemon);
    if (daemon->stage == STAGE_DRAINING && is_quiet) {
        enter_stage(daemon, STAGE_STORING, 0);
        daemon->ports.store = NULL;
        if (daemon->store)
            store_close(daemon->store, STORE_GRACE_MS, closed_cb, daemon);
    } else if (daemon->stage == STAGE_STORING && !daemon->store) {
        enter_stage(daemon, STAGE_FLUSHING, FLUSH_MS);
    } else if (daemon->stage == STAGE_FLUSHING && is_quiet && is_done) {
        end(daemon);
    }
}

static void begin_stop(struct daemon *daemon, enum exit_code exit_code)
{
    if (daemon->stage != STAGE_RUNNING)
        return;
    daemon->exit_code = exit_code;
    service_notify_stopping();
    if (daemon->is_announced)
        log_info("stopping requests=%zu", server_open_requests(daemon->server));
    set_unavailable(daemon, PROBLEM_STOPPING,
                    "studyd is stopping; it may be back soon, or another one may have taken over");
    server_drain(daemon->server);
    if (daemon->is_loaded)
        studies_stop(daemon->studies);
    enter_stage(daemon, STAGE_DRAINING, DRAIN_MS);
    daemon->stop_by_ms = uv_now(&daemon->loop) + STOP_LIMIT_MS;
    uv_timer_start(&daemon->stop_timer, stop_timer_cb, 0, STOP_TURN_MS);
}

static void stop_cb(void *user, bool is_second)
{
    if (is_second) {
        log_warning("told to stop a second time: ending at once; all that was acknowledged is stored");
        _exit(EXIT_FAILED);
    }
    begin_stop(user, EXIT_STOPPED);
}

/* ---- the store says ---- */

static void announce(struct daemon *daemon)
{
    char address[ADDRESS_TEXT_SIZE];

    if (daemon->is_announced)
        return;
    daemon->is_announced = true;
    for (size_t i = 0; i < server_n_addresses(daemon->server); i++) {
        address_format(server_address(daemon->server, i), address);
        fprintf(stderr, "studyd: listening on %s://%s\n", daemon->http.tls ? "https" : "http", address);
    }
    service_notify_ready();
}

static void standby_cb(void *user, const char *owner)
{
    struct daemon *daemon = user;

    if (daemon->stage != STAGE_RUNNING)
        return;
    log_info("standby: %s owns the database %s; waiting to take over", owner, store_name(daemon->store));
    set_unavailable(daemon, PROBLEM_STANDBY, "another studyd owns the database: %s", owner);
    service_notify_status("standby: %s owns the database", owner);
    announce(daemon);
}

static void loaded_cb(void *user)
{
    struct daemon *daemon = user;

    if (daemon->stage != STAGE_RUNNING)
        return;
    daemon->is_loaded = true;
    studies_loaded(daemon->studies);
    daemon->http.unavailable = (struct problem){};
    log_info("serving studies=%zu store=\"%s\"", studies_count(daemon->studies), store_name(daemon->store));
    service_notify_status("serving, %s", store_name(daemon->store));
    announce(daemon);
}

/* One line when it begins, one when it is over. */
static void log_condition(struct daemon *daemon, enum store_condition condition, const char *why)
{
    const char *name = store_name(daemon->store);
    long long lasted_s = (long long)(uv_now(&daemon->loop) - daemon->trouble_since_ms) / 1000;

    switch (condition) {
    case STORE_UNREACHABLE:
        log_warning("the database %s cannot be reached: %s; trying again until it can", name, why);
        break;
    case STORE_STALLED:
        log_warning("the database %s takes no changes, none could be stored for %d s: %s", name,
                    STORE_STALL_S, why);
        break;
    case STORE_WORKS:
        log_info("the database %s is back after %lld s", name, lasted_s);
        break;
    }
}

/* What /readyz and the status page say. */
static void set_not_ready(struct daemon *daemon, enum store_condition condition, const char *why)
{
    struct problem *problem = &daemon->http.not_ready;

    *problem = (struct problem){};
    if (condition == STORE_UNREACHABLE)
        problem_set(problem, PROBLEM_STORE_AWAY, "",
                    "the database cannot be reached; what is in memory can be read: %s", why);
    else if (condition == STORE_STALLED)
        problem_set(problem, PROBLEM_STORE_AWAY, "", "the database takes no changes; it can be read: %s",
                    why);
}

static void condition_cb(void *user, enum store_condition condition, const char *why)
{
    struct daemon *daemon = user;
    bool is_trouble = condition != STORE_WORKS;

    if (is_trouble && !daemon->http.not_ready.type)
        daemon->trouble_since_ms =
            uv_now(&daemon->loop) - (condition == STORE_STALLED ? STORE_STALL_S * 1000 : 0);
    log_condition(daemon, condition, why);
    set_not_ready(daemon, condition, why);
    if (daemon->stage != STAGE_RUNNING)
        return;
    service_notify_status("%s, %s", is_trouble ? "the database takes no changes" : "serving",
                          store_name(daemon->store));
    if (daemon->is_loaded)
        studies_store_away(daemon->studies, is_trouble);
    else if (is_trouble)
        set_unavailable(daemon, PROBLEM_STORE_AWAY, "the database cannot be reached: %s", why);
}

static void failed_cb(void *user, int exit_code, const char *why)
{
    log_error("the database %s: %s", store_name(((struct daemon *)user)->store), why);
    begin_stop(user, (enum exit_code)exit_code);
}

/* ---- reload ---- */

static int load_auth(const struct config *config, struct auth **auth, struct problem *problem)
{
    *auth = NULL;
    if (!config->token_file)
        return 0;
    *auth = auth_load(config->token_file, problem);
    return *auth ? 0 : -1;
}

/* The names of the files are those that it started with. */
static int load_tls(const struct config *config, struct tls **tls, struct problem *problem)
{
    const struct tls_files files = {config->tls_cert_file, config->tls_key_file, config->tls_client_ca_file};

    *tls = NULL;
    if (!files.certificate)
        return 0;
    *tls = tls_load(&files, problem);
    return *tls ? 0 : -1;
}

static void log_certificate(const struct tls *tls)
{
    struct problem problem = {};
    char end[TLS_TIME_SIZE];

    if (!tls)
        return;
    tls_format_end(tls, end);
    if (tls_check_dates(tls, time(NULL), &problem))
        log_warning("%s", problem.detail);
    else
        log_info("https with a certificate that ends on %s", end);
}

/* What requests are judged by, from the settings as they are now. */
static void use_settings(struct daemon *daemon, struct auth *auth, struct tls *tls)
{
    tls_unref(daemon->http.tls);
    daemon->http.tls = tls;
    log_certificate(tls);
    auth_unref(daemon->http.auth);
    daemon->http.auth = auth;
    daemon->http.hosts = daemon->config->hosts;
    daemon->http.listen = daemon->config->listen;
    log_set_level((enum log_level)daemon->config->log_level);
}

/* All is valid, and taken over; or nothing is. */
static int reload(struct daemon *daemon, struct buffer *restart, struct problem *problem)
{
    struct config fresh = {};
    struct auth *auth = NULL;
    struct tls *tls = NULL;
    int result = -1;

    if (config_read(&fresh, daemon->argc, daemon->argv, problem) == 0 &&
        load_auth(&fresh, &auth, problem) == 0 && load_tls(daemon->config, &tls, problem) == 0 &&
        config_reload(daemon->config, &fresh, restart, problem) == 0) {
        use_settings(daemon, auth, tls);
        result = 0;
    } else {
        auth_unref(auth);
        tls_unref(tls);
    }
    config_deinit(&fresh);
    return result;
}

static void reload_cb(void *user)
{
    struct daemon *daemon = user;
    BUFFER_AUTO struct buffer restart = {};
    struct problem problem = {};

    if (daemon->stage != STAGE_RUNNING)
        return;
    service_notify_reloading();
    if (reload(daemon, &restart, &problem))
        log_error("the settings were not read again, the old ones stay: %s", problem.detail);
    else if (restart.size)
        log_warning("the settings were read again; a restart is needed for %s", buffer_text(&restart));
    else
        log_info("the settings were read again");
    service_notify_ready();
}

/* ---- start ---- */

/* The files that can be open at a time, as many as we may have. */
static rlim_t raise_file_limit(void)
{
    struct rlimit limit = {}, raised;

    getrlimit(RLIMIT_NOFILE, &limit);
    raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

/* How many connections each address may have. They leave files to the rest of us: else the database could
 * not be opened again, nor the settings read, while clients hold all there are. */
static unsigned limit_connections(const struct config *config)
{
    rlim_t wanted = (rlim_t)config->max_connections, n_files = raise_file_limit();
    rlim_t left = n_files > OTHER_FILES ? (n_files - OTHER_FILES) / config->listen.n_items : 0;

    if (left >= wanted)
        return (unsigned)wanted;
    if (left == 0)
        left = 1;
    log_info(
        "fewer connections can be open than max_connections on_each_address=%llu reason=\"%llu files can "
        "be open at a time: LimitNOFILE=, ulimit -n\"",
        (unsigned long long)left, (unsigned long long)n_files);
    return (unsigned)left;
}

static void warn_of_eavesdroppers(const struct daemon *daemon, const struct address *address)
{
    if (daemon->http.auth && !daemon->http.tls && !address_is_loopback(address))
        log_warning("tokens go over the network as plain text: whoever can read along can use them; serve "
                    "https (tls_cert_file), or let a proxy on this machine do it");
}

static int listen_all(struct daemon *daemon, struct problem *problem)
{
    const struct config *config = daemon->config;
    unsigned max_connections = limit_connections(config);

    for (size_t i = 0; i < config->listen.n_items; i++) {
        struct address address;

        int socket = i < config->n_sockets ? sockets_fd(i) : -1;

        if (address_parse(&address, config->listen.items[i], problem) ||
            server_listen(daemon->server, &address, socket, max_connections, problem))
            return -1;
        warn_of_eavesdroppers(daemon, &address);
    }
    return 0;
}

static int open_store(struct daemon *daemon, struct problem *problem)
{
    const struct config *config = daemon->config;
    const struct store_sink sink = studies_sink(daemon->studies);
    const struct store_observer observer = {.user = daemon,
                                            .standby = standby_cb,
                                            .loaded = loaded_cb,
                                            .condition = condition_cb,
                                            .failed = failed_cb};

    daemon->store = store_new(&daemon->loop, config->store, config->password, &sink, &observer, problem);
    if (!daemon->store)
        return -1;
    daemon->ports.store = daemon->store;
    daemon->http.store_name = store_name(daemon->store);
    return 0;
}

static void store_stats_cb(void *user, struct store_stats *stats)
{
    struct daemon *daemon = user;

    if (daemon->store)
        store_stats(daemon->store, stats);
}

static void build(struct daemon *daemon)
{
    const struct service_callbacks callbacks = {.user = daemon, .stop = stop_cb, .reload = reload_cb};
    struct study_ports study_ports;

    require(uv_loop_init(&daemon->loop) == 0);
    daemon->stop_timer.data = daemon;
    require(uv_timer_init(&daemon->loop, &daemon->stop_timer) == 0);
    service_start(&daemon->service, &daemon->loop, &callbacks);
    ports_init(&daemon->ports, &daemon->loop);
    study_ports = ports_for_studies(&daemon->ports);
    daemon->studies = daemon->ports.studies = studies_new(&study_ports);
    daemon->http.started_s = time(NULL);
    daemon->http.studies = daemon->studies;
    daemon->http.traffic = traffic_new();
    daemon->http.sampler_runs = &daemon->ports.pool.runs;
    daemon->http.store_stats = store_stats_cb;
    daemon->http.user = daemon;
    daemon->http.failed_auth = failed_auth_new();
    set_unavailable(daemon, PROBLEM_STORE_AWAY, "the studies are being loaded");
    daemon->server = server_new(&daemon->loop, &daemon->http, (unsigned)daemon->config->request_timeout_s);
}

static enum exit_code start(struct daemon *daemon, struct problem *problem)
{
    struct auth *auth;
    struct tls *tls;

    if (load_auth(daemon->config, &auth, problem))
        return EXIT_SETTINGS;
    if (load_tls(daemon->config, &tls, problem)) {
        auth_unref(auth);
        return EXIT_SETTINGS;
    }
    use_settings(daemon, auth, tls);
    if (config_make_state_dir(daemon->config, problem) || listen_all(daemon, problem))
        return EXIT_FAILED;
    return open_store(daemon, problem) ? EXIT_SETTINGS : EXIT_STOPPED;
}

enum exit_code daemon_run(struct config *config, int argc, char **argv)
{
    struct daemon daemon = {.config = config, .argc = argc, .argv = argv};
    struct problem problem = {};

    build(&daemon);

    enum exit_code exit_code = start(&daemon, &problem);

    if (exit_code != EXIT_STOPPED) {
        log_error("%s", problem.detail);
        begin_stop(&daemon, exit_code);
    }
    uv_run(&daemon.loop, UV_RUN_DEFAULT);
    require(daemon.stage == STAGE_ENDED);
    studies_free(daemon.studies);
    auth_unref(daemon.http.auth);
    traffic_free(daemon.http.traffic);
    tls_unref(daemon.http.tls);
    failed_auth_free(daemon.http.failed_auth);
    require(uv_loop_close(&daemon.loop) == 0);
    return daemon.exit_code;
}
