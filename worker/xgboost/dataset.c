/* SPDX-License-Identifier: MIT */
/* Loads data sets, builds their matrices, and keeps the ones used last. */
#include "worker/xgboost/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/memory.h"
#include "worker/xgboost/split.h"

#define ARRAY_SIZE 192 /* bytes of an array interface as JSON */

/* Rows `first` to `first` + `n_rows` of the features; the strides make XGBoost read columns. */
static void put_features(const struct dataset *dataset, size_t first, size_t n_rows, char text[ARRAY_SIZE])
{
    snprintf(text, ARRAY_SIZE,
             "{\"data\":[%" PRIuPTR
             ",true],\"shape\":[%zu,%zu],\"strides\":[4,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (uintptr_t)(dataset->table.features + first), n_rows, dataset->table.n_features,
             4 * dataset->table.n_rows);
}

static void put_labels(const struct dataset *dataset, size_t first, size_t n_rows, char text[ARRAY_SIZE])
{
    snprintf(text, ARRAY_SIZE,
             "{\"data\":[%" PRIuPTR ",true],\"shape\":[%zu],\"typestr\":\"<f4\",\"version\":3}",
             (uintptr_t)(dataset->table.labels + first), n_rows);
}

const float *dataset_validation_labels(const struct dataset *dataset)
{
    return dataset->table.labels + dataset->n_train;
}

static uint64_t hash_floats(uint64_t hash, const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3;
    }
    return hash;
}

uint64_t dataset_fingerprint(struct dataset *dataset)
{
    const struct csv_table *table = &dataset->table;
    if (dataset->fingerprint == 0) {
        uint64_t hash = 0xcbf29ce484222325 ^ dataset->n_train;
        hash = hash_floats(hash, table->features, table->n_rows * table->n_features);
        dataset->fingerprint = hash_floats(hash, table->labels, table->n_rows);
    }
    return dataset->fingerprint;
}

static void free_matrices(struct matrix_pair *pair, const struct xgboost_library *library)
{
    if (pair->train)
        library->XGDMatrixFree(pair->train);
    if (pair->validation)
        library->XGDMatrixFree(pair->validation);
    *pair = (struct matrix_pair){0};
}

static void dataset_deinit(struct dataset *dataset, const struct xgboost_library *library)
{
    for (size_t i = 0; i < DATASET_MAX_MATRICES; i++)
        free_matrices(&dataset->matrices[i], library);
    csv_table_deinit(&dataset->table);
    free(dataset->key);
    *dataset = (struct dataset){0};
}

void dataset_cache_deinit(struct dataset_cache *cache, const struct xgboost_library *library)
{
    for (size_t i = 0; i < sizeof cache->datasets / sizeof *cache->datasets; i++)
        dataset_deinit(&cache->datasets[i], library);
}

static int split_table(struct dataset *dataset, const struct objective *objective, struct failure *failure)
{
    struct csv_table *table = &dataset->table;
    struct split split;
    int status = split_init(&split, table->n_rows, objective->test_size, objective->split_seed, failure);
    float *scratch = NULL;
    if (status == 0 && !(scratch = malloc((split.n_rows - split.n_train) * sizeof *scratch)))
        status = failure_set(failure, FAILURE_OOM, "not enough memory to split %zu rows", table->n_rows);
    if (status == 0) {
        for (size_t feature = 0; feature < table->n_features; feature++)
            split_column(&split, table->features + feature * table->n_rows, scratch);
        split_column(&split, table->labels, scratch);
        dataset->n_train = split.n_train;
        dataset->n_validation = split.n_rows - split.n_train;
    }
    free(scratch);
    split_deinit(&split);
    return status;
}

/* What makes two trials' data the same: the file as it is now, how it is read, how it is split. */
static char *key_of(const struct objective *objective)
{
    struct buffer key = {};
    struct stat file = {}; /* all zero where there is none: reading it says so */
    (void)stat(objective->data, &file);
    buffer_printf(&key, "%s\n%lld %lld %lld.%09ld\n%c\n%s\n%zu\n%.17g\n%" PRIu64, objective->data,
                  (long long)file.st_ino, (long long)file.st_size, (long long)file.st_mtim.tv_sec,
                  file.st_mtim.tv_nsec, objective->delimiter,
                  objective->label_name ? objective->label_name : "", objective->label_index,
                  objective->test_size, objective->split_seed);
    return buffer_take(&key);
}

static int load(struct dataset *dataset, const struct objective *objective, struct failure *failure)
{
    const struct csv_options options = {.delimiter = objective->delimiter,
                                        .label_name = objective->label_name,
                                        .label_index = objective->label_index};
    if (csv_read_file(&dataset->table, objective->data, &options, failure) < 0)
        return -1;
    return split_table(dataset, objective, failure);
}

