/* SPDX-License-Identifier: MIT */
/* studyd's command line: what is answered at once, and else the daemon. */
#include <stdio.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/daemon.h"
#include "daemon/http/auth.h"
#include "daemon/http/tls.h"
#include "daemon/store/store.h"
#include "proto/buffer.h"
#include "proto/log.h"

static enum exit_code refuse(const struct problem *problem)
{
    fprintf(stderr, "studyd: %s\n", problem->detail);
    return EXIT_SETTINGS;
}

static enum exit_code print(void (*put)(struct buffer *out))
{
    BUFFER_AUTO struct buffer text = {};

    put(&text);
    return fputs(buffer_text(&text), stdout) < 0 || fflush(stdout) ? EXIT_FAILED : EXIT_STOPPED;
}

static void put_version(struct buffer *out)
{
    buffer_append_text(out, "studyd " STUDYD_VERSION "\n");
}

static enum exit_code new_token(const struct config *config, struct problem *problem)
{
    char token[AUTH_TOKEN_SIZE];

    if (auth_add_token(config->token_file, config->new_token, config->for_studies, token, problem))
        return refuse(problem);
    puts(token);
    fprintf(stderr, "studyd: this %s token is shown only now; a running studyd takes it in on SIGHUP\n",
            config->new_token);
    return EXIT_STOPPED;
}

static bool check_tokens(const struct config *config, struct problem *problem)
{
    struct auth *auth = config->token_file ? auth_load(config->token_file, problem) : NULL;

    auth_unref(auth);
    return auth || !config->token_file;
}

/* A certificate's dates are worth a warning: studyd would run with it. */
static bool check_tls(const struct config *config, struct problem *problem)
{
    const struct tls_files files = {config->tls_cert_file, config->tls_key_file, config->tls_client_ca_file};
    struct tls *tls = files.certificate ? tls_load(&files, problem) : NULL;
    struct problem warning = {};

    if (tls_check_dates(tls, time(NULL), &warning))
        fprintf(stderr, "studyd: warning: %s\n", warning.detail);
    tls_unref(tls);
    return tls || !files.certificate;
}

static enum exit_code check_config(const struct config *config, struct problem *problem)
{
    if (!check_tokens(config, problem) || !check_tls(config, problem) ||
        store_check_url(config->store, problem))
        return refuse(problem);
    puts("studyd: the settings are valid");
    return EXIT_STOPPED;
}

static enum exit_code run(struct config *config, int argc, char **argv)
{
    struct problem problem = {};

    if (config_read(config, argc, argv, &problem))
        return refuse(&problem);
    if (config->help)
        return print(config_put_help);
    if (config->version)
        return print(put_version);
    if (config->sample_config)
        return print(config_put_sample);
    if (config->print_schema)
        return print(store_put_schema);
    if (config->new_token)
        return new_token(config, &problem);
    if (config->check_config)
        return check_config(config, &problem);
    return daemon_run(config, argc, argv);
}

int main(int argc, char **argv)
{
    struct config config = {};

    log_open("studyd");

    enum exit_code exit_code = run(&config, argc, argv);

    config_deinit(&config);
    return (int)exit_code;
}
