/* SPDX-License-Identifier: MIT */
/* libcurl's multi interface on a libuv loop: transfers go in, each comes out once. */
#pragma once

#include <curl/curl.h>
#include <uv.h>

struct curl_loop;

/* A transfer has ended; its handle is out of the loop and may be added again from here. Never called from
 * within curl_loop_add(). */
typedef void curl_loop_done_cb(CURL *easy, CURLcode result);

[[nodiscard]] struct curl_loop *curl_loop_new(uv_loop_t *loop, curl_loop_done_cb *done);
void curl_loop_add(struct curl_loop *curl, CURL *easy);
/* Takes a transfer out; `done` does not come for it. */
void curl_loop_remove(struct curl_loop *curl, CURL *easy);
/* No transfer may be inside. `closed` comes when the loop has let go of everything and `curl` is freed. */
void curl_loop_close(struct curl_loop *curl, void (*closed)(void *user), void *user);
