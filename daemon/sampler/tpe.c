/* SPDX-License-Identifier: MIT */
/*
 * The TPE sampler as in Optuna 5: its options, and the way of a suggestion.
 *
 * What is kept between suggestions are the estimators of good and other trials. They follow the view by
 * differences: trials that finished, that are open now or no longer, that became one of the good ones or
 * ceased to be.
 */
#include "daemon/sampler/tpe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/parzen_density.h"
#include "daemon/sampler/parzen_sample.h"
#include "daemon/sampler/sampler_kind.h"
#include "daemon/sampler/tpe_split.h"
#include "proto/memory.h"
#include "proto/require.h"

/* Options of Optuna's TPESampler that are Python functions, deprecated there, or still to come here. */
static const char *const lacking_options[] = {"consider_endpoints",
                                              "consider_magic_clip",
                                              "consider_prior",
                                              "constraints_func",
                                              "gamma",
                                              "group",
                                              "weights",
                                              "warn_independent_sampling",
                                              NULL};

/* Parameters that are sampled together: all of them, or each alone. */
struct subspace {
    struct parzen *below, *above; /* owned */
    const size_t *params;         /* [n_params] indices into the space */
    size_t n_params;
    uint64_t name_hash; /* 0 for all of them */
};

struct tpe {
    const struct spec *spec;
    size_t n_startup_trials, n_candidates;
    double prior_weight;
    bool is_multivariate, has_constant_liar;
    const struct mixture_functions *functions;

    size_t *params; /* owned: those with more than one value */
    size_t n_params;
    struct subspace *subspaces; /* owned */
    size_t n_subspaces;

    size_t n_seen; /* entries of the history */
    struct tpe_split split;
    struct tpe_below below;    /* who is in the estimators of good trials */
    size_t n_open;             /* open trials in the estimators of the others */
    struct sampler_open *open; /* owned copies, in ascending number */
    double *open_params;       /* owned: what they point to */
    size_t open_capacity;

    struct parzen_workspace workspace;
    double *candidates;            /* owned: [n_params][n_candidates] */
    double *log_below, *log_above; /* owned: [n_candidates] */
};

/* ---- options ---- */

static void check_space(const struct spec *spec, struct json_reader *reader)
{
    for (size_t i = 0; i < spec->space->n_params; i++) {
        const struct distribution *distribution = &spec->space->params[i].distribution;

        if (!isfinite(distribution->high - distribution->low))
            json_read_fail(reader, "type",
                           "tpe needs ranges whose width is a double, and that of \"%.80s\" is not",
                           spec->space->params[i].name);
    }
}

static void tpe_complete_options(struct spec *spec, struct json_reader *reader)
{
    json_t *options = spec->sampler;

    if (spec->n_directions > 1)
        json_read_fail(
            reader, "type",
            "tpe serves one objective in this version, and the study has %zu; use {\"type\": \"random\"}",
            spec->n_directions);
    check_space(spec, reader);
    json_object_set_new(options, "n_startup_trials",
                        json_integer(json_read_int(reader, "n_startup_trials", 0, INT32_MAX, 10)));
    json_object_set_new(options, "n_ei_candidates",
                        json_integer(json_read_int(reader, "n_ei_candidates", 1, 10000, 24)));
    json_object_set_new(options, "prior_weight",
                        json_real(json_read_number(reader, "prior_weight", 1e-9, 1e9, 1.0)));
    json_object_set_new(options, "multivariate", json_boolean(json_read_bool(reader, "multivariate", true)));
    json_object_set_new(options, "constant_liar",
                        json_boolean(json_read_bool(reader, "constant_liar", true)));
}

static void read_options(struct tpe *tpe, const json_t *options)
{
    tpe->n_startup_trials = (size_t)json_integer_value(json_object_get(options, "n_startup_trials"));
    tpe->n_candidates = (size_t)json_integer_value(json_object_get(options, "n_ei_candidates"));
    tpe->prior_weight = json_number_value(json_object_get(options, "prior_weight"));
    tpe->is_multivariate = json_is_true(json_object_get(options, "multivariate"));
    tpe->has_constant_liar = json_is_true(json_object_get(options, "constant_liar"));
}

/* ---- life ---- */

static void add_subspace(struct tpe *tpe, const size_t *params, size_t n_params, uint64_t name_hash)
{
    struct subspace *subspace = &tpe->subspaces[tpe->n_subspaces++];
    const struct space *space = tpe->spec->space;

    *subspace = (struct subspace){.params = params, .n_params = n_params, .name_hash = name_hash};
    subspace->below = parzen_new(space, params, n_params, tpe->prior_weight);
    subspace->above = parzen_new(space, params, n_params, tpe->prior_weight);
}

