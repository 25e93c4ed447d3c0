/* SPDX-License-Identifier: MIT */
/* Finds this worker's GPUs and lays its slots out over them. */
#include "worker/devices.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

int gpu_count(void)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    int count = 0;

    if (!driver)
        return 0;

    int (*init)(unsigned flags) = (int (*)(unsigned))dlsym(driver, "cuInit");
    int (*get_count)(int *count) = (int (*)(int *))dlsym(driver, "cuDeviceGetCount");

    if (!init || !get_count || init(0) != 0 || get_count(&count) != 0)
        count = 0;
    return count; /* the driver stays loaded: it does not like to be unloaded */
}

static void add(struct gpu_list *gpus, const char *id, size_t length)
{
    gpus->ids = memory_resize(gpus->ids, gpus->n_ids + 1, sizeof gpus->ids[0]);
    gpus->ids[gpus->n_ids++] = memory_strndup(id, length);
}

/* CUDA's rule: the list ends at the first entry that is no device, such as -1. */
static void take_visible(struct gpu_list *gpus, const char *visible)
{
    while (*visible) {
        size_t length = strcspn(visible, ",");

        if (length == 0 || visible[0] == '-' || strncmp(visible, "NoDevFiles", length) == 0)
            return;
        add(gpus, visible, length);
        visible += length + (visible[length] == ',');
    }
}

/* Slurm often shows each of a node's tasks all of the node's GPUs: each takes its own. */
static void keep_own(struct gpu_list *gpus, const char *slurm_local_id)
{
    char *end;
    unsigned long task = strtoul(slurm_local_id, &end, 10);

    if (gpus->n_ids < 2 || end == slurm_local_id || *end)
        return;

    char *own = memory_strdup(gpus->ids[task % gpus->n_ids]);

    gpu_list_deinit(gpus);
    add(gpus, own, strlen(own));
    free(own);
}

static void find_all(struct gpu_list *gpus, const struct gpu_surroundings *surroundings)
{
    if (surroundings->visible) {
        take_visible(gpus, surroundings->visible);
        if (surroundings->slurm_local_id)
            keep_own(gpus, surroundings->slurm_local_id);
        return;
    }

    int count = surroundings->count();

    for (int i = 0; i < count; i++) {
        char id[16];
        int length = snprintf(id, sizeof id, "%d", i);

        add(gpus, id, (size_t)length);
    }
}

static bool has(const struct gpu_list *gpus, const char *id, size_t length)
{
    for (size_t i = 0; i < gpus->n_ids; i++)
        if (strlen(gpus->ids[i]) == length && memcmp(gpus->ids[i], id, length) == 0)
            return true;
    return false;
}

static bool is_gpu_id(const char *id, size_t length)
{
    size_t n_digits = strspn(id, "0123456789");

    return (n_digits == length && length > 0) || strncmp(id, "GPU-", 4) == 0 || strncmp(id, "MIG-", 4) == 0;
}

static int read_list(struct gpu_list *gpus, const char *list, struct problem *problem)
{
    for (const char *id = list;; id++) {
        size_t length = strcspn(id, ",");

        if (!is_gpu_id(id, length) || has(gpus, id, length))
            return problem_set(problem, PROBLEM_INVALID, "",
                               "gpus must be auto, none, or a list of different GPUs as in 0,1 or "
                               "GPU-8932f937, and is \"%s\"",
                               list);
        add(gpus, id, length);
        id += length;
        if (!*id)
            return 0;
    }
}

int gpu_list_read(struct gpu_list *gpus, const char *option, const struct gpu_surroundings *surroundings,
                  struct problem *problem)
{
    *gpus = (struct gpu_list){};
    if (strcmp(option, "none") == 0)
        return 0;
    if (strcmp(option, "auto") != 0)
        return read_list(gpus, option, problem);
    find_all(gpus, surroundings);
    return 0;
}

void gpu_list_deinit(struct gpu_list *gpus)
{
    for (size_t i = 0; i < gpus->n_ids; i++)
        free(gpus->ids[i]);
    free(gpus->ids);
    *gpus = (struct gpu_list){};
}

/* "gpu1"; "gpu1.0" where a GPU has several slots. A GPU that has no number is known by its place in the list.
 */
static void name_place(struct slot_place *place, const struct gpu_list *gpus, size_t i, bool is_shared)
{
    size_t place_in_list = i % gpus->n_ids;
    char number[24], share[24] = "";
    size_t n_digits = strspn(gpus->ids[place_in_list], "0123456789");

    place->gpu = gpus->ids[place_in_list];
    if (n_digits < 6 && !place->gpu[n_digits])
        snprintf(number, sizeof number, "%s", place->gpu);
    else
        snprintf(number, sizeof number, "%zu", place_in_list);
    if (is_shared)
        snprintf(share, sizeof share, ".%zu", i / gpus->n_ids);
    snprintf(place->name, sizeof place->name, "gpu%s%s", number, share);
}

int slot_places_make(const struct gpu_list *gpus, int64_t n_slots, int64_t trials_per_gpu,
                     struct slot_place **places, size_t *n_places, struct problem *problem)
{
    if (n_slots > 0 && trials_per_gpu > 1)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "slots and trials_per_gpu both say how many slots there are; give one");

    size_t n = (size_t)n_slots;

    if (n == 0)
        n = gpus->n_ids > 0 ? gpus->n_ids * (size_t)trials_per_gpu : 1;
    if (n > DEVICES_MOST_SLOTS)
        return problem_set(problem, PROBLEM_INVALID, "",
                           "%zu slots are too many for one worker; %d are the limit", n, DEVICES_MOST_SLOTS);
    *places = memory_array(n, sizeof(*places)[0]);
    *n_places = n;
    for (size_t i = 0; i < n; i++) {
        if (gpus->n_ids > 0)
            name_place(&(*places)[i], gpus, i, n > gpus->n_ids);
        else
            snprintf((*places)[i].name, sizeof(*places)[i].name, "%zu", i);
    }
    return 0;
}
