/* SPDX-License-Identifier: MIT */
/* Times one TPE suggestion with its index update, without HTTP and commit: ask N_PARAMS uniform|own N_TRIALS…
 * Each N_TRIALS gives a line {"trials", "median_us", "p99_us", "baseline_us"}; the last is the median of the
 * build for CPUs without AVX2. Histories are random, or what the sampler itself suggested on a sphere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/sampler/philox.h"
#include "daemon/sampler/sampler_kind.h"
#include "daemon/sampler/tpe.h"
#include "proto/memory.h"
#include "proto/require.h"

#define N_SAMPLES 100

struct bench {
    struct spec *spec;
    void *tpe;
    struct history *history;
    double *params;
};

static double now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static struct spec *make_spec(size_t n_params)
{
    json_auto_t *json = json_pack("{s:s, s:[s], s:{}, s:{s:s, s:i}}", "name", "bench", "directions",
                                  "minimize", "space", "sampler", "type", "tpe", "seed", 1);
    struct problem problem = {};

    for (size_t i = 0; i < n_params; i++) {
        char name[24];

        snprintf(name, sizeof name, "x%zu", i);
        json_object_set_new(json_object_get(json, "space"), name,
                            json_pack("{s:s, s:i, s:i}", "type", "float", "low", 0, "high", 1));
    }

    struct spec *spec = spec_read(json, 0, &problem);

    require(spec && sampler_complete_spec(spec, &problem) == 0);
    return spec;
}

/* The time of one suggestion; its trial's parameters are left in bench->params. */
static double suggest(struct bench *bench)
{
    struct sampler_view view = {.history = bench->history, .n_finished = history_size(bench->history)};
    double begin = now_us();

    sampler_tpe.suggest(bench->tpe, &view, (int64_t)view.n_finished, bench->params);
    return now_us() - begin;
}

static void append(struct bench *bench)
{
    size_t n_params = bench->spec->space->n_params;
    double value = 0;

    for (size_t i = 0; i < n_params; i++)
        value += (bench->params[i] - 0.3) * (bench->params[i] - 0.3);
    history_append(bench->history, &(struct history_trial){.number = (int64_t)history_size(bench->history),
                                                           .state = TRIAL_COMPLETE,
                                                           .params = bench->params,
                                                           .values = &value});
}

static void draw_uniformly(struct bench *bench)
{
    struct draw_key key = {
        .seed = 2, .number = (int64_t)history_size(bench->history), .purpose = DRAW_RANDOM};

    for (size_t i = 0; i < bench->spec->space->n_params; i++)
        bench->params[i] = draw_uniform(&key, (uint32_t)i);
}

static int compare_doubles(const void *a_time, const void *b_time)
{
    double a = *(const double *)a_time, b = *(const double *)b_time;

    return a < b ? -1 : a > b;
}

/* Each suggestion is told before the next, so that each has its index update. */
static void measure(struct bench *bench, double times_us[N_SAMPLES])
{
    suggest(bench);
    for (size_t i = 0; i < N_SAMPLES; i++) {
        times_us[i] = suggest(bench);
        append(bench);
    }
    qsort(times_us, N_SAMPLES, sizeof times_us[0], compare_doubles);
}

int main(int argc, char **argv)
{
    if (argc < 4 || (strcmp(argv[2], "uniform") != 0 && strcmp(argv[2], "own") != 0)) {
        fprintf(stderr, "usage: %s N_PARAMS uniform|own N_TRIALS...\n", argv[0]);
        return 2;
    }

    struct bench bench = {.spec = make_spec((size_t)atoi(argv[1]))};
    bool is_own = strcmp(argv[2], "own") == 0;
    double times_us[N_SAMPLES];

    bench.tpe = sampler_tpe.state_new(bench.spec);
    bench.history = history_new(bench.spec->space->n_params, 1);
    bench.params = memory_array(bench.spec->space->n_params, sizeof bench.params[0]);
    for (int i = 3; i < argc; i++) {
        while (history_size(bench.history) < (size_t)atoi(argv[i])) {
            if (is_own)
                suggest(&bench);
            else
                draw_uniformly(&bench);
            append(&bench);
        }
        measure(&bench, times_us);
        printf("{\"trials\": %s, \"median_us\": %.1f, \"p99_us\": %.1f, ", argv[i], times_us[N_SAMPLES / 2],
               times_us[N_SAMPLES - 2]);
        tpe_use_functions(bench.tpe, &mixture_baseline);
        measure(&bench, times_us);
        tpe_use_functions(bench.tpe, mixture_functions_choose());
        printf("\"baseline_us\": %.1f}\n", times_us[N_SAMPLES / 2]);
    }
    sampler_tpe.state_free(bench.tpe);
    history_free(bench.history);
    free(bench.params);
    spec_free(bench.spec);
    return 0;
}
