/* SPDX-License-Identifier: MIT */
/* TPE against the real Optuna: tests/golden/make_tpe.py wrote what Optuna 5.0.0 makes of the same studies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/parzen_density.h"
#include "daemon/sampler/sampler_kind.h"
#include "daemon/sampler/tpe.h"
#include "proto/memory.h"

#define TOLERANCE 1e-9 /* times max(1, |Optuna's|) */

enum quantity { WEIGHT, MU, SIGMA, LOG_DENSITY, ACQUISITION, N_QUANTITIES };
static const char *const quantity_names[] = {"weights", "mu", "sigma", "log density", "acquisition"};
static double worst[N_QUANTITIES];
static size_t n_compared[N_QUANTITIES];

static void compare(enum quantity quantity, double ours, double theirs, double scale)
{
    double deviation = fabs(ours - theirs) / fmax(1, scale);

    n_compared[quantity]++;
    worst[quantity] = fmax(worst[quantity], deviation);
    if (!(deviation <= TOLERANCE))
        fail_msg("%s: ours %.17g, Optuna's %.17g", quantity_names[quantity], ours, theirs);
}

static double number_at(const json_t *array, size_t index)
{
    double number = NAN;

    assert_int_equal(json_to_double(json_array_get(array, index), &number), 0);
    return number;
}

/* ---- the study as ours ---- */

static struct spec *make_spec(const json_t *golden)
{
    json_auto_t *json =
        json_pack("{s:s, s:[O], s:O, s:{s:s, s:i, s:i}}", "name", "golden", "directions",
                  json_object_get(golden, "direction"), "space", json_object_get(golden, "space"), "sampler",
                  "type", "tpe", "seed", 1, "n_startup_trials", 0);
    struct problem problem = {};

    json_object_update(json_object_get(json, "sampler"), json_object_get(golden, "options"));

    struct spec *spec = spec_read(json, 0, &problem);

    assert_non_null(spec);
    assert_int_equal(sampler_complete_spec(spec, &problem), 0);
    return spec;
}

static double member(const json_t *object, const char *key, double fallback)
{
    double number = fallback;

    if (json_object_get(object, key))
        assert_int_equal(json_to_double(json_object_get(object, key), &number), 0);
    return number;
}

static void append_finished(struct history *history, size_t number, const json_t *trial,
                            enum trial_state state, const double *params)
{
    double value = member(trial, "value", NAN);
    struct history_trial finished = {.number = (int64_t)number,
                                     .state = state,
                                     .last_step = (int32_t)member(trial, "last_step", -1),
                                     .last_value = member(trial, "last_value", NAN),
                                     .violation = member(trial, "violation", 0),
                                     .params = params,
                                     .values = &value};

    history_append(history, &finished);
}

static enum trial_state state_of(const json_t *trial)
{
    const char *name = json_string_value(json_object_get(trial, "state"));
    enum trial_state state = TRIAL_RUNNING;

    while (strcmp(trial_state_names[state], name) != 0)
        state++;
    return state;
}

/* A suggestion for the next trial, made for the estimators that it leaves behind. */
static void suggest(void *tpe, const struct spec *spec, const json_t *trials)
{
    size_t n_trials = json_array_size(trials), n_params = spec->space->n_params;
    MEMORY_AUTO double *params = memory_array((n_trials + 1) * n_params, sizeof params[0]);
    MEMORY_AUTO struct sampler_open *open = memory_array(n_trials + 1, sizeof open[0]);
    struct sampler_view view = {.history = history_new(n_params, 1), .open = open};
    struct problem problem = {};

    for (size_t i = 0; i < n_trials; i++) {
        json_t *trial = json_array_get(trials, i);
        double *own = params + i * n_params;

        assert_int_equal(
            space_values_from_json(spec->space, json_object_get(trial, "params"), "", own, &problem), 0);
        if (state_of(trial) == TRIAL_RUNNING)
            open[view.n_open++] = (struct sampler_open){.number = (int64_t)i, .params = own};
        else
            append_finished((struct history *)view.history, i, trial, state_of(trial), own);
    }
    view.n_finished = history_size(view.history);
    sampler_tpe.suggest(tpe, &view, (int64_t)n_trials, params + n_trials * n_params);
    history_free((struct history *)view.history);
}

/* ---- comparing ---- */

