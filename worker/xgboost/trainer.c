/* SPDX-License-Identifier: MIT */
/* Trains one booster round by round on data that is already in memory. */
#include "worker/xgboost/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/log.h"
#include "proto/memory.h"
#include "worker/xgboost/device.h"
#include "worker/xgboost/metric.h"
#include "worker/xgboost/model_store.h"
#include "worker/xgboost/objective.h"
#include "worker/xgboost/parameters.h"

#define DEFAULT_MAX_BIN 256
#define MOST_BINS (1 << 20)
#define MOST_THREADS 1024 /* OpenMP crashes where so many stacks cannot be had */
#define EVALUATED_NAME "validation"

/* One trial under way. */
struct training {
    struct trainer *trainer;
    const struct xgboost_library *library; /* the trainer's */
    const struct runner_trial *trial;
    const struct watcher *watcher;
    struct failure *failure;
    struct objective objective;
    struct parameters parameters;
    struct device device;
    struct dataset *dataset;            /* the trainer's */
    const struct matrix_pair *matrices; /* the data set's */
    xgboost_booster booster;
    int n_rounds_done;
    char metric[64];   /* as the library names it */
    double last_value; /* of the metric, after the last round */
    double best_value;
    int best_round; /* from 0, as XGBoost counts best_iteration */
    double train_s; /* inside the library's update and evaluation */
};

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void set_default(struct parameters *parameters, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    if (!parameters_get(parameters, name))
        parameters_set(parameters, name, text);
}

static bool is_set_to(const struct parameters *parameters, const char *name, const char *value)
{
    const char *given = parameters_get(parameters, name);
    return given && strcmp(given, value) == 0;
}

/* What the user left open, and what makes the library say what it ignores. */
static void complete_parameters(struct training *training)
{
    struct parameters *parameters = &training->parameters;
    set_default(parameters, "nthread", training->trial->threads);
    set_default(parameters, "seed", training->trial->seed);
    if (!is_set_to(parameters, "booster", "gblinear") &&
        (!parameters_get(parameters, "tree_method") || is_set_to(parameters, "tree_method", "auto")))
        parameters_set(parameters, "tree_method", "hist");
    if (training->objective.metric)
        parameters_set(parameters, "eval_metric", training->objective.metric);
    parameters_set(parameters, "validate_parameters", "1");
    if (!parameters_get(parameters, "verbosity") || is_set_to(parameters, "verbosity", "0"))
        parameters_set(parameters, "verbosity", "1");
    device_apply(&training->device, training->library, parameters);
}

/* The bins that the matrices are built with; 0 for boosters and tree methods that want the values. -1: no
 * number. */
static int64_t choose_max_bin(const struct parameters *parameters)
{
    if (is_set_to(parameters, "booster", "gblinear") || is_set_to(parameters, "tree_method", "exact") ||
        is_set_to(parameters, "tree_method", "approx"))
        return 0;
    const char *text = parameters_get(parameters, "max_bin");
    if (!text)
        return DEFAULT_MAX_BIN;
    char *end;
    long max_bin = strtol(text, &end, 10);
    return *end == '\0' && max_bin >= 2 && max_bin <= MOST_BINS ? max_bin : -1;
}

static int prepare_parameters(struct training *training)
{
    const struct runner_trial *trial = training->trial;
    struct failure *failure = training->failure;
    if (objective_read(&training->objective, trial->objective, failure) < 0 ||
        parameters_init(&training->parameters, training->objective.params, trial->params, failure) < 0 ||
        device_choose(&training->device, &training->parameters, trial->device, failure) < 0 ||
        device_check(&training->device, training->library, failure) < 0)
        return -1;
    complete_parameters(training);
    return 0;
}

/* As XGBoost means it: 0 and less are all processors. */
static int read_nthread(struct training *training, int *nthread)
{
    char *end;
    const char *text = parameters_get(&training->parameters, "nthread");
    long number = strtol(text, &end, 10);
    if (*end != '\0' || number > MOST_THREADS)
        return failure_set(training->failure, FAILURE_OBJECTIVE,
                           "nthread must be a whole number of at most %d; 0 stands for all processors",
                           MOST_THREADS);
    *nthread = number > 0 ? (int)number : 0;
    return 0;
}

