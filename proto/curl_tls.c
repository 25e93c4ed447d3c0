/* SPDX-License-Identifier: MIT */
/* Looks at the certificate that a failed transfer was shown. */
#include "proto/curl_tls.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* What libcurl has noted of the coordinator's own certificate under this key ("Expire date"), or NULL. */
static const char *find_noted(CURL *easy, const char *key)
{
    struct curl_certinfo *info = NULL;
    size_t length = strlen(key);

    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || info->num_of_certs < 1)
        return NULL;
    for (const struct curl_slist *item = info->certinfo[0]; item; item = item->next)
        if (strncasecmp(item->data, key, length) == 0 && item->data[length] == ':')
            return item->data + length + 1;
    return NULL;
}

/* -1 for a text that is no time. */
static time_t read_time(const char *text)
{
    struct tm tm = {};

    if (!text || sscanf(text, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                        &tm.tm_min, &tm.tm_sec) != 6)
        return -1;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return timegm(&tm);
}

static void explain_certificate(CURL *easy, const char *words, const char *ca_file, char *text, size_t size)
{
    const char *begin = find_noted(easy, "Start date"), *end = find_noted(easy, "Expire date");
    time_t now_s = time(NULL), begin_s = read_time(begin), end_s = read_time(end);

    if (end_s >= 0 && end_s < now_s)
        snprintf(text, size, "the coordinator's certificate has ended on %s: it needs a new one", end);
    else if (begin_s > now_s)
        snprintf(text, size, "the coordinator's certificate is not valid before %s; is the clock here right?",
                 begin);
    else if (strstr(words, "does not match"))
        snprintf(text, size, "%s: the URL must have the name that the certificate is for", words);
    else
        snprintf(text, size,
                 "the coordinator's certificate is not signed by an authority that is trusted here: set "
                 "ca_file to that authority's certificate (%s%s)",
                 ca_file ? "it is now " : "now it is the system's", ca_file ? ca_file : "");
}

/* A server whose clients must show a certificate says so in an alert, which the end of the connection may
 * overtake. */
static bool may_want_certificate(CURLcode result)
{
    return result == CURLE_SSL_CONNECT_ERROR || result == CURLE_SEND_ERROR || result == CURLE_RECV_ERROR ||
           result == CURLE_GOT_NOTHING;
}

void curl_tls_explain(CURL *easy, CURLcode result, const char *words, const char *ca_file,
                      const char *cert_file, bool was_answered, char *text, size_t size)
{
    char *scheme = NULL;

    curl_easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
    if (result == CURLE_PEER_FAILED_VERIFICATION)
        explain_certificate(easy, words, ca_file, text, size);
    else if (scheme && strcasecmp(scheme, "https") == 0 && may_want_certificate(result))
        snprintf(text, size, "%s; does the coordinator speak https on this port, and %s?", words,
                 cert_file ? "is our cert_file still valid, for clients, and signed by its tls_client_ca_file"
                           : "does it want a certificate of us: cert_file, key_file");
    else if (!was_answered && may_want_certificate(result)) /* whoever speaks https ends what is plain */
        snprintf(text, size, "%s; does the coordinator speak https on this port (https://, and ca_file)?",
                 words);
    else
        snprintf(text, size, "%s", words);
}
