/* SPDX-License-Identifier: MIT */
/* The table of studyd's settings, and what they become where nothing is said. */
#include "daemon/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/http/address.h"
#include "daemon/sockets.h"
#include "proto/buffer.h"
#include "proto/memory.h"

#define DEFAULT_FILE "/etc/studyd/studyd.conf"

/* Of systemd, for what no setting names. */
#define CREDENTIAL_PASSWORD "studyd.password"
#define CREDENTIAL_TOKENS "studyd.tokens"
#define CREDENTIAL_CERT "studyd.cert"
#define CREDENTIAL_KEY "studyd.key"
#define MAX_PASSWORD 1000

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

#define AT(member) offsetof(struct config, member)
static const struct option_row rows[] = {
    {"config", "FILE", OPTION_TEXT, AT(config), .is_command_line_only = true,
     .help = "read settings from FILE instead of " DEFAULT_FILE},
    {"listen", "ADDR:PORT", OPTION_LIST, AT(listen), .default_text = "127.0.0.1:8090",
     .help = "address to serve HTTP on, as 127.0.0.1:8090 or [::1]:8090; port 0 takes a free one; "
             "sockets that systemd passes (studyd.socket) stand for all of them"},
    {"store", "URL", OPTION_TEXT, AT(store),
     .help =
         "the database, as mysql://user:password@host:3306/optuna, "
         "mysql://user@localhost/optuna?unix_socket=/run/mysqld/mysqld.sock or sqlite:////path/to/studyd.db; "
         "else studyd.db in state_dir"},
    {"password_file", "FILE", OPTION_TEXT, AT(password_file),
     .help =
         "holds the database's password, alone on its line; else systemd's credential " CREDENTIAL_PASSWORD
         ", else what the store's URL says"},
    {"state_dir", "DIR", OPTION_TEXT, AT(state_dir),
     .help = "where studyd keeps its studies when no store is given; else systemd's StateDirectory, else "
             "~/.local/state/studyd"},
    {"token_file", "FILE", OPTION_TEXT, AT(token_file), .is_reloadable = true,
     .help = "holds the hashes of the tokens that clients must show; --new-token writes it; else systemd's "
             "credential " CREDENTIAL_TOKENS},
    {"tls_cert_file", "FILE", OPTION_TEXT, AT(tls_cert_file),
     .help = "serve https with this PEM certificate, followed by those that lead to its authority; the file "
             "is read again on SIGHUP; else systemd's credential " CREDENTIAL_CERT},
    {"tls_key_file", "FILE", OPTION_TEXT, AT(tls_key_file),
     .help = "holds the certificate's key, as PEM without a password; read again on SIGHUP; else "
             "systemd's credential " CREDENTIAL_KEY},
    {"tls_client_ca_file", "FILE", OPTION_TEXT, AT(tls_client_ca_file),
     .help = "let in only clients that show a certificate signed by one of these, besides their token; read "
             "again on SIGHUP"},
    {"hosts", "NAME", OPTION_LIST, AT(hosts), .is_reloadable = true,
     .help =
         "a name under which clients reach studyd, as in their Host header; loopback and the addresses of "
         "listen always are"},
    {"allow_unauthenticated", NULL, OPTION_BOOL, AT(allow_unauthenticated),
     .help = "serve beyond loopback without a token file: whoever reaches the port may do everything"},
    {"max_connections", "N", OPTION_INT, AT(max_connections), .default_text = "10000", .low = 1,
     .high = 1000000, .help = "connections open at a time, on each address"},
    {"request_timeout_s", "S", OPTION_INT, AT(request_timeout_s), .default_text = "75", .low = 1,
     .high = 86400,
     .help = "seconds that a request may take to arrive, its answer to be taken, and a connection to say "
             "nothing; an "
             "ask that waits is not meant"},
    {"log_level", "LEVEL", OPTION_CHOICE, AT(log_level), .default_text = "info", .choices = log_levels,
     .is_reloadable = true, .help = "the least that is logged"},
    {"new_token", "ROLE", OPTION_TEXT, AT(new_token), .is_command_line_only = true,
     .help = "print a new token for reader, worker or admin, add its hash to the token file, and end"},
    {"for_studies", "LIST", OPTION_TEXT, AT(for_studies), .is_command_line_only = true,
     .help = "hold the new token to these studies, as wine,exp-*: names, or how names begin and a *"},
    {"check_config", NULL, OPTION_BOOL, AT(check_config), .is_command_line_only = true,
     .help = "say whether the settings are valid, and end"},
    {"sample_config", NULL, OPTION_BOOL, AT(sample_config), .is_command_line_only = true,
     .help = "print a configuration file with all keys and their defaults, and end"},
    {"print_schema", NULL, OPTION_BOOL, AT(print_schema), .is_command_line_only = true,
     .help = "print the statements that make the tables in a MySQL database, for an account that may not, "
             "and end"},
    {"help", NULL, OPTION_BOOL, AT(help), .is_command_line_only = true, .help = "print this and end"},
    {"version", NULL, OPTION_BOOL, AT(version), .is_command_line_only = true,
     .help = "print the version and end"},
    {NULL}};

