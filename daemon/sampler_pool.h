/* SPDX-License-Identifier: MIT */
/* Suggestions off the loop thread: libuv's work queue behind the study's port. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "daemon/study/study.h"
#include "proto/histogram.h"

/* Zeroed and with `loop` set it is ready. Loop thread only. */
struct sampler_pool {
    uv_loop_t *loop;
    size_t n_jobs;         /* whose done() is still to come */
    struct histogram runs; /* how long jobs took on their threads */
};

void sampler_pool_submit(struct sampler_pool *pool, struct sampler_job *job);
