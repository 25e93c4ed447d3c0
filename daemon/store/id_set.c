/* SPDX-License-Identifier: MIT */
/* Small sets of studies. */
#include "daemon/store/id_set.h"

#include <stdlib.h>

#include "proto/memory.h"

bool id_set_has(const struct id_set *set, int64_t id)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->ids[i] == id)
            return true;
    return false;
}

void id_set_add(struct id_set *set, int64_t id)
{
    if (id_set_has(set, id))
        return;
    set->ids = memory_resize(set->ids, set->n + 1, sizeof *set->ids);
    set->ids[set->n++] = id;
}

void id_set_clear(struct id_set *set)
{
    free(set->ids);
    *set = (struct id_set){0};
}
