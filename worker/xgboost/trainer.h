/* SPDX-License-Identifier: MIT */
/* Runs a trial: parameters, data, rounds with reports, the final value, the model. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "worker/runner_message.h"
#include "worker/xgboost/dataset.h"
#include "worker/xgboost/failure.h"
#include "worker/xgboost/xgboost_library.h"

/* What one process keeps from trial to trial. */
struct trainer {
    const struct xgboost_library *library; /* borrowed */
    const char *model_dir;                 /* borrowed; NULL: models are not saved */
    struct dataset_cache cache;
    char *last_warning; /* owned; the same warning is not repeated trial after trial */
};

enum verdict { TRAIN_ON, TRAIN_PRUNE, TRAIN_ABANDON };

/* Who listens to a trial. Both are called between rounds. */
struct watcher {
    void *context;
    enum verdict (*report)(void *context, int step, double value);
    enum verdict (*look)(void *context); /* after each round: has something come? Must not block */
};

enum outcome { OUTCOME_DONE, OUTCOME_PRUNED, OUTCOME_FAILED, OUTCOME_ABANDONED };

struct trial_result {
    enum outcome outcome;
    double value;           /* DONE */
    json_t *attrs;          /* DONE, PRUNED: owned object */
    struct failure failure; /* FAILED */
};

void trainer_run(struct trainer *trainer, const struct runner_trial *trial, const struct watcher *watcher,
                 struct trial_result *result);
void trial_result_deinit(struct trial_result *result);
void trainer_deinit(struct trainer *trainer);
