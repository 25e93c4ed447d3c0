/* SPDX-License-Identifier: MIT */
/* Loads certificates with GnuTLS, and gives them to libmicrohttpd's connections. */
#include "daemon/http/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/memory.h"
#include "proto/require.h"

#define SOON_S (7 * 86400) /* a certificate that ends so soon should have been renewed by now */

struct tls {
    size_t n_refs;
    gnutls_certificate_credentials_t credentials;
    bool wants_client_certificate;
    time_t begins_s, ends_s;
    char *path; /* of the certificate */
};

/* ---- the files ---- */

/* GnuTLS does not say why it cannot read a file. */
static int check_readable(const char *path, const char *field, struct problem *problem)
{
    if (access(path, R_OK) == 0)
        return 0;
    return problem_set(
        problem, PROBLEM_INVALID, field, "%s: cannot read %s: %s%s", field, path, strerror(errno),
        errno == EACCES ? "; studyd's user must be able to read it, as by chgrp and chmod 640" : "");
}

static int load_file(const char *path, const char *field, gnutls_datum_t *data, struct problem *problem)
{
    if (check_readable(path, field, problem))
        return -1;

    int code = gnutls_load_file(path, data);

    return code == 0 ? 0
                     : problem_set(problem, PROBLEM_INVALID, field, "%s: cannot read %s: %s", field, path,
                                   gnutls_strerror(code));
}

static int read_dates(struct tls *tls, const gnutls_datum_t *data, struct problem *problem)
{
    gnutls_x509_crt_t *chain;
    unsigned n;

    if (gnutls_x509_crt_list_import2(&chain, &n, data, GNUTLS_X509_FMT_PEM, 0) < 0)
        return problem_set(problem, PROBLEM_INVALID, "tls_cert_file",
                           "tls_cert_file: %s holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
                           tls->path);
    tls->begins_s = gnutls_x509_crt_get_activation_time(chain[0]);
    tls->ends_s = gnutls_x509_crt_get_expiration_time(chain[0]);
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(chain[i]);
    gnutls_free(chain);
    return 0;
}

static int use_pair(struct tls *tls, const struct tls_files *files, const gnutls_datum_t *certificate,
                    const gnutls_datum_t *key, struct problem *problem)
{
    int code = gnutls_certificate_set_x509_key_mem2(tls->credentials, certificate, key, GNUTLS_X509_FMT_PEM,
                                                    NULL, 0);

    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return problem_set(problem, PROBLEM_INVALID, "tls_key_file",
                           "tls_key_file: the key in %s is not that of the certificate in %s", files->key,
                           files->certificate);
    if (code < 0)
        return problem_set(problem, PROBLEM_INVALID, "tls_key_file",
                           "tls_key_file: %s holds no key in PEM without a password: %s", files->key,
                           gnutls_strerror(code));
    return 0;
}

static int load_pair(struct tls *tls, const struct tls_files *files, struct problem *problem)
{
    gnutls_datum_t certificate = {}, key = {};
    int result = -1;

    if (load_file(files->certificate, "tls_cert_file", &certificate, problem) == 0 &&
        load_file(files->key, "tls_key_file", &key, problem) == 0 &&
        read_dates(tls, &certificate, problem) == 0)
        result = use_pair(tls, files, &certificate, &key, problem);
    if (key.data)
        gnutls_memset(key.data, 0, key.size);
    gnutls_free(key.data);
    gnutls_free(certificate.data);
    return result;
}

static int load_client_ca(struct tls *tls, const char *path, struct problem *problem)
{
    if (!path)
        return 0;
    tls->wants_client_certificate = true;
    if (check_readable(path, "tls_client_ca_file", problem))
        return -1;

    int n = gnutls_certificate_set_x509_trust_file(tls->credentials, path, GNUTLS_X509_FMT_PEM);

    return n > 0 ? 0
                 : problem_set(problem, PROBLEM_INVALID, "tls_client_ca_file",
                               "tls_client_ca_file: %s holds no certificate in PEM: %s", path,
                               n < 0 ? gnutls_strerror(n) : "it is empty");
}

struct tls *tls_load(const struct tls_files *files, struct problem *problem)
{
    struct tls *tls = memory_new(sizeof *tls);

    tls->n_refs = 1;
    tls->path = memory_strdup(files->certificate);
    require(gnutls_certificate_allocate_credentials(&tls->credentials) == 0);
    if (load_pair(tls, files, problem) == 0 && load_client_ca(tls, files->client_ca, problem) == 0)
        return tls;
    tls_unref(tls);
    return NULL;
}

struct tls *tls_ref(struct tls *tls)
{
    if (tls)
        tls->n_refs++;
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || --tls->n_refs > 0)
        return;
    gnutls_certificate_free_credentials(tls->credentials);
    free(tls->path);
    free(tls);
}

/* ---- a connection ---- */

/* libmicrohttpd would only ask for a certificate, and never look at it: GnuTLS ends the handshake of whoever
 * shows none, or one that the authority has not signed for clients. */
static void demand_certificate(gnutls_session_t session)
{
    static gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                            .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};

    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_cert2(session, &purpose, 1, 0);
}

void tls_begin(const struct tls *tls, struct MHD_Connection *connection)
{
    if (!tls)
        return;

    gnutls_session_t session =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;

    require(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0);
    if (tls->wants_client_certificate)
        demand_certificate(session);
}

/* ---- its dates ---- */

static void format_time(time_t time_s, char text[TLS_TIME_SIZE])
{
    struct tm tm;

    strftime(text, TLS_TIME_SIZE, "%Y-%m-%d %H:%M UTC", gmtime_r(&time_s, &tm));
}

void tls_format_end(const struct tls *tls, char text[TLS_TIME_SIZE])
{
    format_time(tls->ends_s, text);
}

int tls_check_dates(const struct tls *tls, int64_t now_s, struct problem *problem)
{
    char begin[TLS_TIME_SIZE], end[TLS_TIME_SIZE];

    if (!tls)
        return 0;
    format_time(tls->begins_s, begin);
    format_time(tls->ends_s, end);
    if (now_s < tls->begins_s)
        return problem_set(problem, PROBLEM_INVALID, "tls_cert_file",
                           "the certificate in %s is not valid before %s: clients refuse it", tls->path,
                           begin);
    if (now_s > tls->ends_s)
        return problem_set(problem, PROBLEM_INVALID, "tls_cert_file",
                           "the certificate in %s has ended on %s: clients refuse it; put a new one there, "
                           "and send SIGHUP",
                           tls->path, end);
    if (now_s > tls->ends_s - SOON_S)
        return problem_set(problem, PROBLEM_INVALID, "tls_cert_file",
                           "the certificate in %s ends on %s; put a new one there, and send SIGHUP",
                           tls->path, end);
    return 0;
}
