/* SPDX-License-Identifier: MIT */
/* Which GPUs this worker uses, and which slots it makes of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/problem.h"

#define DEVICES_MOST_SLOTS 1024

/* GPUs as CUDA_VISIBLE_DEVICES names them: "0", "GPU-8932f937-…", "MIG-…". */
struct gpu_list {
    size_t n_ids;
    char **ids; /* owned */
};

/* What the choice depends on besides the option. */
struct gpu_surroundings {
    const char *visible;        /* CUDA_VISIBLE_DEVICES, or NULL where it is not set; empty means no GPU */
    const char *slurm_local_id; /* SLURM_LOCALID, or NULL: which of the node's tasks this is */
    int (*count)(void);         /* asked where nothing else says it */
};

/* `option`: "auto", "none", or a list "0,1". 0, or -1 with `problem` for a list that is none. */
[[nodiscard]] int gpu_list_read(struct gpu_list *gpus, const char *option,
                                const struct gpu_surroundings *surroundings, struct problem *problem);
void gpu_list_deinit(struct gpu_list *gpus);
/* How many GPUs the NVIDIA driver has; 0 where there is no driver. */
int gpu_count(void);

/* Where a slot's runner runs. */
struct slot_place {
    char name[64];   /* "0", "gpu1", "gpu1.0": what logs call it */
    const char *gpu; /* borrowed from the gpu_list, NULL: the CPU */
};
/* `n_slots` 0: one slot per GPU and share, or one without a GPU. Otherwise so many, spread over the GPUs. 0
 * with *places (free() it) and *n_places, or -1 with `problem`. */
[[nodiscard]] int slot_places_make(const struct gpu_list *gpus, int64_t n_slots, int64_t trials_per_gpu,
                                   struct slot_place **places, size_t *n_places, struct problem *problem);
