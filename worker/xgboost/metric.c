/* SPDX-License-Identifier: MIT */
/* Evaluation metrics by XGBoost's definitions. */
#include "worker/xgboost/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"

static double rmse(const float *predictions, const float *labels, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = (double)labels[i] - predictions[i];
        sum += difference * difference;
    }
    return sqrt(sum / (double)n);
}

static double rmsle(const float *predictions, const float *labels, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = log1p(labels[i]) - log1p(predictions[i]);
        sum += difference * difference;
    }
    return sqrt(sum / (double)n);
}

static double mae(const float *predictions, const float *labels, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)labels[i] - predictions[i]);
    return sum / (double)n;
}

static double mape(const float *predictions, const float *labels, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs(((double)labels[i] - predictions[i]) / labels[i]);
    return sum / (double)n;
}

static double logloss(const float *predictions, const float *labels, size_t n)
{
    const double least = 1e-16;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double p = predictions[i], y = labels[i];
        sum -= y * log(fmax(p, least)) + (1 - y) * log(fmax(1 - p, least));
    }
    return sum / (double)n;
}

static double error_rate(const float *predictions, const float *labels, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += predictions[i] > 0.5F ? 1 - (double)labels[i] : labels[i];
    return sum / (double)n;
}

struct scored {
    float prediction, label;
};

static int compare_scored(const void *a, const void *b)
{
    float x = ((const struct scored *)a)->prediction, y = ((const struct scored *)b)->prediction;
    return (x > y) - (x < y);
}

/* The share of (negative, positive) pairs in the right order; pairs with equal predictions count half. */
static double auc(const float *predictions, const float *labels, size_t n)
{
    MEMORY_AUTO struct scored *rows = memory_array(n, sizeof *rows);
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct scored){predictions[i], labels[i]};
    qsort(rows, n, sizeof *rows, compare_scored);

    double negatives = 0, positives = 0, ordered_pairs = 0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        double tied_positives = rows[begin].label;
        for (end = begin + 1; end < n && rows[end].prediction == rows[begin].prediction; end++)
            tied_positives += rows[end].label;
        double tied_negatives = (double)(end - begin) - tied_positives;
        ordered_pairs += tied_positives * (negatives + tied_negatives / 2);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    return positives > 0 && negatives > 0 ? ordered_pairs / (positives * negatives) : NAN;
}

static const struct {
    const char *name;
    double (*compute)(const float *predictions, const float *labels, size_t n);
} computed_metrics[] = {
    {"rmse", rmse}, {"rmsle", rmsle},     {"mae", mae},          {"mape", mape},
    {"auc", auc},   {"logloss", logloss}, {"error", error_rate},
};

/* Objectives whose prediction is what XGBoost's own evaluation looks at: one number a row, in the label's
 * unit or a probability. */
static const char *const plain_objectives[] = {"reg:", "count:poisson", "binary:logistic"};

bool metric_is_maximized(const char *name)
{
    static const char *const maximized[] = {"auc",  "aucpr", "pre",
                                            "ndcg", "map",   "interval-regression-accuracy"};
    size_t size = strcspn(name, "@-");
    for (size_t i = 0; i < sizeof maximized / sizeof *maximized; i++)
        if ((strlen(maximized[i]) == size && strncmp(name, maximized[i], size) == 0) ||
            strcmp(name, maximized[i]) == 0)
            return true;
    return false;
}

static ptrdiff_t find_metric(const char *name)
{
    for (size_t i = 0; i < sizeof computed_metrics / sizeof *computed_metrics; i++)
        if (strcmp(computed_metrics[i].name, name) == 0)
            return (ptrdiff_t)i;
    return -1;
}

bool metric_is_computed(const char *name, const char *objective)
{
    for (size_t i = 0; i < sizeof plain_objectives / sizeof *plain_objectives; i++)
        if (strncmp(objective, plain_objectives[i], strlen(plain_objectives[i])) == 0)
            return find_metric(name) >= 0;
    return false;
}

double metric_compute(const char *name, const float *predictions, const float *labels, size_t n)
{
    ptrdiff_t found = find_metric(name);
    require(found >= 0);
    return computed_metrics[found].compute(predictions, labels, n);
}