struct dataset *dataset_open(struct dataset_cache *cache, const struct xgboost_library *library,
                             const struct objective *objective, struct failure *failure)
{
    MEMORY_AUTO char *key = key_of(objective);
    struct dataset *oldest = &cache->datasets[0];
    for (size_t i = 0; i < sizeof cache->datasets / sizeof *cache->datasets; i++) {
        struct dataset *dataset = &cache->datasets[i];
        if (dataset->key && strcmp(dataset->key, key) == 0) {
            dataset->last_use = ++cache->n_uses;
            return dataset;
        }
        if (dataset->last_use < oldest->last_use)
            oldest = dataset;
    }
    dataset_deinit(oldest, library);
    if (load(oldest, objective, failure) < 0) {
        dataset_deinit(oldest, library);
        return NULL;
    }
    oldest->key = memory_strdup(key);
    oldest->last_use = ++cache->n_uses;
    return oldest;
}

/* One batch of rows for the library's quantile sketch: it asks for the whole sequence several times. */
struct batch {
    const struct xgboost_library *library;
    xgboost_matrix proxy;
    const char *features, *labels; /* array interfaces */
    bool is_given;
    bool has_failed;
};

static void batch_reset(void *context)
{
    ((struct batch *)context)->is_given = false;
}

/* 1: a batch was set; 0: there is no more. A failure is remembered, since any other answer counts as a batch.
 */
static int batch_next(void *context)
{
    struct batch *batch = context;
    if (batch->is_given || batch->has_failed)
        return 0;
    batch->is_given = true;
    batch->has_failed =
        batch->library->XGProxyDMatrixSetDataDense(batch->proxy, batch->features) != 0 ||
        batch->library->XGDMatrixSetInfoFromInterface(batch->proxy, "label", batch->labels) != 0;
    return !batch->has_failed;
}

/* A matrix of quantile bins; the validation rows take the training rows' bins (`ref`). */
static int build_binned(const struct xgboost_library *library, const char *features, const char *labels,
                        xgboost_matrix ref, int64_t max_bin, int nthread, xgboost_matrix *out)
{
    struct batch batch = {.library = library, .features = features, .labels = labels};
    char config[96];
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d,\"max_bin\":%" PRId64 "}", nthread,
             max_bin);
    if (library->XGProxyDMatrixCreate(&batch.proxy) != 0)
        return -1;
    int status = library->XGQuantileDMatrixCreateFromCallback(&batch, batch.proxy, ref, batch_reset,
                                                              batch_next, config, out);
    library->XGDMatrixFree(batch.proxy);
    return status != 0 || batch.has_failed ? -1 : 0;
}

static int build_plain(const struct xgboost_library *library, const char *features, const char *labels,
                       int nthread, xgboost_matrix *out)
{
    char config[64];
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%d}", nthread);
    return library->XGDMatrixCreateFromDense(features, config, out) != 0 ||
                   library->XGDMatrixSetInfoFromInterface(*out, "label", labels) != 0
               ? -1
               : 0;
}

static int build(const struct xgboost_library *library, const struct dataset *dataset, bool is_validation,
                 int nthread, struct matrix_pair *pair)
{
    size_t first = is_validation ? dataset->n_train : 0;
    size_t n_rows = is_validation ? dataset->n_validation : dataset->n_train;
    char features[ARRAY_SIZE], labels[ARRAY_SIZE];
    put_features(dataset, first, n_rows, features);
    put_labels(dataset, first, n_rows, labels);
    xgboost_matrix *out = is_validation ? &pair->validation : &pair->train;
    if (pair->max_bin == 0)
        return build_plain(library, features, labels, nthread, out);
    return build_binned(library, features, labels, is_validation ? pair->train : NULL, pair->max_bin, nthread,
                        out);
}

const struct matrix_pair *dataset_get_matrices(struct dataset *dataset, const struct xgboost_library *library,
                                               int64_t max_bin, int nthread, struct failure *failure)
{
    struct matrix_pair *oldest = &dataset->matrices[0];
    dataset->n_uses++;
    for (size_t i = 0; i < DATASET_MAX_MATRICES; i++) {
        struct matrix_pair *pair = &dataset->matrices[i];
        if (pair->train && pair->max_bin == max_bin) {
            pair->last_use = dataset->n_uses;
            return pair;
        }
        if (pair->last_use < oldest->last_use)
            oldest = pair;
    }
    free_matrices(oldest, library);
    oldest->max_bin = max_bin;
    if (build(library, dataset, false, nthread, oldest) < 0 ||
        build(library, dataset, true, nthread, oldest) < 0) {
        xgboost_library_fail(library, "take the data", failure);
        free_matrices(oldest, library);
        return NULL;
    }
    oldest->last_use = dataset->n_uses;
    return oldest;
}