/* ---- what stands for what was not given ---- */

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = memory_strdup("");
    va_end(arguments);
    return text;
}

static int choose_state_dir(struct config *config, struct problem *problem)
{
    const char *systemd = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (config->state_dir)
        return 0;
    if (systemd && *systemd)
        config->state_dir = memory_strndup(systemd, strcspn(systemd, ":"));
    else if (xdg && *xdg == '/')
        config->state_dir = text_of("%s/studyd", xdg);
    else if (home && *home == '/')
        config->state_dir = text_of("%s/.local/state/studyd", home);
    else
        return problem_set(problem, PROBLEM_INVALID, "state_dir",
                           "where shall studies be kept? Give --store or --state-dir, or set HOME");
    return 0;
}

/* The file's first line. */
static int read_password(struct config *config, const char *path, struct problem *problem)
{
    char line[MAX_PASSWORD + 2] = "";
    FILE *file = fopen(path, "re");

    if (!file)
        return problem_set(problem, PROBLEM_INVALID, "password_file", "cannot read the password file %s: %s",
                           path, strerror(errno));

    const char *got = fgets(line, sizeof line, file);
    size_t length = strcspn(line, "\r\n");

    fclose(file);
    if (!got || length == 0 || length > MAX_PASSWORD)
        return problem_set(problem, PROBLEM_INVALID, "password_file",
                           "there is no password in the first line of %s", path);
    config->password = memory_strndup(line, length);
    explicit_bzero(line, sizeof line);
    return 0;
}

/* The path of systemd's credential, or NULL where there is none of this name. */
static char *find_credential(const char *name)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *path = directory ? text_of("%s/%s", directory, name) : NULL;
    struct stat status;

    if (path && stat(path, &status) == 0)
        return path;
    free(path);
    return NULL;
}

static void choose_file(char **file, const char *credential)
{
    if (!*file)
        *file = find_credential(credential);
}

static int choose_password(struct config *config, struct problem *problem)
{
    MEMORY_AUTO char *credential = find_credential(CREDENTIAL_PASSWORD);
    const char *path = config->password_file ? config->password_file : credential;

    return path ? read_password(config, path, problem) : 0;
}

static int choose_store(struct config *config, struct problem *problem)
{
    if (config->store)
        return 0;
    if (choose_state_dir(config, problem))
        return -1;
    config->store = text_of("sqlite:///%s/studyd.db", config->state_dir);
    return 0;
}

/* ---- checks ---- */

/* An address is judged alike whoever opens it. */
static int take_sockets(struct config *config, struct problem *problem)
{
    char text[ADDRESS_TEXT_SIZE];
    struct option_list *listen = &config->listen;

    config->n_sockets = sockets_count();
    if (config->n_sockets == 0)
        return 0;
    while (listen->n_items)
        free(listen->items[--listen->n_items]);
    listen->items = memory_resize(listen->items, config->n_sockets, sizeof listen->items[0]);
    while (listen->n_items < config->n_sockets) {
        struct address address;

        if (sockets_address(listen->n_items, &address, problem))
            return -1;
        address_format(&address, text);
        listen->items[listen->n_items++] = memory_strdup(text);
    }
    return 0;
}

static int check_listen(const struct config *config, struct problem *problem)
{
    for (size_t i = 0; i < config->listen.n_items; i++) {
        struct address address;

        if (address_parse(&address, config->listen.items[i], problem))
            return -1;
        if (!address_is_loopback(&address) && !config->token_file && !config->allow_unauthenticated)
            return problem_set(
                problem, PROBLEM_INVALID, "listen",
                "listen %s can be reached from other machines, and there is no token file: give "
                "--token-file FILE (studyd --token-file FILE --new-token admin makes one), or say "
                "--allow-unauthenticated",
                config->listen.items[i]);
    }
    return 0;
}