static void make_subspaces(struct tpe *tpe)
{
    const struct space *space = tpe->spec->space;

    tpe->params = memory_array(space->n_params, sizeof tpe->params[0]);
    for (size_t i = 0; i < space->n_params; i++)
        if (!distribution_is_single(&space->params[i].distribution))
            tpe->params[tpe->n_params++] = i;

    tpe->subspaces = memory_array(space->n_params, sizeof tpe->subspaces[0]);
    if (tpe->is_multivariate && tpe->n_params > 0)
        add_subspace(tpe, tpe->params, tpe->n_params, 0);
    for (size_t i = 0; i < tpe->n_params && !tpe->is_multivariate; i++)
        add_subspace(tpe, &tpe->params[i], 1, space->params[tpe->params[i]].name_hash);
}

static void *tpe_new(const struct spec *spec)
{
    struct tpe *tpe = memory_new(sizeof *tpe);

    tpe->spec = spec;
    read_options(tpe, spec->sampler);
    tpe->functions = mixture_functions_choose();
    make_subspaces(tpe);
    tpe->candidates = memory_array(tpe->n_params * tpe->n_candidates, sizeof tpe->candidates[0]);
    tpe->log_below = memory_array(tpe->n_candidates, sizeof tpe->log_below[0]);
    tpe->log_above = memory_array(tpe->n_candidates, sizeof tpe->log_above[0]);
    return tpe;
}

static void tpe_free(void *state)
{
    struct tpe *tpe = state;

    for (size_t i = 0; i < tpe->n_subspaces; i++) {
        parzen_free(tpe->subspaces[i].below);
        parzen_free(tpe->subspaces[i].above);
    }
    parzen_workspace_deinit(&tpe->workspace);
    free(tpe->params);
    free(tpe->subspaces);
    free(tpe->open);
    free(tpe->open_params);
    free(tpe->candidates);
    free(tpe->log_below);
    free(tpe->log_above);
    free(tpe);
}

/* ---- following the view ---- */

typedef void change_fn(struct parzen *parzen, int64_t number, const double *params);

static void remove_trial(struct parzen *parzen, int64_t number, const double *)
{
    parzen_remove(parzen, number);
}

static void change_below(struct tpe *tpe, change_fn *change, int64_t number, const double *params)
{
    for (size_t i = 0; i < tpe->n_subspaces; i++)
        change(tpe->subspaces[i].below, number, params);
}

static void change_above(struct tpe *tpe, change_fn *change, int64_t number, const double *params)
{
    for (size_t i = 0; i < tpe->n_subspaces; i++)
        change(tpe->subspaces[i].above, number, params);
}

/* The parameters of an open trial in an ascending list, or NULL. */
static const double *find_open(const struct sampler_open *open, size_t n_open, int64_t number)
{
    size_t first = 0, end = n_open;

    while (first < end) {
        size_t middle = (first + end) / 2;

        if (open[middle].number < number)
            first = middle + 1;
        else
            end = middle;
    }
    return first < n_open && open[first].number == number ? open[first].params : NULL;
}

/* Applies `change` to the trials of one list that are not, with the same parameters, in the other. */
static void change_difference(struct tpe *tpe, change_fn *change, const struct sampler_open *open,
                              size_t n_open, const struct sampler_open *others, size_t n_others)
{
    for (size_t i = 0; i < n_open; i++) {
        const double *same = find_open(others, n_others, open[i].number);

        if (!same || memcmp(same, open[i].params, tpe->spec->space->n_params * sizeof same[0]) != 0)
            change_above(tpe, change, open[i].number, open[i].params);
    }
}

static void copy_open(struct tpe *tpe, const struct sampler_open *open, size_t n_open)
{
    size_t n_params = tpe->spec->space->n_params;

    if (n_open > tpe->open_capacity) {
        tpe->open_capacity = 2 * n_open;
        tpe->open = memory_resize(tpe->open, tpe->open_capacity, sizeof tpe->open[0]);
        tpe->open_params =
            memory_resize(tpe->open_params, tpe->open_capacity * n_params, sizeof tpe->open_params[0]);
    }
    tpe->n_open = n_open;
    for (size_t i = 0; i < n_open; i++) {
        double *params = tpe->open_params + i * n_params;

        memcpy(params, open[i].params, n_params * sizeof params[0]);
        tpe->open[i] = (struct sampler_open){.number = open[i].number, .params = params};
    }
}

static const double *finished_params(const struct sampler_view *view, size_t index)
{
    struct history_trial trial;

    history_get(view->history, index, &trial);
    return trial.params;
}

/* Trials that became or ceased to be good ones change sides; those from `n_seen` on are on no side yet. */
static void follow_split(struct tpe *tpe, const struct sampler_view *view)
{
    struct tpe_below before = tpe->below;

    tpe_split_below(&tpe->split, &tpe->below);
    for (size_t i = 0; i < before.n; i++) {
        const struct tpe_rank *trial = &before.trials[i];

        if (tpe_below_has(&tpe->below, trial->number))
            continue;
        change_below(tpe, remove_trial, trial->number, NULL);
        change_above(tpe, parzen_insert, trial->number, finished_params(view, trial->index));
    }
    for (size_t i = 0; i < tpe->below.n; i++) {
        const struct tpe_rank *trial = &tpe->below.trials[i];

        if (tpe_below_has(&before, trial->number))
            continue;
        change_below(tpe, parzen_insert, trial->number, finished_params(view, trial->index));
        if (trial->index < tpe->n_seen)
            change_above(tpe, remove_trial, trial->number, NULL);
    }
}

