/* SPDX-License-Identifier: MIT */
/*
 * What the writer knows of each study: what it needs to number trials and to read those that others add.
 *
 * Filled while loading (reader's thread), the writer's alone from then on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/space.h"

#define UID_BYTES 16

struct known_study {
    int64_t study_id;
    unsigned char uid[UID_BYTES];
    bool has_row;  /* in studyd_studies, and the attribute studyd:uid */
    bool has_spec; /* the space is the spec's and never changes: parameters are stored packed in its order */
    struct space *space;   /* owned; NULL: a study without spec and parameters */
    int64_t last_trial_id; /* every trial up to this id is known, */
    int64_t next_number;   /* and the number of the next one is this */
};

struct known {
    size_t n, capacity;
    struct known_study **studies; /* owned, in ascending study_id */
};

void known_deinit(struct known *known);
/* Takes the study. One of the same id is replaced (SQLite gives the ids of deleted studies away again). */
void known_add(struct known *known, struct known_study *study);
/* NULL where there is none. */
struct known_study *known_find(const struct known *known, int64_t study_id);
void known_remove(struct known *known, int64_t study_id);
void known_study_free(struct known_study *study); /* NULL is fine */

/* 32 hex digits <-> 16 bytes. 0, or -1 for text that is none. */
[[nodiscard]] int uid_read(unsigned char uid[UID_BYTES], const char *text);
void uid_format(char text[2 * UID_BYTES + 1], const unsigned char uid[UID_BYTES]);
/* The space of a stored spec. NULL where the spec is not valid. */
[[nodiscard]] struct space *space_of_spec(const char *spec_json);
