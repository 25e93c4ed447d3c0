/* SPDX-License-Identifier: MIT */
/* Unit tests of TPE's inner loop: its builds against each other, and against the formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/sampler/mixture_sum.h"
#include "daemon/sampler/philox.h"
#include "daemon/sampler/truncated_normal.h"

#define N_ROWS 300
#define N_CONTINUOUS 8
#define N_DISCRETE 2
#define N_CATEGORICAL 2
#define STRIDE (N_CONTINUOUS + N_DISCRETE + N_CATEGORICAL)

/* A mixture with kernels of all widths, and points among them. */
struct scene {
    uint32_t slots[N_ROWS];
    double mu[N_ROWS * STRIDE], inverse_sigma[N_ROWS * STRIDE], log_normalizer[N_ROWS];
    double log_hit[N_CATEGORICAL], log_miss[N_CATEGORICAL];
    double continuous[N_CONTINUOUS * MIXTURE_LANES], categorical[N_CATEGORICAL * MIXTURE_LANES];
    double left[N_DISCRETE * MIXTURE_LANES], right[N_DISCRETE * MIXTURE_LANES];
    uint32_t table_row[N_ROWS];
    double table[N_DISCRETE][N_ROWS * MIXTURE_LANES];
    struct mixture_table tables[N_DISCRETE];
    struct mixture_rows rows;
    struct mixture_points points;
};

static double draw(uint32_t n)
{
    const struct draw_key key = {.seed = 5, .purpose = DRAW_RANDOM};

    return draw_uniform(&key, n);
}

static void make_kernels(struct scene *scene)
{
    for (uint32_t i = 0; i < N_ROWS * STRIDE; i++) {
        bool is_categorical = i % STRIDE >= N_CONTINUOUS + N_DISCRETE;

        scene->mu[i] = is_categorical ? floor(3 * draw(i)) : draw(i);
        scene->inverse_sigma[i] = 1 + 30 * draw(10000 + i);
    }
    for (uint32_t i = 0; i < N_ROWS; i++) {
        scene->slots[i] = i * 7 % N_ROWS;
        scene->table_row[i] = i;
        scene->log_normalizer[i] = 20 * draw(20000 + i);
    }
    for (uint32_t d = 0; d < N_CATEGORICAL; d++) {
        scene->log_hit[d] = -0.1;
        scene->log_miss[d] = -4;
    }
}

static void make_points(struct scene *scene)
{
    for (uint32_t i = 0; i < N_CONTINUOUS * MIXTURE_LANES; i++)
        scene->continuous[i] = draw(30000 + i);
    for (uint32_t i = 0; i < N_DISCRETE * MIXTURE_LANES; i++) {
        scene->left[i] = floor(10 * draw(40000 + i)) / 10;
        scene->right[i] = scene->left[i] + 0.1;
    }
    for (uint32_t i = 0; i < N_CATEGORICAL * MIXTURE_LANES; i++)
        scene->categorical[i] = floor(3 * draw(50000 + i));
}

static void make_scene(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    make_kernels(scene);
    make_points(scene);
    scene->rows = (struct mixture_rows){.n_rows = N_ROWS,
                                        .slots = scene->slots,
                                        .stride = STRIDE,
                                        .n_continuous = N_CONTINUOUS,
                                        .n_discrete = N_DISCRETE,
                                        .n_categorical = N_CATEGORICAL,
                                        .mu = scene->mu,
                                        .inverse_sigma = scene->inverse_sigma,
                                        .log_normalizer = scene->log_normalizer,
                                        .log_hit = scene->log_hit,
                                        .log_miss = scene->log_miss,
                                        .n_ramp = 200,
                                        .ramp_start = 0.005,
                                        .ramp_slope = 0.004,
                                        .weight = 1};
    scene->points = (struct mixture_points){.continuous = scene->continuous,
                                            .left = scene->left,
                                            .right = scene->right,
                                            .categorical = scene->categorical};
}

static struct mixture_total add_rows(const struct mixture_functions *functions, const struct scene *scene)
{
    struct mixture_total total = {};

    for (size_t lane = 0; lane < MIXTURE_LANES; lane++)
        total.reference[lane] = -HUGE_VAL;
    functions->add_rows(&total, &scene->rows, &scene->points);
    return total;
}

