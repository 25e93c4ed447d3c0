/* SPDX-License-Identifier: MIT */
/* The parameters of one training: the fixed ones of the objective and the sampled ones of the trial, as
 * XGBoost's names and text values. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/xgboost/failure.h"

#define PARAMETERS_DEFAULT_ROUNDS 100
#define PARAMETERS_MAX_ROUNDS 1000000

struct parameter {
    char *name;  /* owned; as the user wrote it */
    char *value; /* owned */
};

struct parameters {
    size_t n_items;
    struct parameter *items; /* owned */
    int n_rounds;            /* n_estimators, num_boost_round or num_round */
};

/* Merges both objects. 0; or -1 with `failure` where a parameter is given twice (aliases are one parameter),
 * or its value is of no use. Deinit either way. */
[[nodiscard]] int parameters_init(struct parameters *parameters, const json_t *fixed, const json_t *sampled,
                                  struct failure *failure);
void parameters_deinit(struct parameters *parameters);

/* The value by any of the parameter's names; NULL where it is not given. Borrowed. */
const char *parameters_get(const struct parameters *parameters, const char *name);
/* Replaces or adds. */
void parameters_set(struct parameters *parameters, const char *name, const char *value);
/* Removes, if it is there. */
void parameters_remove(struct parameters *parameters, const char *name);

/* Is it a parameter of some version of XGBoost? */
bool parameters_is_known(const char *name);
/* The name that was probably meant by this unknown one, or NULL. */
const char *parameters_nearest(const char *name);
