/* SPDX-License-Identifier: MIT */
/* The model directory: only the best model stays, best.json always names a whole one. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/xgboost/model_store.h"

static char dir[64];
static int n_models_given;

static int setup(void **unused)
{
    (void)unused;
    strcpy(dir, "/tmp/test_model_store.XXXXXX");
    n_models_given = 0;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int teardown(void **unused)
{
    (void)unused;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int give(void *context, const char **bytes, size_t *size)
{
    *bytes = context;
    *size = strlen(context);
    n_models_given++;
    return 0;
}

static int save(const char *study, int64_t number, double value, bool is_maximized, const char *objective)
{
    json_t *details = json_pack("{s:s, s:s}", "objective", objective, "data", "wine");
    const struct model_record record = {
        .study = study, .number = number, .value = value, .is_maximized = is_maximized, .details = details};
    BUFFER_AUTO struct buffer path = {0}, error = {0};
    char model[32];
    snprintf(model, sizeof model, "model %d", (int)number);
    int status = model_store_save(dir, &record, give, model, &path, &error);
    assert_true((status < 0) == (error.size > 0));
    assert_true((status > 0) == (path.size > 0));
    json_decref(details);
    return status;
}

/* best.json names this trial, its model is there and whole, and no other model is. */
static void assert_best(const char *study_dir, int64_t number)
{
    char path[128], model[32], content[32] = {0};
    snprintf(path, sizeof path, "%s/%s/best.json", dir, study_dir);
    json_t *best = json_load_file(path, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(best, "trial")), number);
    snprintf(path, sizeof path, "%s/%s/%s", dir, study_dir,
             json_string_value(json_object_get(best, "model")));
    json_decref(best);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(content, 1, sizeof content - 1, file) > 0);
    fclose(file);
    snprintf(model, sizeof model, "model %d", (int)number);
    assert_string_equal(content, model);
    for (int64_t other = 0; other < 10; other++) {
        snprintf(path, sizeof path, "%s/%s/trial-%d.ubj", dir, study_dir, (int)other);
        assert_int_equal(access(path, F_OK) == 0, other == number);
    }
}

/* A better value replaces, a worse or equal one is not even serialized. */
static void test_best_stays(void **unused)
{
    (void)unused;
    assert_int_equal(save("wine", 0, 0.7, false, "o"), 1);
    assert_int_equal(save("wine", 1, 0.8, false, "o"), 0);
    assert_int_equal(save("wine", 2, 0.7, false, "o"), 0);
    assert_best("wine", 0);
    assert_int_equal(save("wine", 3, 0.6, false, "o"), 1);
    assert_best("wine", 3);
    assert_int_equal(n_models_given, 2);
}

static void test_maximized(void **unused)
{
    (void)unused;
    assert_int_equal(save("wine", 0, 0.7, true, "o"), 1);
    assert_int_equal(save("wine", 1, 0.6, true, "o"), 0);
    assert_int_equal(save("wine", 2, 0.8, true, "o"), 1);
    assert_best("wine", 2);
}

/* A value of another objective is no rival: a study of the same name was made anew. */
static void test_other_objective(void **unused)
{
    (void)unused;
    assert_int_equal(save("wine", 5, 0.1, false, "old"), 1);
    assert_int_equal(save("wine", 0, 0.9, false, "new"), 1);
    assert_best("wine", 0);
}

/* A best.json that is damaged is replaced, not stumbled over. */
static void test_damaged(void **unused)
{
    (void)unused;
    assert_int_equal(save("wine", 0, 0.7, false, "o"), 1);
    char path[128];
    snprintf(path, sizeof path, "%s/wine/best.json", dir);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(save("wine", 0, 0.9, false, "o"), 1);
    assert_best("wine", 0);
}

static void touch(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/wine/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static bool is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/wine/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* What runners left that were killed while they saved goes with the next model; what is not ours stays. */
static void test_leftovers(void **unused)
{
    (void)unused;
    static const char *const ours[] = {"trial-1.ubj", "trial-1.ubj.77.part", "best.json.77.part"};
    static const char *const others[] = {"notes.txt", "trial-7.txt", "best.json.bak"};
    assert_int_equal(save("wine", 0, 0.7, false, "o"), 1);
    for (size_t i = 0; i < 3; i++) {
        touch(ours[i]);
        touch(others[i]);
    }
    assert_int_equal(save("wine", 2, 0.6, false, "o"), 1);
    assert_best("wine", 2);
    for (size_t i = 0; i < 3; i++) {
        assert_false(is_there(ours[i]));
        assert_true(is_there(others[i]));
    }
}

/* No name of a study leads out of the directory. */
static void test_names(void **unused)
{
    (void)unused;
    assert_int_equal(save("../a b/%", 0, 0.7, false, "o"), 1);
    assert_best("%2E.%2Fa%20b%2F%25", 0);
}

/* Where the directory cannot be made, it says which and why. */
static void test_no_place(void **unused)
{
    (void)unused;
    char kept[sizeof dir];
    strcpy(kept, dir);
    strcpy(dir, "/dev/null/models");
    assert_int_equal(save("wine", 0, 0.7, false, "o"), -1);
    strcpy(dir, kept);
}

static void assert_same(const char *path, const char *expected)
{
    char text[40] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, expected);
}

/* Links that lie in the directory lead nowhere: no file of another place is written over. */
static void test_links(void **unused)
{
    (void)unused;
    char other[100], place[100], link[140];
    snprintf(other, sizeof other, "%s/other", dir);
    snprintf(place, sizeof place, "%s/other/file", dir);
    assert_int_equal(mkdir(other, 0700), 0);
    FILE *file = fopen(place, "w");
    assert_true(file && fputs("mine", file) >= 0 && fclose(file) == 0);

    snprintf(link, sizeof link, "%s/linked", dir);
    assert_int_equal(symlink(other, link), 0);
    assert_int_equal(save("linked", 0, 0.5, false, "a"), -1);
    assert_int_equal(unlink(link), 0);

    assert_int_equal(save("wine", 0, 0.5, false, "a"), 1);
    static const char *const names[] = {".lock", "best.json", "trial-1.ubj"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(link, sizeof link, "%s/wine/%s", dir, names[i]);
        unlink(link);
        assert_int_equal(symlink(place, link), 0);
    }
    assert_int_equal(save("wine", 1, 0.4, false, "a"), 1);
    char made[110]; /* where a link leads that leads nowhere yet */
    snprintf(made, sizeof made, "%s/other/made", dir);
    snprintf(link, sizeof link, "%s/wine/.lock", dir);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(made, link), 0);
    assert_int_equal(save("wine", 1, 0.35, false, "a"), 1);
    assert_int_equal(access(made, F_OK), -1);
    snprintf(link, sizeof link, "%s/wine/trial-2.ubj.%ld.part", dir, (long)getpid());
    assert_int_equal(symlink(place, link), 0);
    assert_int_equal(save("wine", 2, 0.3, false, "a"), -1);
    assert_same(place, "mine");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_best_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_maximized, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_objective, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