static int check_tls(const struct config *config, struct problem *problem)
{
    if (!config->tls_cert_file == !config->tls_key_file &&
        (config->tls_cert_file || !config->tls_client_ca_file))
        return 0;
    return problem_set(problem, PROBLEM_INVALID, "tls_cert_file",
                       "https needs both tls_cert_file and tls_key_file, tls_client_ca_file only comes on "
                       "top, and there is no %s",
                       config->tls_cert_file ? "tls_key_file" : "tls_cert_file");
}

int config_read(struct config *config, int argc, char **argv, struct problem *problem)
{
    char error[512];

    if (options_read(rows, config, argc, argv, DEFAULT_FILE, error, sizeof error))
        return problem_set(problem, PROBLEM_INVALID, "", "%s", error);
    if (config->help || config->version || config->sample_config || config->print_schema)
        return 0;
    if (config->for_studies && !config->new_token)
        return problem_set(problem, PROBLEM_INVALID, "for_studies", "--for-studies needs --new-token ROLE");
    if (config->new_token && !config->token_file)
        return problem_set(problem, PROBLEM_INVALID, "token_file",
                           "--new-token needs --token-file FILE, to add its hash to");
    if (config->new_token)
        return 0;
    choose_file(&config->token_file, CREDENTIAL_TOKENS);
    choose_file(&config->tls_cert_file, CREDENTIAL_CERT);
    choose_file(&config->tls_key_file, CREDENTIAL_KEY);
    if (take_sockets(config, problem) || check_listen(config, problem) || check_tls(config, problem) ||
        choose_store(config, problem))
        return -1;
    return choose_password(config, problem);
}

static void forget_password(struct config *config)
{
    if (config->password)
        explicit_bzero(config->password, strlen(config->password));
    free(config->password);
    config->password = NULL;
}

void config_deinit(struct config *config)
{
    forget_password(config);
    options_deinit(rows, config);
}

/* ---- what is done with them ---- */

int config_make_state_dir(const struct config *config, struct problem *problem)
{
    if (!config->state_dir)
        return 0;

    MEMORY_AUTO char *path = memory_strdup(config->state_dir);

    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(path, 0700) && errno != EEXIST)
            return problem_set(problem, PROBLEM_INVALID, "state_dir",
                               "cannot make the directory %s: %s; name another one with --state-dir, or a "
                               "database with --store",
                               path, strerror(errno));
        if (!slash)
            return 0;
        *slash = '/';
    }
}

/* Exchanges what can change while studyd runs; names the rest. */
static void swap_reloadable(struct config *config, struct config *fresh, struct buffer *restart)
{
    for (const struct option_row *row = rows; row->name; row++) {
        if (row->is_command_line_only || option_equal(row, config, fresh))
            continue;
        if (row->is_reloadable)
            option_swap(row, config, fresh);
        else
            buffer_printf(restart, "%s%s", restart->size ? ", " : "", row->name);
    }
}

int config_reload(struct config *config, struct config *fresh, struct buffer *restart,
                  struct problem *problem)
{
    swap_reloadable(config, fresh, restart);
    if (check_listen(config, problem) == 0)
        return 0;
    buffer_clear(restart);
    swap_reloadable(config, fresh, restart);
    return -1;
}

void config_put_help(struct buffer *out)
{
    buffer_append_text(out,
                       "studyd: owns the studies, answers ask and tell over HTTP.\n\n  studyd [OPTION]…\n\n");
    options_put_help(rows, out);
    buffer_append_text(
        out, "\nEvery option is also a key of the file, with underscores. SIGTERM stops, SIGHUP reads the "
             "file again.\nEnds with 0 when it was stopped, 1 when it failed, 2 for wrong settings, 3 where "
             "the database\nrefuses it.\n");
}

void config_put_sample(struct buffer *out)
{
    buffer_append_text(out,
                       "# SPDX-License-Identifier: MIT\n"
                       "# Settings of studyd. What stands here behind a # is the default, or an example.\n"
                       "# This file is what studyd --sample-config prints.\n\n");
    options_put_sample(rows, out);
}
