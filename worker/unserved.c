/* SPDX-License-Identifier: MIT */
/* A list of studies, each with the time until which it is left alone. */
#include "worker/unserved.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/message.h"

struct unserved_study {
    char *name; /* owned */
    uint64_t until_ms;
};

void unserved_deinit(struct unserved *unserved)
{
    for (size_t i = 0; i < unserved->n_studies; i++)
        free(unserved->studies[i].name);
    free(unserved->studies);
    *unserved = (struct unserved){};
}

static void forget_first(struct unserved *unserved)
{
    free(unserved->studies[0].name);
    memmove(unserved->studies, unserved->studies + 1, --unserved->n_studies * sizeof unserved->studies[0]);
}

bool unserved_add(struct unserved *unserved, const char *study, uint64_t until_ms)
{
    for (size_t i = 0; i < unserved->n_studies; i++)
        if (strcmp(unserved->studies[i].name, study) == 0)
            return false;
    if (unserved->n_studies == MESSAGE_MAX_EXCEPT)
        forget_first(unserved);
    unserved->studies =
        memory_resize(unserved->studies, unserved->n_studies + 1, sizeof unserved->studies[0]);
    unserved->studies[unserved->n_studies++] =
        (struct unserved_study){.name = memory_strdup(study), .until_ms = until_ms};
    return true;
}

static void forget_past(struct unserved *unserved, uint64_t now_ms)
{
    size_t n = 0;

    for (size_t i = 0; i < unserved->n_studies; i++) {
        if (unserved->studies[i].until_ms > now_ms)
            unserved->studies[n++] = unserved->studies[i];
        else
            free(unserved->studies[i].name);
    }
    unserved->n_studies = n;
}

json_t *unserved_names(struct unserved *unserved, uint64_t now_ms)
{
    forget_past(unserved, now_ms);
    if (unserved->n_studies == 0)
        return NULL;

    json_t *names = json_array();

    for (size_t i = 0; i < unserved->n_studies; i++)
        json_array_append_new(names, json_string(unserved->studies[i].name));
    return names;
}
