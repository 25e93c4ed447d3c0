/* SPDX-License-Identifier: MIT */
/* A small set of studies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is empty. */
struct id_set {
    size_t n;
    int64_t *ids; /* owned */
};

bool id_set_has(const struct id_set *set, int64_t id);
void id_set_add(struct id_set *set, int64_t id);
void id_set_clear(struct id_set *set);
