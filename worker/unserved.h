/* SPDX-License-Identifier: MIT */
/*
 * Studies that this worker cannot serve now: it does not ask for them, and tries again after a while.
 *
 * What is in the way may be the study's own (a name of data that nobody here knows) or this machine's (a
 * runner that does not start); either can be mended while the worker serves the others.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unserved_study;

/* Zeroed is empty. */
struct unserved {
    size_t n_studies;
    struct unserved_study *studies; /* owned */
};

void unserved_deinit(struct unserved *unserved);
/* Is it new here? One that is known already keeps its time. Beyond MESSAGE_MAX_EXCEPT the first is forgotten.
 */
bool unserved_add(struct unserved *unserved, const char *study, uint64_t until_ms);
/* Their names, for an ask; NULL where there are none. Those whose time is over are forgotten. New reference.
 */
[[nodiscard]] json_t *unserved_names(struct unserved *unserved, uint64_t now_ms);
