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
    uint64_t took_ns;
};

static void run_cb(uv_work_t *uv) /* pool thread */
{
    struct work *work = uv->data;
    uint64_t begun_ns = uv_hrtime();

    work->job->run(work->job);
    work->took_ns = uv_hrtime() - begun_ns;
}

static void done_cb(uv_work_t *uv, int)
{
    struct work *work = uv->data;
    struct sampler_job *job = work->job;

    work->pool->n_jobs--;
    histogram_add(&work->pool->runs, work->took_ns);
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