static int prepare_data(struct training *training)
{
    struct parameters *parameters = &training->parameters;
    int64_t max_bin = choose_max_bin(parameters);
    int nthread = 0;
    if (max_bin < 0)
        return failure_set(training->failure, FAILURE_OBJECTIVE,
                           "max_bin must be a whole number from 2 to %d", MOST_BINS);
    if (read_nthread(training, &nthread) < 0)
        return -1;
    training->dataset =
        dataset_open(&training->trainer->cache, training->library, &training->objective, training->failure);
    if (!training->dataset)
        return -1;
    training->matrices =
        dataset_get_matrices(training->dataset, training->library, max_bin, nthread, training->failure);
    return training->matrices ? 0 : -1;
}

static int set_parameter(struct training *training, const char *name, const char *value)
{
    if (training->library->XGBoosterSetParam(training->booster, name, value) == 0)
        return 0;
    char doing[160];
    snprintf(doing, sizeof doing, "take the parameter %.60s = %.60s", name, value);
    return xgboost_library_fail(training->library, doing, training->failure);
}

/* num_class goes first: a library that checks each parameter at once needs it before its objective. */
static int prepare_booster(struct training *training)
{
    const xgboost_matrix matrices[] = {training->matrices->train, training->matrices->validation};
    if (training->library->XGBoosterCreate(matrices, 2, &training->booster) != 0)
        return xgboost_library_fail(training->library, "make a booster", training->failure);
    const struct parameters *parameters = &training->parameters;
    const char *n_classes = parameters_get(parameters, "num_class");
    if (n_classes && set_parameter(training, "num_class", n_classes) < 0)
        return -1;
    for (size_t i = 0; i < parameters->n_items; i++)
        if (strcmp(parameters->items[i].name, "num_class") != 0 &&
            set_parameter(training, parameters->items[i].name, parameters->items[i].value) < 0)
            return -1;
    return 0;
}

static int fail_unknown(struct training *training, const char *name)
{
    const char *nearest = parameters_nearest(name);
    return failure_set(
        training->failure, FAILURE_OBJECTIVE,
        "\"%s\" is no parameter of XGBoost %s, which would ignore it; %s%s%sorrect the study's space or "
        "objective.params",
        name, training->library->version, nearest ? "did you mean \"" : "", nearest ? nearest : "",
        nearest ? "\"? C" : "c");
}

static void warn_once(struct trainer *trainer, const char *warning)
{
    if (trainer->last_warning && strcmp(trainer->last_warning, warning) == 0)
        return;
    log_warning("%s", warning);
    free(trainer->last_warning);
    trainer->last_warning = memory_strdup(warning);
}

/* What the library did not use: a name that is no parameter fails the trial; one that has no effect beside
 * the others (rate_drop without dart) is a warning. */
static int check_unused(struct training *training)
{
    char **names = xgboost_library_take_unused();
    BUFFER_AUTO struct buffer idle = {0};
    int status = 0;
    for (char **name = names; name && *name; name++) {
        if (!parameters_is_known(*name))
            status = fail_unknown(training, *name);
        else
            buffer_printf(&idle, "%s%s", idle.size ? ", " : "", *name);
    }
    if (idle.size > 0) {
        BUFFER_AUTO struct buffer warning = {0};
        buffer_printf(&warning, "study %s: without effect beside the other parameters, says XGBoost %s: %s",
                      training->trial->study, training->library->version, idle.data);
        warn_once(training->trainer, warning.data);
    }
    xgboost_library_free_names(names);
    return status;
}

/* "[9]\tvalidation-rmse:0.61": the last metric of the line. Names hold '-' and '@', so the value is what
 * follows the last ':', and the name what follows the matrix's. */
static int take_evaluation(struct training *training, const char *text)
{
    const char *field = strrchr(text, '\t');
    const char *colon = field ? strrchr(field, ':') : NULL;
    const size_t prefix_size = sizeof EVALUATED_NAME; /* with '-' in the place of NUL */
    if (!colon || (size_t)(colon - field) <= prefix_size)
        return failure_set(training->failure, FAILURE_OBJECTIVE,
                           "XGBoost %s evaluates no metric; name one with \"metric\" in the objective",
                           training->library->version);
    const char *name = field + 1 + prefix_size;
    snprintf(training->metric, sizeof training->metric, "%.*s", (int)(colon - name), name);
    training->last_value = strtod(colon + 1, NULL);
    return 0;
}

