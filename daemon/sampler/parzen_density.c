/* SPDX-License-Identifier: MIT */
/* Log density of a Parzen estimator: prepares what the inner loop reads, 24 points at a time. */
#include "daemon/sampler/parzen_density.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/real.h"
#include "proto/memory.h"

/* A discrete dimension gets a table of log masses where there are many kernels for each of its values. */
#define MIN_KERNELS_PER_VALUE 4
#define MAX_TABLE_VALUES 4096

/* ---- points ---- */

/* The columns as in a kernel's row; the right ends of discrete cells behind them. */
static struct mixture_points point_columns(const struct parzen *parzen, const double *lanes)
{
    return (struct mixture_points){
        .continuous = lanes,
        .left = lanes + parzen->n_continuous * MIXTURE_LANES,
        .categorical = lanes + (parzen->n_continuous + parzen->n_discrete) * MIXTURE_LANES,
        .right = lanes + parzen->stride * MIXTURE_LANES,
    };
}

/* Points first .. first+23; where there are fewer, the last lanes repeat the last point. */
static void fill_points(const struct parzen *parzen, double *lanes, const double *values, size_t n_points,
                        size_t first)
{
    size_t to_right = (parzen->stride - parzen->n_continuous) * MIXTURE_LANES;

    memset(lanes, 0, parzen->n_continuous * MIXTURE_LANES * sizeof lanes[0]);
    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        const struct parzen_dimension *dimension = &parzen->dimensions[d];
        double *column = lanes + dimension->column * MIXTURE_LANES;
        double half_step = dimension->kind == PARZEN_DISCRETE ? dimension->step / 2 : 0;

        for (size_t lane = 0; lane < MIXTURE_LANES; lane++) {
            size_t point = first + lane < n_points ? first + lane : n_points - 1;
            double value = values[d * n_points + point];

            column[lane] = parzen_dimension_scale(dimension, value - half_step);
            if (half_step > 0)
                column[lane + to_right] = parzen_dimension_scale(dimension, value + half_step);
        }
    }
}

/* ---- tables ---- */

/* How many rows a discrete dimension's table may have, 0 for none. In sorted order kernels of one value are
 * alike but for the first and the last of them, so three rows a value are enough where values are exactly on
 * their steps. */
static size_t max_table_rows(const struct parzen *parzen, const struct parzen_dimension *dimension)
{
    double n_values = rint((dimension->high - dimension->low) / dimension->step) + 1;

    if (dimension->kind != PARZEN_DISCRETE || n_values > MAX_TABLE_VALUES ||
        n_values * MIN_KERNELS_PER_VALUE > (double)parzen->n_kernels)
        return 0;
    return 3 * (size_t)n_values;
}

/* Fills the table and gives each kernel its row. False where there are more rows after all. */
static bool tabulate(const struct parzen *parzen, const struct mixture_functions *functions, size_t d,
                     const double *left, const double *right, double *log_mass, uint32_t *rows)
{
    size_t n_rows = 0, max_rows = max_table_rows(parzen, &parzen->dimensions[d]);
    double mu = 0, inverse_sigma = 0; /* no kernel has inverse sigma 0 */

    for (size_t i = 0; i < parzen->n_kernels; i++) {
        uint32_t slot = parzen->by_value[d][i];
        size_t coordinate = slot * parzen->stride + parzen->dimensions[d].column;

        if (parzen->mu[coordinate] != mu || parzen->inverse_sigma[coordinate] != inverse_sigma) {
            mu = parzen->mu[coordinate];
            inverse_sigma = parzen->inverse_sigma[coordinate];
            if (n_rows == max_rows)
                return false;
            functions->log_masses(log_mass + n_rows++ * MIXTURE_LANES, left, right, mu, inverse_sigma);
        }
        rows[slot] = (uint32_t)n_rows - 1;
    }
    return true;
}

static void fill_tables(const struct parzen *parzen, const struct mixture_functions *functions,
                        struct parzen_workspace *workspace, const struct mixture_points *points)
{
    double *log_mass = workspace->table;
    uint32_t *rows = workspace->table_rows;

    for (size_t d = 0; d < parzen->n_discrete; d++)
        workspace->tables[d].row = NULL;
    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        size_t index = parzen->dimensions[d].column - parzen->n_continuous;
        size_t n_rows = max_table_rows(parzen, &parzen->dimensions[d]);

        if (n_rows && tabulate(parzen, functions, d, points->left + index * MIXTURE_LANES,
                               points->right + index * MIXTURE_LANES, log_mass, rows))
            workspace->tables[index] = (struct mixture_table){.row = rows, .log_mass = log_mass};
        log_mass += n_rows * MIXTURE_LANES;
        rows += n_rows ? parzen->capacity : 0;
    }
}

/* ---- working memory ---- */

void parzen_workspace_deinit(struct parzen_workspace *workspace)
{
    free(workspace->lanes);
    free(workspace->table);
    free(workspace->table_rows);
    free(workspace->tables);
    free(workspace->log_choice);
    *workspace = (struct parzen_workspace){};
}

