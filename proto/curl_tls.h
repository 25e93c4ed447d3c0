/* SPDX-License-Identifier: MIT */
/* Says what is wrong with a TLS connection, and what would be right: libcurl's words alone do not tell an old
 * certificate from one of another authority. */
#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* The reason of a transfer that failed with `result` (its handle has CURLOPT_CERTINFO) and libcurl's `words`.
 * The files may be NULL. `was_answered`: this client has had answers before. */
void curl_tls_explain(CURL *easy, CURLcode result, const char *words, const char *ca_file,
                      const char *cert_file, bool was_answered, char *text, size_t size);
