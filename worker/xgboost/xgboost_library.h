/* SPDX-License-Identifier: MIT */
/*
 * libxgboost, opened at run time: one binary works with versions 1.7 to 3.x, from Debian, PyPI, conda or
 * Databricks.
 *
 * The library's error text, log callback and global configuration belong to the calling thread: everything
 * here, and every call of a function below, happens on the thread that opened it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "worker/xgboost/failure.h"

typedef void *xgboost_matrix;  /* DMatrixHandle */
typedef void *xgboost_booster; /* BoosterHandle */

/* Every function that is called: return type, name, parameters. All are there since 1.7.0, with the same
 * prototypes. */
#define XGBOOST_FUNCTIONS(X)                                                                                 \
    X(void, XGBoostVersion, (int *major, int *minor, int *patch))                                            \
    X(int, XGBuildInfo, (const char **json))                                                                 \
    X(const char *, XGBGetLastError, (void))                                                                 \
    X(int, XGBRegisterLogCallback, (void (*callback)(const char *)))                                         \
    X(int, XGDMatrixCreateFromDense, (const char *data, const char *config, xgboost_matrix *out))            \
    X(int, XGProxyDMatrixCreate, (xgboost_matrix * out))                                                     \
    X(int, XGProxyDMatrixSetDataDense, (xgboost_matrix proxy, const char *data))                             \
    X(int, XGQuantileDMatrixCreateFromCallback,                                                              \
      (void *iterator, xgboost_matrix proxy, xgboost_matrix ref, void (*reset)(void *), int (*next)(void *), \
       const char *config, xgboost_matrix *out))                                                             \
    X(int, XGDMatrixSetInfoFromInterface, (xgboost_matrix matrix, const char *field, const char *data))      \
    X(int, XGDMatrixFree, (xgboost_matrix matrix))                                                           \
    X(int, XGBoosterCreate, (const xgboost_matrix matrices[], uint64_t n_matrices, xgboost_booster *out))    \
    X(int, XGBoosterFree, (xgboost_booster booster))                                                         \
    X(int, XGBoosterSetParam, (xgboost_booster booster, const char *name, const char *value))                \
    X(int, XGBoosterUpdateOneIter, (xgboost_booster booster, int round, xgboost_matrix train))               \
    X(int, XGBoosterEvalOneIter,                                                                             \
      (xgboost_booster booster, int round, xgboost_matrix matrices[], const char *names[],                   \
       uint64_t n_matrices, const char **text))                                                              \
    X(int, XGBoosterPredictFromDMatrix,                                                                      \
      (xgboost_booster booster, xgboost_matrix matrix, const char *config, const uint64_t **shape,           \
       uint64_t *n_dimensions, const float **predictions))                                                   \
    X(int, XGBoosterSaveModelToBuffer,                                                                       \
      (xgboost_booster booster, const char *config, uint64_t *size, const char **bytes))                     \
    X(int, XGBoosterSaveJsonConfig, (xgboost_booster booster, uint64_t * size, const char **json))

struct xgboost_library {
    char *path;       /* owned; as it was given to the loader */
    int major, minor; /* of its version */
    char version[32]; /* "1.7.4" */
    bool has_cuda;    /* built with CUDA */
#define X(type, name, parameters) type(*name) parameters;
    XGBOOST_FUNCTIONS(X)
#undef X
};

/* Opens the library at `path`; where that is NULL the first that loads: libxgboost.so.3, .so.0, .so of the
 * system, then those of the Python environments that $VIRTUAL_ENV, $CONDA_PREFIX and Databricks name. 0; or
 * -1 with what was tried, and what to install, in `error`. It stays open until the process ends. */
[[nodiscard]] int xgboost_library_open(struct xgboost_library *library, const char *path,
                                       struct buffer *error);

/* What a failed call left: the first line of the library's error text, without its time and source place;
 * class oom where it ran out of memory. `doing` is what was tried ("train"). Returns -1. */
int xgboost_library_fail(const struct xgboost_library *library, const char *doing, struct failure *failure);

/* Parameters that the library has said it does not use, since the last call of this: NULL-terminated, freed
 * by xgboost_library_free_names(); NULL where there are none. */
char **xgboost_library_take_unused(void);
void xgboost_library_free_names(char **names); /* NULL is fine */
