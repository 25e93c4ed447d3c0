/* SPDX-License-Identifier: MIT */
/* Unit tests of choosing GPUs and laying slots out over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "worker/devices.h"

static int three(void)
{
    return 3;
}

/* The chosen GPUs as "0,1", or "!" and the problem. */
static const char *choose(const char *option, const char *visible, const char *slurm_local_id)
{
    static char out[600];
    struct gpu_surroundings surroundings = {
        .visible = visible, .slurm_local_id = slurm_local_id, .count = three};
    struct gpu_list gpus;
    struct problem problem = {};

    out[0] = '\0';
    if (gpu_list_read(&gpus, option, &surroundings, &problem))
        strcat(strcpy(out, "!"), problem.detail);
    else
        for (size_t i = 0; i < gpus.n_ids; i++)
            strcat(strcat(out, i > 0 ? "," : ""), gpus.ids[i]);
    gpu_list_deinit(&gpus);
    return out;
}

/* CUDA_VISIBLE_DEVICES is believed where it is set, empty means none; else the driver is asked. */
static void test_auto(void **)
{
    assert_string_equal(choose("auto", NULL, NULL), "0,1,2");
    assert_string_equal(choose("auto", "", NULL), "");
    assert_string_equal(choose("auto", "-1", NULL), "");
    assert_string_equal(choose("auto", "NoDevFiles", NULL), "");
    assert_string_equal(choose("auto", "1", NULL), "1");
    assert_string_equal(choose("auto", "2,0", NULL), "2,0");
    assert_string_equal(choose("auto", "0,-1,1", NULL), "0");
    assert_string_equal(choose("auto", "GPU-89ab,MIG-cd", NULL), "GPU-89ab,MIG-cd");
    assert_string_equal(choose("none", "0,1", NULL), "");
}

/* A Slurm task that sees several GPUs takes its own; one that sees one GPU has it already. */
static void test_slurm(void **)
{
    assert_string_equal(choose("auto", "0,1", "0"), "0");
    assert_string_equal(choose("auto", "0,1", "1"), "1");
    assert_string_equal(choose("auto", "4,5", "3"), "5");
    assert_string_equal(choose("auto", "5", "1"), "5");
    assert_string_equal(choose("auto", "", "1"), "");
    assert_string_equal(choose("auto", "0,1", ""), "0,1");
    assert_string_equal(choose("auto", NULL, "1"), "0,1,2");
}

/* A list is taken as it is; what is no list of different GPUs is refused. */
static void test_list(void **)
{
    assert_string_equal(choose("0,3", "1", "0"), "0,3");
    assert_string_equal(choose("GPU-89ab", NULL, NULL), "GPU-89ab");
    static const char *const bad[] = {"", "0,", ",0", "0,0", "one", "-1", "0 1", "all"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(strstr(choose(bad[i], NULL, NULL), "!gpus must be auto, none, or a list"));
}

/* The slots as "name=gpu name=gpu", or "!" and the problem. */
static const char *lay_out(const char *option, int64_t n_slots, int64_t trials_per_gpu)
{
    static char out[600];
    struct gpu_surroundings surroundings = {.count = three};
    struct gpu_list gpus;
    struct slot_place *places = NULL;
    struct problem problem = {};
    size_t n = 0;

    assert_int_equal(gpu_list_read(&gpus, option, &surroundings, &problem), 0);
    out[0] = '\0';
    if (slot_places_make(&gpus, n_slots, trials_per_gpu, &places, &n, &problem))
        strcat(strcpy(out, "!"), problem.detail);
    for (size_t i = 0; i < n; i++) {
        strcat(strcat(strcat(out, i > 0 ? " " : ""), places[i].name), "=");
        strcat(out, places[i].gpu ? places[i].gpu : "cpu");
    }
    free(places);
    gpu_list_deinit(&gpus);
    return out;
}

/* One slot per GPU and share; one without a GPU; a number of slots is spread over the GPUs. */
static void test_slots(void **)
{
    assert_string_equal(lay_out("none", 0, 1), "0=cpu");
    assert_string_equal(lay_out("none", 2, 1), "0=cpu 1=cpu");
    assert_string_equal(lay_out("0,3", 0, 1), "gpu0=0 gpu3=3");
    assert_string_equal(lay_out("0,3", 0, 2), "gpu0.0=0 gpu3.0=3 gpu0.1=0 gpu3.1=3");
    assert_string_equal(lay_out("0,3", 3, 1), "gpu0.0=0 gpu3.0=3 gpu0.1=0");
    assert_string_equal(lay_out("0,3", 1, 1), "gpu0=0");
    assert_string_equal(lay_out("MIG-a,GPU-b", 0, 1), "gpu0=MIG-a gpu1=GPU-b");
    assert_non_null(strstr(lay_out("0", 2, 2), "!slots and trials_per_gpu both say"));
    assert_non_null(strstr(lay_out("none", 1025, 1), "!1025 slots are too many"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_auto), cmocka_unit_test(test_slurm),
                                       cmocka_unit_test(test_list), cmocka_unit_test(test_slots)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
