/* SPDX-License-Identifier: MIT */
/*
 * The best model of each study, on disk:
 *
 *     DIR/<study>/trial-<number>.ubj   the model, in XGBoost's UBJSON
 *     DIR/<study>/best.json            which model it is, how it was trained, on what
 *
 * Several runners share the directory: a lock file orders them, best.json is replaced by a rename, so a
 * reader always finds it naming a whole model. Models of the same objective and data compete by value; where
 * the objective or the data changed (a study of the same name was made anew), the newer one wins.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"

struct model_record {
    const char *study;
    int64_t number;
    double value;
    bool is_maximized; /* is a larger value better? */
    json_t *details; /* borrowed; best.json's other members; "objective" and "data" say what models compete */
};

/* Gives the model's bytes, which stay valid until its next call: 0 or -1. */
typedef int model_bytes_cb(void *context, const char **bytes, size_t *size);

/* Saves the model if it is the best so far. 1: saved, `path` says where; 0: there is a better one; -1: it
 * could not be saved, and `error` says why. */
[[nodiscard]] int model_store_save(const char *dir, const struct model_record *record,
                                   model_bytes_cb *get_bytes, void *context, struct buffer *path,
                                   struct buffer *error);