static double expected_term(const struct scene *scene, size_t rank, size_t lane)
{
    size_t slot = scene->slots[rank], row = slot * STRIDE, choice = row + N_CONTINUOUS + N_DISCRETE;
    double sum = scene->log_normalizer[slot];

    for (size_t d = 0; d < N_CONTINUOUS; d++) {
        double z = (scene->continuous[d * MIXTURE_LANES + lane] - scene->mu[row + d]) *
                   scene->inverse_sigma[row + d];

        sum -= 0.5 * z * z;
    }
    for (size_t d = 0; d < N_DISCRETE; d++) {
        double mu = scene->mu[row + N_CONTINUOUS + d], inverse = scene->inverse_sigma[row + N_CONTINUOUS + d];

        sum += normal_log_mass((scene->left[d * MIXTURE_LANES + lane] - mu) * inverse,
                               (scene->right[d * MIXTURE_LANES + lane] - mu) * inverse);
    }
    for (size_t d = 0; d < N_CATEGORICAL; d++)
        sum += scene->categorical[d * MIXTURE_LANES + lane] == scene->mu[choice + d] ? scene->log_hit[d]
                                                                                     : scene->log_miss[d];
    return (rank < 200 ? 0.005 + 0.004 * (double)rank : 1) * exp(sum);
}

/* The sum is the formula's, with weights that rise and then stay. */
static void test_formula(void **)
{
    static struct scene scene;

    make_scene(&scene);

    struct mixture_total total = add_rows(&mixture_baseline, &scene);

    for (size_t lane = 0; lane < MIXTURE_LANES; lane++) {
        double expected = 0, ours = total.sum[lane] * exp(total.reference[lane]);

        for (size_t rank = 0; rank < N_ROWS; rank++)
            expected += expected_term(&scene, rank, lane);
        assert_true(expected > 0 && fabs(ours / expected - 1) < 1e-12);
    }
}

static void put_tables(struct scene *scene, const struct mixture_functions *functions)
{
    for (size_t d = 0; d < N_DISCRETE; d++) {
        for (size_t slot = 0; slot < N_ROWS; slot++) {
            size_t coordinate = slot * STRIDE + N_CONTINUOUS + d;

            functions->log_masses(scene->table[d] + slot * MIXTURE_LANES, scene->left + d * MIXTURE_LANES,
                                  scene->right + d * MIXTURE_LANES, scene->mu[coordinate],
                                  scene->inverse_sigma[coordinate]);
        }
        scene->tables[d] = (struct mixture_table){.row = scene->table_row, .log_mass = scene->table[d]};
    }
    scene->rows.tables = scene->tables;
}

/* All builds that run here give the same bits, and so do tables of a discrete dimension's masses. */
static void test_same_bits(void **)
{
    static struct scene scene;
    const struct mixture_functions *list[MIXTURE_MAX_BUILDS];
    size_t n = mixture_functions_list(list);

    make_scene(&scene);

    struct mixture_total baseline = add_rows(&mixture_baseline, &scene);

    for (size_t i = 0; i < n; i++) {
        scene.rows.tables = NULL;
        struct mixture_total total = add_rows(list[i], &scene);
        assert_memory_equal(&baseline, &total, sizeof baseline);
        put_tables(&scene, list[i]);
        total = add_rows(list[i], &scene);
        assert_memory_equal(&baseline, &total, sizeof baseline);
    }
    if (n < MIXTURE_MAX_BUILDS)
        print_message("# this CPU runs %zu of the builds\n", n);
}

/* Terms that no double can hold on its own neither overflow nor vanish. */
static void test_large_terms(void **)
{
    static struct scene scene;
    double shifts[] = {5000, -5000};

    make_scene(&scene);

    struct mixture_total plain = add_rows(&mixture_baseline, &scene);

    for (size_t i = 0; i < 2; i++) {
        make_scene(&scene);
        for (size_t slot = 0; slot < N_ROWS; slot++)
            scene.log_normalizer[slot] += shifts[i];

        struct mixture_total shifted = add_rows(&mixture_baseline, &scene);

        for (size_t lane = 0; lane < MIXTURE_LANES; lane++)
            assert_true(fabs(log(shifted.sum[lane] / plain.sum[lane]) + shifted.reference[lane] -
                             plain.reference[lane] - shifts[i]) < 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_large_terms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
