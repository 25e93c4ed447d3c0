/* SPDX-License-Identifier: MIT */
/* Chooses, checks and verifies the device of a training. */
#include "worker/xgboost/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USE_THE_CPU "set \"device\": \"cpu\" in objective.params to train on the CPU"

/* "cpu", "cuda", "cuda:1"; "gpu" is XGBoost's other word for cuda. */
static int parse_device(const char *text, struct device *device)
{
    *device = (struct device){0};
    if (strcmp(text, "cpu") == 0)
        return 0;
    size_t size = strcspn(text, ":");
    if (!(size == 4 && memcmp(text, "cuda", 4) == 0) && !(size == 3 && memcmp(text, "gpu", 3) == 0))
        return -1;
    device->is_cuda = true;
    if (text[size] == '\0')
        return 0;
    char *end;
    device->ordinal = (int)strtol(text + size + 1, &end, 10);
    return text[size + 1] >= '0' && text[size + 1] <= '9' && *end == '\0' ? 0 : -1;
}

int device_choose(struct device *device, struct parameters *parameters, const char *slot,
                  struct failure *failure)
{
    const char *named = parameters_get(parameters, "device");
    if (parse_device(named ? named : slot, device) < 0)
        return failure_set(failure, FAILURE_OBJECTIVE,
                           "device \"%s\" is not understood; cpu, cuda or cuda:N is", named ? named : slot);
    const char *gpu_id = parameters_get(parameters, "gpu_id");
    if (!named && gpu_id) {
        device->is_cuda = atoi(gpu_id) >= 0;
        device->ordinal = device->is_cuda ? atoi(gpu_id) : 0;
    }
    const char *tree_method = parameters_get(parameters, "tree_method");
    if (tree_method && strcmp(tree_method, "gpu_hist") == 0) {
        if (named && !device->is_cuda)
            return failure_set(failure, FAILURE_OBJECTIVE,
                               "device is cpu and tree_method is gpu_hist; say \"tree_method\": \"hist\"");
        device->is_cuda = true;
        parameters_set(parameters, "tree_method", "hist");
    }
    parameters_remove(parameters, "device");
    parameters_remove(parameters, "gpu_id");
    return 0;
}

/* How many GPUs the driver shows to this process; none where there is no driver. Asked once. */
static int count_gpus(void)
{
    static int n_gpus = -1;
    if (n_gpus >= 0)
        return n_gpus;
    n_gpus = 0;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    int (*init)(unsigned) = driver ? (int (*)(unsigned))dlsym(driver, "cuInit") : NULL;
    int (*get_count)(int *) = driver ? (int (*)(int *))dlsym(driver, "cuDeviceGetCount") : NULL;
    int count;
    if (init && get_count && init(0) == 0 && get_count(&count) == 0)
        n_gpus = count;
    return n_gpus;
}

int device_check(const struct device *device, const struct xgboost_library *library, struct failure *failure)
{
    if (!device->is_cuda)
        return 0;
    if (!library->has_cuda)
        return failure_set(
            failure, FAILURE_OBJECTIVE,
            "device cuda is asked for, and %s (XGBoost %s) is built without CUDA; name a CUDA build, "
            "such as PyPI's xgboost, with --libxgboost, or " USE_THE_CPU,
            library->path, library->version);
    int n_gpus = count_gpus();
    if (device->ordinal < n_gpus)
        return 0;
    return failure_set(
        failure, FAILURE_OBJECTIVE,
        "device cuda:%d is asked for, and this runner sees %d GPU%s; look at nvidia-smi and at "
        "CUDA_VISIBLE_DEVICES, or " USE_THE_CPU,
        device->ordinal, n_gpus, n_gpus == 1 ? "" : "s");
}

void device_apply(const struct device *device, const struct xgboost_library *library,
                  struct parameters *parameters)
{
    char text[24];
    if (library->major >= 2) {
        snprintf(text, sizeof text, "cuda:%d", device->ordinal);
        parameters_set(parameters, "device", device->is_cuda ? text : "cpu");
    } else if (device->is_cuda) {
        snprintf(text, sizeof text, "%d", device->ordinal);
        parameters_set(parameters, "gpu_id", text);
        parameters_set(parameters, "tree_method", "gpu_hist");
    }
}

/* learner.generic_param of the booster's configuration: `device` since 2.0, `gpu_id` before. */
static bool trains_on_gpu(const json_t *config)
{
    const json_t *generic = json_object_get(json_object_get(config, "learner"), "generic_param");
    const char *name = json_string_value(json_object_get(generic, "device"));
    const char *gpu_id = json_string_value(json_object_get(generic, "gpu_id"));
    return name ? strncmp(name, "cuda", 4) == 0 : gpu_id && atoi(gpu_id) >= 0;
}

int device_verify(const struct device *device, const struct xgboost_library *library, xgboost_booster booster,
                  struct failure *failure)
{
    if (!device->is_cuda)
        return 0;
    uint64_t size;
    const char *text;
    if (library->XGBoosterSaveJsonConfig(booster, &size, &text) != 0)
        return xgboost_library_fail(library, "say where it trains", failure);
    json_t *config = json_loadb(text, size, 0, NULL);
    bool is_there = trains_on_gpu(config);
    json_decref(config);
    if (is_there)
        return 0;
    return failure_set(
        failure, FAILURE_OBJECTIVE,
        "device cuda:%d is asked for, and XGBoost %s fell back to the CPU (its warnings are in the "
        "worker's log); " USE_THE_CPU,
        device->ordinal, library->version);
}