static void note_best(struct training *training, int round)
{
    double value = training->last_value, best = training->best_value;
    bool is_better = metric_is_maximized(training->metric) ? value > best : value < best;
    if (round == 0 || is_better) {
        training->best_value = value;
        training->best_round = round;
    }
}

static int train_round(struct training *training, int round)
{
    const struct xgboost_library *library = training->library;
    const char *evaluated_name = EVALUATED_NAME, *text;
    xgboost_matrix evaluated = training->matrices->validation;
    double start_s = now_s();
    if (library->XGBoosterUpdateOneIter(training->booster, round, training->matrices->train) != 0)
        return xgboost_library_fail(library, "train", training->failure);
    if (library->XGBoosterEvalOneIter(training->booster, round, &evaluated, &evaluated_name, 1, &text) != 0)
        return xgboost_library_fail(library, "evaluate", training->failure);
    training->train_s += now_s() - start_s;
    training->n_rounds_done = round + 1;
    if (take_evaluation(training, text) < 0)
        return -1;
    note_best(training, round);
    if (round > 0)
        return 0;
    return check_unused(training) < 0 ||
                   device_verify(&training->device, library, training->booster, training->failure) < 0
               ? -1
               : 0;
}

/* Every round, with its report where one is due. */
static int train(struct training *training, enum verdict *verdict)
{
    const struct watcher *watcher = training->watcher;
    int n_rounds = training->parameters.n_rounds, report_every = training->objective.report_every;
    *verdict = TRAIN_ON;
    for (int round = 0; round < n_rounds && *verdict == TRAIN_ON; round++) {
        if (train_round(training, round) < 0)
            return -1;
        if ((round + 1) % report_every == 0 || round + 1 == n_rounds)
            *verdict = watcher->report(watcher->context, round + 1, training->last_value);
        if (*verdict == TRAIN_ON)
            *verdict = watcher->look(watcher->context);
    }
    return 0;
}

/* The value of the whole trial: our own arithmetic, in doubles, on the predictions for the validation rows,
 * which the library still has from its last evaluation. That evaluation's text, a few digits, is the value
 * for several outputs a row and for metrics that are not ours. */
static int compute_value(const struct training *training, double *value)
{
    static const char config[] = "{\"type\":0,\"training\":false,\"iteration_begin\":0,\"iteration_end\":0,"
                                 "\"strict_shape\":false}";
    const struct xgboost_library *library = training->library;
    const struct dataset *dataset = training->dataset;
    const char *objective = parameters_get(&training->parameters, "objective");
    *value = training->last_value;
    if (!metric_is_computed(training->metric, objective ? objective : "reg:squarederror"))
        return 0;
    const uint64_t *shape;
    uint64_t n_dimensions, n_predictions = 1;
    const float *predictions;
    if (library->XGBoosterPredictFromDMatrix(training->booster, training->matrices->validation, config,
                                             &shape, &n_dimensions, &predictions) != 0)
        return xgboost_library_fail(library, "predict", training->failure);
    for (uint64_t i = 0; i < n_dimensions; i++)
        n_predictions *= shape[i];
    if (n_predictions == dataset->n_validation)
        *value = metric_compute(training->metric, predictions, dataset_validation_labels(dataset),
                                dataset->n_validation);
    return 0;
}

static int give_model(void *context, const char **bytes, size_t *size)
{
    struct training *training = context;
    uint64_t n_bytes;
    if (training->library->XGBoosterSaveModelToBuffer(training->booster, "{\"format\":\"ubj\"}", &n_bytes,
                                                      bytes) != 0)
        return -1;
    *size = (size_t)n_bytes;
    return 0;
}

