/* SPDX-License-Identifier: MIT */
/* Runs sampler jobs on libuv's threads. */
#include "daemon/sampler_pool.h"

#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

struct work {
    uv_work_t uv;
    struct sampler_pool *pool;
    struct sampler_job *job;
};

static void run_cb(uv_work_t *uv) /* pool thread */
{
    struct work *work = uv->data;

    work->job->run(work->job);
}

static void done_cb(uv_work_t *uv, int)
{
    struct work *work = uv->data;
    struct sampler_job *job = work->job;

    work->pool->n_jobs--;
    free(work);
    job->done(job);
}

void sampler_pool_submit(struct sampler_pool *pool, struct sampler_job *job)
{
    struct work *work = memory_new(sizeof *work);

    work->uv.data = work;
    work->pool = pool;
    work->job = job;
    pool->n_jobs++;
    require(uv_queue_work(pool->loop, &work->uv, run_cb, done_cb) == 0);
}