static void reserve(void *array_address, size_t *capacity, size_t n, size_t size)
{
    void *array;

    if (n <= *capacity)
        return;
    *capacity = n + n / 2;
    memcpy(&array, array_address, sizeof array);
    array = memory_resize(array, *capacity, size);
    memcpy(array_address, &array, sizeof array);
}

static void workspace_reserve(struct parzen_workspace *workspace, const struct parzen *parzen)
{
    size_t n_rows = 0, n_tables = 0;

    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        n_rows += max_table_rows(parzen, &parzen->dimensions[d]);
        n_tables += max_table_rows(parzen, &parzen->dimensions[d]) > 0;
    }
    reserve(&workspace->lanes, &workspace->lanes_capacity,
            (parzen->stride + parzen->n_discrete) * MIXTURE_LANES, sizeof workspace->lanes[0]);
    reserve(&workspace->table, &workspace->table_capacity, n_rows * MIXTURE_LANES,
            sizeof workspace->table[0]);
    reserve(&workspace->table_rows, &workspace->table_rows_capacity, n_tables * parzen->capacity,
            sizeof workspace->table_rows[0]);
    reserve(&workspace->tables, &workspace->tables_capacity, parzen->n_discrete, sizeof workspace->tables[0]);
    reserve(&workspace->log_choice, &workspace->log_choice_capacity, 3 * parzen->n_categorical,
            sizeof workspace->log_choice[0]);
}

size_t parzen_workspace_size_bytes(const struct parzen_workspace *workspace)
{
    return (workspace->lanes_capacity + workspace->table_capacity + workspace->log_choice_capacity) *
               sizeof(double) +
           workspace->table_rows_capacity * sizeof(uint32_t) +
           workspace->tables_capacity * sizeof workspace->tables[0];
}

/* ---- density ---- */

/* Three columns by categorical dimension: hit, miss, and the prior, to which all choices are alike. */
static void fill_choices(const struct parzen *parzen, double *log_choice)
{
    size_t n = parzen->n_categorical;

    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        const struct parzen_dimension *dimension = &parzen->dimensions[d];

        if (dimension->kind != PARZEN_CATEGORICAL)
            continue;

        struct parzen_choice choice = parzen_choice(parzen, dimension);
        double *column = log_choice + (dimension->column - parzen->n_continuous - parzen->n_discrete);

        column[0] = real_log(choice.hit);
        column[n] = real_log(choice.miss);
        column[2 * n] = -real_log((double)dimension->n_choices);
    }
}

/* The prior comes first: its term is the least that the sum can be, so that kernels far from a point show
 * early that they do not matter to it. Then the observations in the order of their numbers. */
static void sum_kernels(const struct parzen *parzen, const struct mixture_functions *functions,
                        const struct parzen_workspace *workspace, const struct mixture_points *points,
                        struct mixture_total *total)
{
    static const uint32_t prior_slot[] = {PARZEN_PRIOR_SLOT};
    const double *log_choice = workspace->log_choice;
    struct parzen_weights weights = parzen_weights(parzen);
    struct mixture_rows rows = {.n_rows = 1,
                                .slots = prior_slot,
                                .stride = parzen->stride,
                                .n_continuous = parzen->n_continuous,
                                .n_discrete = parzen->n_discrete,
                                .n_categorical = parzen->n_categorical,
                                .mu = parzen->mu,
                                .inverse_sigma = parzen->inverse_sigma,
                                .log_normalizer = parzen->row_normalizer,
                                .log_hit = log_choice + 2 * parzen->n_categorical,
                                .log_miss = log_choice + 2 * parzen->n_categorical,
                                .weight = parzen->prior_weight};

    for (size_t lane = 0; lane < MIXTURE_LANES; lane++) {
        total->reference[lane] = -HUGE_VAL;
        total->sum[lane] = 0;
    }
    functions->add_rows(total, &rows, points);

    rows.n_rows = parzen->n_kernels;
    rows.slots = parzen->by_number;
    rows.tables = workspace->tables;
    rows.log_hit = log_choice;
    rows.log_miss = log_choice + parzen->n_categorical;
    rows.n_ramp = weights.n_ramp;
    rows.ramp_start = weights.ramp_start;
    rows.ramp_slope = weights.ramp_slope;
    rows.weight = 1;
    functions->add_rows(total, &rows, points);
}

void parzen_log_density(const struct parzen *parzen, const struct mixture_functions *functions,
                        struct parzen_workspace *workspace, const double *values, size_t n_points,
                        double *log_density)
{
    double log_total = real_log(parzen_weights(parzen).total);
    struct mixture_total total;

    workspace_reserve(workspace, parzen);
    fill_choices(parzen, workspace->log_choice);
    for (size_t first = 0; first < n_points; first += MIXTURE_LANES) {
        struct mixture_points points = point_columns(parzen, workspace->lanes);

        fill_points(parzen, workspace->lanes, values, n_points, first);
        fill_tables(parzen, functions, workspace, &points);
        sum_kernels(parzen, functions, workspace, &points, &total);
        for (size_t lane = 0; lane < MIXTURE_LANES && first + lane < n_points; lane++)
            log_density[first + lane] = real_log(total.sum[lane]) + total.reference[lane] - log_total;
    }
}