static void compare_kernels(const struct parzen *parzen, const struct spec *spec, const json_t *golden)
{
    struct parzen_weights weights = parzen_weights(parzen);
    const json_t *numbers = json_object_get(golden, "numbers"),
                 *golden_weights = json_object_get(golden, "weights");

    assert_int_equal(parzen->n_kernels, json_array_size(numbers));
    for (size_t i = 0; i <= parzen->n_kernels; i++) {
        bool is_prior = i == parzen->n_kernels;
        size_t slot = is_prior ? PARZEN_PRIOR_SLOT : parzen->by_number[i];
        double weight = is_prior ? parzen->prior_weight : parzen_weight(&weights, i);

        if (!is_prior)
            assert_int_equal(parzen->numbers[slot], json_integer_value(json_array_get(numbers, i)));
        compare(WEIGHT, weight / weights.total, number_at(golden_weights, i), 1);
        for (size_t d = 0; d < parzen->n_dimensions; d++) {
            const char *name = spec->space->params[parzen->dimensions[d].param].name;
            const json_t *mu = json_object_get(json_object_get(golden, "mu"), name);
            const json_t *sigma = json_object_get(json_object_get(golden, "sigma"), name);
            size_t coordinate = slot * parzen->stride + parzen->dimensions[d].column;

            if (parzen->dimensions[d].kind == PARZEN_CATEGORICAL)
                continue;
            compare(MU, parzen->mu[coordinate], number_at(mu, i), fabs(number_at(mu, i)));
            compare(SIGMA, 1 / parzen->inverse_sigma[coordinate], number_at(sigma, i), number_at(sigma, i));
        }
    }
}

/* values[dimension * n_points + point] */
static double *read_points(const struct parzen *parzen, const struct spec *spec, const json_t *points)
{
    size_t n_points = json_array_size(points);
    double *values = memory_array(parzen->n_dimensions * n_points, sizeof values[0]);
    MEMORY_AUTO double *params = memory_array(spec->space->n_params, sizeof params[0]);
    struct problem problem = {};

    for (size_t i = 0; i < n_points; i++) {
        assert_int_equal(space_values_from_json(spec->space, json_array_get(points, i), "", params, &problem),
                         0);
        for (size_t d = 0; d < parzen->n_dimensions; d++)
            values[d * n_points + i] = params[parzen->dimensions[d].param];
    }
    return values;
}

static void compare_densities(struct tpe_estimators ours, const struct spec *spec, const json_t *golden,
                              const json_t *points, const struct mixture_functions *functions)
{
    size_t n_points = json_array_size(points);
    struct parzen_workspace workspace = {};
    MEMORY_AUTO double *values = read_points(ours.below, spec, points);
    MEMORY_AUTO double *log_below = memory_array(n_points, sizeof log_below[0]);
    MEMORY_AUTO double *log_above = memory_array(n_points, sizeof log_above[0]);
    const json_t *below = json_object_get(json_object_get(golden, "below"), "log_density");
    const json_t *above = json_object_get(json_object_get(golden, "above"), "log_density");

    parzen_log_density(ours.below, functions, &workspace, values, n_points, log_below);
    parzen_log_density(ours.above, functions, &workspace, values, n_points, log_above);
    for (size_t i = 0; i < n_points; i++) {
        double l = number_at(below, i), g = number_at(above, i);

        compare(LOG_DENSITY, log_below[i], l, fabs(l));
        compare(LOG_DENSITY, log_above[i], g, fabs(g));
        compare(ACQUISITION, log_below[i] - log_above[i], l - g, fmax(fabs(l), fabs(g)));
    }
    parzen_workspace_deinit(&workspace);
}

static void compare_study(const json_t *golden)
{
    struct spec *spec = make_spec(golden);
    void *tpe = sampler_tpe.state_new(spec);
    const json_t *estimators = json_object_get(golden, "estimators"), *estimator;
    size_t i;

    suggest(tpe, spec, json_object_get(golden, "trials"));
    json_array_foreach (estimators, i, estimator) {
        struct tpe_estimators ours = tpe_estimators(tpe, i);
        const json_t *points = json_object_get(golden, "points");

        compare_kernels(ours.below, spec, json_object_get(estimator, "below"));
        compare_kernels(ours.above, spec, json_object_get(estimator, "above"));
        compare_densities(ours, spec, estimator, points, &mixture_baseline);
        compare_densities(ours, spec, estimator, points, mixture_functions_choose());
    }
    sampler_tpe.state_free(tpe);
    spec_free(spec);
}

/* For each golden study: both sides of the split hold Optuna's trials in Optuna's order; weights, means,
 * bandwidths, log densities and their difference are Optuna's to 1e-9. */
static void test_golden(void **)
{
    json_error_t error;
    json_auto_t *studies = json_load_file(GOLDEN_DIR "/tpe.json", 0, &error);
    const json_t *study;
    size_t i;

    assert_int_equal(json_array_size(studies), 19);
    json_array_foreach (studies, i, study) {
        print_message("# %s\n", json_string_value(json_object_get(study, "name")));
        compare_study(study);
    }
    for (enum quantity quantity = 0; quantity < N_QUANTITIES; quantity++) {
        print_message("# %zu %s, largest deviation %.2g\n", n_compared[quantity], quantity_names[quantity],
                      worst[quantity]);
        assert_true(n_compared[quantity] > 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