/* What stands in best.json beside the model. New reference. */
static json_t *describe(struct training *training)
{
    const struct csv_table *table = &training->dataset->table;
    json_t *features = json_array();
    for (size_t i = 0; i < table->n_features; i++) {
        json_t *name = json_string(table->feature_names[i]);
        json_array_append_new(features, name ? name : json_null()); /* not UTF-8 */
    }
    char fingerprint[24];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, dataset_fingerprint(training->dataset));
    json_t *data =
        json_pack("{s:s, s:I, s:I, s:s, s:o}", "path", training->objective.data, "rows",
                  (json_int_t)table->n_rows, "validation_rows", (json_int_t)training->dataset->n_validation,
                  "fingerprint", fingerprint, "features", features);
    json_t *parameters = json_object();
    for (size_t i = 0; i < training->parameters.n_items; i++)
        json_object_set_new(parameters, training->parameters.items[i].name,
                            json_string(training->parameters.items[i].value));
    return json_pack("{s:s, s:O, s:O, s:o, s:i, s:s, s:o}", "metric", training->metric, "params",
                     training->trial->params, "objective", training->trial->objective, "xgboost_params",
                     parameters, "rounds", training->n_rounds_done, "xgboost_version",
                     training->library->version, "data", data);
}

/* A trial keeps its value where its model cannot be saved: the log says why. An infinite value is no best. */
static void save_model(struct training *training, const struct trial_result *result)
{
    if (!training->trainer->model_dir || !isfinite(result->value))
        return;
    json_t *details = describe(training);
    const struct model_record record = {.study = training->trial->study,
                                        .number = training->trial->number,
                                        .value = result->value,
                                        .is_maximized = metric_is_maximized(training->metric),
                                        .details = details};
    BUFFER_AUTO struct buffer path = {0}, error = {0};
    int status = model_store_save(training->trainer->model_dir, &record, give_model, training, &path, &error);
    if (status < 0)
        log_error("study %s, trial %" PRId64 ": the model is not saved: %s", record.study, record.number,
                  error.data);
    else if (status > 0)
        json_object_set_new(result->attrs, "model", json_string(path.data));
    json_decref(details);
}

static json_t *make_attrs(const struct training *training)
{
    return json_pack("{s:i, s:i, s:s, s:f, s:s}", "rounds", training->n_rounds_done, "best_iteration",
                     training->best_round, "metric", training->metric, "train_s", training->train_s,
                     "xgboost_version", training->library->version);
}

static int run(struct training *training, struct trial_result *result)
{
    xgboost_library_free_names(xgboost_library_take_unused()); /* a failed trial's */
    if (prepare_parameters(training) < 0 || prepare_data(training) < 0 || prepare_booster(training) < 0)
        return -1;
    enum verdict verdict;
    if (train(training, &verdict) < 0)
        return -1;
    if (verdict == TRAIN_ABANDON) {
        result->outcome = OUTCOME_ABANDONED;
        return 0;
    }
    result->attrs = make_attrs(training);
    if (verdict == TRAIN_PRUNE) {
        result->outcome = OUTCOME_PRUNED;
        return 0;
    }
    if (compute_value(training, &result->value) < 0)
        return -1;
    if (isnan(result->value))
        return failure_set(
            training->failure, FAILURE_NAN,
            "%s is not a number after %d rounds; look at the labels, the objective and learning_rate",
            training->metric, training->n_rounds_done);
    result->outcome = OUTCOME_DONE;
    save_model(training, result);
    return 0;
}

void trainer_run(struct trainer *trainer, const struct runner_trial *trial, const struct watcher *watcher,
                 struct trial_result *result)
{
    *result = (struct trial_result){0};
    struct training training = {.trainer = trainer,
                                .library = trainer->library,
                                .trial = trial,
                                .watcher = watcher,
                                .failure = &result->failure};
    if (run(&training, result) < 0)
        result->outcome = OUTCOME_FAILED;
    if (training.booster)
        trainer->library->XGBoosterFree(training.booster);
    parameters_deinit(&training.parameters);
    objective_deinit(&training.objective);
}

void trial_result_deinit(struct trial_result *result)
{
    json_decref(result->attrs);
    *result = (struct trial_result){0};
}

void trainer_deinit(struct trainer *trainer)
{
    dataset_cache_deinit(&trainer->cache, trainer->library);
    free(trainer->last_warning);
}
