/* SPDX-License-Identifier: MIT */
/* Knows XGBoost's parameters by name, and turns JSON into what the library reads. */
#include "worker/xgboost/parameters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/json_write.h"
#include "proto/memory.h"
#include "proto/problem.h"

/* XGBoost's parameters of all versions from 1.7 on. They serve to suggest names: what a library really knows,
 * it says itself. */
static const char *const known_names[] = {
    "n_estimators",
    "num_boost_round",
    "num_round",
    "objective",
    "booster",
    "device",
    "gpu_id",
    "nthread",
    "n_jobs",
    "seed",
    "random_state",
    "seed_per_iteration",
    "verbosity",
    "validate_parameters",
    "disable_default_eval_metric",
    "fail_on_invalid_gpu_id",
    "eta",
    "learning_rate",
    "gamma",
    "min_split_loss",
    "max_depth",
    "min_child_weight",
    "max_delta_step",
    "subsample",
    "sampling_method",
    "colsample_bytree",
    "colsample_bylevel",
    "colsample_bynode",
    "lambda",
    "reg_lambda",
    "alpha",
    "reg_alpha",
    "tree_method",
    "scale_pos_weight",
    "updater",
    "refresh_leaf",
    "process_type",
    "grow_policy",
    "max_leaves",
    "max_bin",
    "num_parallel_tree",
    "monotone_constraints",
    "interaction_constraints",
    "multi_strategy",
    "max_cached_hist_node",
    "extmem_single_page",
    "max_cat_to_onehot",
    "max_cat_threshold",
    "sparse_threshold",
    "sketch_ratio",
    "predictor",
    "sample_type",
    "normalize_type",
    "rate_drop",
    "one_drop",
    "skip_drop",
    "lambda_bias",
    "reg_lambda_bias",
    "feature_selector",
    "top_k",
    "base_score",
    "eval_metric",
    "num_class",
    "num_target",
    "boost_from_average",
    "tweedie_variance_power",
    "huber_slope",
    "quantile_alpha",
    "expectile_alpha",
    "aft_loss_distribution",
    "aft_loss_distribution_scale",
    "lambdarank_pair_method",
    "lambdarank_num_pair_per_sample",
    "lambdarank_normalization",
    "lambdarank_score_normalization",
    "lambdarank_unbiased",
    "lambdarank_bias_norm",
    "lambdarank_diff_normalization",
    "ndcg_exp_gain",
    NULL,
};

/* Names of one parameter: {any other, the first}. */
static const char *const aliases[][2] = {
    {"num_boost_round", "n_estimators"},
    {"num_round", "n_estimators"},
    {"eta", "learning_rate"},
    {"gamma", "min_split_loss"},
    {"reg_lambda", "lambda"},
    {"reg_alpha", "alpha"},
    {"n_jobs", "nthread"},
    {"random_state", "seed"},
    {"reg_lambda_bias", "lambda_bias"},
};

/* Words of other libraries, too far from XGBoost's to be found by their letters. */
static const char *const foreign_names[][2] = {
    {"iterations", "n_estimators"},
    {"num_iterations", "n_estimators"},
    {"num_trees", "n_estimators"},
    {"n_trees", "n_estimators"},
    {"ntrees", "n_estimators"},
    {"lr", "learning_rate"},
    {"l1", "alpha"},
    {"l2", "lambda"},
    {"random_seed", "seed"},
    {"threads", "nthread"},
    {"bagging_fraction", "subsample"},
    {"feature_fraction", "colsample_bytree"},
};

static const char *find_pair(const char *const pairs[][2], size_t n_pairs, const char *name)
{
    for (size_t i = 0; i < n_pairs; i++)
        if (strcmp(pairs[i][0], name) == 0)
            return pairs[i][1];
    return NULL;
}

static const char *canonical_name(const char *name)
{
    const char *first = find_pair(aliases, sizeof aliases / sizeof *aliases, name);
    return first ? first : name;
}

