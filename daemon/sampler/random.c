/* SPDX-License-Identifier: MIT */
/* The random sampler: each parameter on its own, uniform on the scale of its distribution, as Optuna's
 * RandomSampler. */
#include <stdlib.h>

#include "daemon/sampler/philox.h"
#include "daemon/sampler/real.h"
#include "daemon/sampler/sampler_kind.h"
#include "proto/memory.h"

static double clip(double x, double low, double high)
{
    return x > high ? high : x > low ? x : low;
}

/* A point between a and b; no difference of the two, which could overflow. */
static double interpolate(double a, double b, double u)
{
    return (1 - u) * a + u * b;
}

/* The upper end is left out, as in Optuna, where floats come from a half-open range. */
static double draw_float(const struct distribution *distribution, double u)
{
    double low = distribution->low, high = distribution->high, below_high = nextafter(high, low);

    if (distribution->is_log)
        return clip(real_exp(interpolate(real_log(low), real_log(high), u)), low, below_high);
    return clip(interpolate(low, high, u), low, below_high);
}

/* Half a step is added at both ends, so that the first and the last value are as likely as the others. */
static double draw_stepped(const struct distribution *distribution, double u)
{
    double low = distribution->low, high = distribution->high, step = distribution->step;
    double index = floor(interpolate(-0.5, (high - low) / step + 0.5, u) + 0.5);

    return clip(low + index * step, low, high);
}

static double draw_log_int(const struct distribution *distribution, double u)
{
    double low = distribution->low, high = distribution->high;

    return clip(rint(real_exp(interpolate(real_log(low - 0.5), real_log(high + 0.5), u))), low, high);
}

double random_suggest_param(const struct space_param *param, uint64_t seed, int64_t number)
{
    const struct distribution *distribution = &param->distribution;
    struct draw_key key = {
        .seed = seed, .number = number, .name_hash = param->name_hash, .purpose = DRAW_RANDOM};
    double u = draw_uniform(&key, 0);

    if (distribution_is_single(distribution))
        return distribution->low;
    if (distribution->step == 0)
        return draw_float(distribution, u);
    return distribution->is_log ? draw_log_int(distribution, u) : draw_stepped(distribution, u);
}

static void *random_new(const struct spec *spec)
{
    const struct spec **state = memory_new(sizeof *state);

    *state = spec;
    return state;
}

static void random_suggest(void *state, const struct sampler_view *, int64_t number, double *params)
{
    const struct spec *spec = *(const struct spec **)state;

    for (size_t i = 0; i < spec->space->n_params; i++)
        params[i] = random_suggest_param(&spec->space->params[i], spec->seed, number);
}

static void random_complete_options(struct spec *, struct json_reader *)
{
}

static size_t random_size_bytes(const void *)
{
    return sizeof(struct spec *);
}

const struct sampler_kind sampler_random = {.type = "random",
                                            .version = 1,
                                            .complete_options = random_complete_options,
                                            .state_new = random_new,
                                            .state_free = free,
                                            .suggest = random_suggest,
                                            .size_bytes = random_size_bytes};
