/* SPDX-License-Identifier: MIT */
/* The writer's table of studies. */
#include "daemon/store/known.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/optuna_json.h"
#include "proto/memory.h"

void known_study_free(struct known_study *study)
{
    if (!study)
        return;
    space_free(study->space);
    free(study);
}

void known_deinit(struct known *known)
{
    for (size_t i = 0; i < known->n; i++)
        known_study_free(known->studies[i]);
    free(known->studies);
    *known = (struct known){0};
}

/* Index of the first study whose id is not below. */
static size_t find_index(const struct known *known, int64_t study_id)
{
    size_t low = 0, high = known->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (known->studies[middle]->study_id < study_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct known_study *known_find(const struct known *known, int64_t study_id)
{
    size_t i = find_index(known, study_id);
    return i < known->n && known->studies[i]->study_id == study_id ? known->studies[i] : NULL;
}

void known_add(struct known *known, struct known_study *study)
{
    known_remove(known, study->study_id);
    if (known->n == known->capacity) {
        known->capacity = known->capacity ? 2 * known->capacity : 16;
        known->studies = memory_resize(known->studies, known->capacity, sizeof *known->studies);
    }
    size_t i = find_index(known, study->study_id);
    memmove(known->studies + i + 1, known->studies + i, (known->n - i) * sizeof *known->studies);
    known->studies[i] = study;
    known->n++;
}

void known_remove(struct known *known, int64_t study_id)
{
    size_t i = find_index(known, study_id);
    if (i == known->n || known->studies[i]->study_id != study_id)
        return;
    known_study_free(known->studies[i]);
    known->n--;
    memmove(known->studies + i, known->studies + i + 1, (known->n - i) * sizeof *known->studies);
}

int uid_read(unsigned char uid[UID_BYTES], const char *text)
{
    if (strlen(text) != 2 * UID_BYTES || strspn(text, "0123456789abcdef") != 2 * UID_BYTES)
        return -1;
    for (size_t i = 0; i < UID_BYTES; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0};
        uid[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return 0;
}

void uid_format(char text[2 * UID_BYTES + 1], const unsigned char uid[UID_BYTES])
{
    for (size_t i = 0; i < UID_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", uid[i]);
}

struct space *space_of_spec(const char *spec_json)
{
    struct problem problem = {0};
    json_t *spec = optuna_json_parse(spec_json);
    json_t *json = json_object_get(spec, "space");
    struct space *space = json ? space_read(json, "space", &problem) : NULL;
    json_decref(spec);
    return space;
}