bool parameters_is_known(const char *name)
{
    for (const char *const *known = known_names; *known; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

const char *parameters_nearest(const char *name)
{
    const char *meant = find_pair(foreign_names, sizeof foreign_names / sizeof *foreign_names, name);
    return meant ? meant : problem_nearest(name, known_names);
}

static ptrdiff_t find(const struct parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->n_items; i++)
        if (strcmp(canonical_name(parameters->items[i].name), canonical_name(name)) == 0)
            return (ptrdiff_t)i;
    return -1;
}

const char *parameters_get(const struct parameters *parameters, const char *name)
{
    ptrdiff_t found = find(parameters, name);
    return found < 0 ? NULL : parameters->items[found].value;
}

void parameters_remove(struct parameters *parameters, const char *name)
{
    ptrdiff_t found = find(parameters, name);
    if (found < 0)
        return;
    free(parameters->items[found].name);
    free(parameters->items[found].value);
    parameters->items[found] = parameters->items[--parameters->n_items];
}

void parameters_set(struct parameters *parameters, const char *name, const char *value)
{
    parameters_remove(parameters, name);
    parameters->items = memory_resize(parameters->items, parameters->n_items + 1, sizeof *parameters->items);
    parameters->items[parameters->n_items++] = (struct parameter){memory_strdup(name), memory_strdup(value)};
}

/* JSON as XGBoost's text: numbers shortest, booleans 1 and 0, arrays as JSON, those of monotone_constraints
 * as the tuple that 1.7 wants. 0, or -1 for an object. */
static int put_value(const char *name, const json_t *value, struct buffer *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    if (json_is_object(value))
        return -1;
    if (json_is_string(value)) {
        buffer_append_text(out, json_string_value(value));
    } else if (json_is_boolean(value)) {
        json_put_int(&writer, json_is_true(value));
    } else {
        json_put_value(&writer, value);
        if (json_is_array(value) && strcmp(name, "monotone_constraints") == 0) {
            out->data[0] = '(';
            out->data[out->size - 1] = ')';
        }
    }
    return 0;
}

static int set_rounds(struct parameters *parameters, const char *name, const json_t *value,
                      struct failure *failure)
{
    double n_rounds = json_number_value(value);
    if (!json_is_number(value) || n_rounds != floor(n_rounds) || n_rounds < 1 ||
        n_rounds > PARAMETERS_MAX_ROUNDS)
        return failure_set(failure, FAILURE_OBJECTIVE, "%s must be a whole number from 1 to %d", name,
                           PARAMETERS_MAX_ROUNDS);
    parameters->n_rounds = (int)n_rounds;
    return 0;
}

static int add(struct parameters *parameters, const char *name, const json_t *value, struct failure *failure)
{
    ptrdiff_t found = find(parameters, name);
    if (found >= 0 && strcmp(parameters->items[found].name, name) == 0)
        return failure_set(failure, FAILURE_OBJECTIVE,
                           "%s is given twice, in the study's space and in objective.params; leave one out",
                           name);
    if (found >= 0)
        return failure_set(failure, FAILURE_OBJECTIVE, "%s and %s are the same parameter; leave one out",
                           parameters->items[found].name, name);
    BUFFER_AUTO struct buffer text = {0};
    if (put_value(name, value, &text) < 0)
        return failure_set(failure, FAILURE_OBJECTIVE, "%s must be a number, a text or a list, not an object",
                           name);
    parameters_set(parameters, name, buffer_text(&text));
    if (strcmp(canonical_name(name), "n_estimators") == 0)
        return set_rounds(parameters, name, value, failure);
    return 0;
}

static int add_all(struct parameters *parameters, const json_t *object, struct failure *failure)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)object, name, value)
        if (!json_is_null(value) && add(parameters, name, value, failure) < 0)
            return -1;
    return 0;
}

int parameters_init(struct parameters *parameters, const json_t *fixed, const json_t *sampled,
                    struct failure *failure)
{
    *parameters = (struct parameters){.n_rounds = PARAMETERS_DEFAULT_ROUNDS};
    if (add_all(parameters, fixed, failure) < 0 || add_all(parameters, sampled, failure) < 0)
        return -1;
    parameters_remove(parameters, "n_estimators");
    return 0;
}

void parameters_deinit(struct parameters *parameters)
{
    for (size_t i = 0; i < parameters->n_items; i++) {
        free(parameters->items[i].name);
        free(parameters->items[i].value);
    }
    free(parameters->items);
    *parameters = (struct parameters){0};
}