static void follow_view(struct tpe *tpe, const struct sampler_view *view)
{
    size_t n_open = tpe->has_constant_liar ? view->n_open : 0;
    struct history_trial trial;

    require(view->n_finished >= tpe->n_seen);
    change_difference(tpe, remove_trial, tpe->open, tpe->n_open, view->open, n_open);
    for (size_t i = tpe->n_seen; i < view->n_finished; i++) {
        history_get(view->history, i, &trial);
        tpe_split_add(&tpe->split, tpe->spec->directions[0], i, &trial);
    }
    follow_split(tpe, view);
    for (size_t i = tpe->n_seen; i < view->n_finished; i++) {
        history_get(view->history, i, &trial);
        if (trial.state != TRIAL_FAIL && !tpe_below_has(&tpe->below, trial.number))
            change_above(tpe, parzen_insert, trial.number, trial.params);
    }
    change_difference(tpe, parzen_insert, view->open, n_open, tpe->open, tpe->n_open);
    copy_open(tpe, view->open, n_open);
    tpe->n_seen = view->n_finished;
    for (size_t i = 0; i < tpe->n_subspaces; i++) {
        parzen_settle(tpe->subspaces[i].below);
        parzen_settle(tpe->subspaces[i].above);
    }
}

/* ---- suggesting ---- */

/* The first of the largest; a NaN is never taken. */
static size_t find_best(const double *log_below, const double *log_above, size_t n)
{
    size_t best = 0;
    double best_gain = -HUGE_VAL;

    for (size_t i = 0; i < n; i++)
        if (log_below[i] - log_above[i] > best_gain) {
            best = i;
            best_gain = log_below[i] - log_above[i];
        }
    return best;
}

static void suggest_subspace(struct tpe *tpe, const struct subspace *subspace, int64_t number, double *params)
{
    size_t n = tpe->n_candidates;

    parzen_sample(subspace->below, tpe->spec->space, tpe->spec->seed, number, subspace->name_hash, n,
                  tpe->candidates);
    parzen_log_density(subspace->below, tpe->functions, &tpe->workspace, tpe->candidates, n, tpe->log_below);
    parzen_log_density(subspace->above, tpe->functions, &tpe->workspace, tpe->candidates, n, tpe->log_above);

    size_t best = find_best(tpe->log_below, tpe->log_above, n);

    for (size_t i = 0; i < subspace->n_params; i++)
        params[subspace->params[i]] = tpe->candidates[i * n + best];
}

static void tpe_suggest(void *state, const struct sampler_view *view, int64_t number, double *params)
{
    struct tpe *tpe = state;
    const struct space *space = tpe->spec->space;

    follow_view(tpe, view);
    for (size_t i = 0; i < space->n_params; i++)
        params[i] = random_suggest_param(&space->params[i], tpe->spec->seed, number);
    if (tpe->split.n_finished < tpe->n_startup_trials)
        return;
    for (size_t i = 0; i < tpe->n_subspaces; i++)
        suggest_subspace(tpe, &tpe->subspaces[i], number, params);
}

struct tpe_estimators tpe_estimators(const void *state, size_t subspace)
{
    const struct tpe *tpe = state;

    require(subspace < tpe->n_subspaces);
    return (struct tpe_estimators){.below = tpe->subspaces[subspace].below,
                                   .above = tpe->subspaces[subspace].above};
}

void tpe_use_functions(void *state, const struct mixture_functions *functions)
{
    struct tpe *tpe = state;

    tpe->functions = functions;
}

static size_t tpe_size_bytes(const void *state)
{
    const struct tpe *tpe = state;
    size_t n_params = tpe->spec->space->n_params;
    size_t size = sizeof *tpe + parzen_workspace_size_bytes(&tpe->workspace) +
                  tpe->open_capacity * (sizeof tpe->open[0] + n_params * sizeof(double)) +
                  (tpe->n_params + 2) * tpe->n_candidates * sizeof(double) + n_params * sizeof tpe->params[0];

    for (size_t i = 0; i < tpe->n_subspaces; i++)
        size += sizeof tpe->subspaces[0] + parzen_size_bytes(tpe->subspaces[i].below) +
                parzen_size_bytes(tpe->subspaces[i].above);
    return size;
}

const struct sampler_kind sampler_tpe = {.type = "tpe",
                                         .version = 1,
                                         .lacking_options = lacking_options,
                                         .complete_options = tpe_complete_options,
                                         .state_new = tpe_new,
                                         .state_free = tpe_free,
                                         .suggest = tpe_suggest,
                                         .size_bytes = tpe_size_bytes};
