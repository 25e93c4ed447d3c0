/* SPDX-License-Identifier: MIT */
/* Log density of a Parzen estimator at given points. */
#pragma once

#include "daemon/sampler/parzen.h"

/* Working memory; a zeroed one is empty. One thread at a time; fits any estimator. */
struct parzen_workspace {
    double *lanes; /* owned: the points of one pass */
    size_t lanes_capacity;
    double *table; /* owned: the tables of all discrete dimensions */
    size_t table_capacity;
    uint32_t *table_rows; /* owned: by slot, for each of them */
    size_t table_rows_capacity;
    struct mixture_table *tables; /* owned: [n_discrete] */
    size_t tables_capacity;
    double *log_choice; /* owned: of the categorical dimensions, hits, misses, and the prior's */
    size_t log_choice_capacity;
};
void parzen_workspace_deinit(struct parzen_workspace *workspace);

/* values[dimension * n_points + point], values of the space inside their distributions. The estimator is
 * settled. */
void parzen_log_density(const struct parzen *parzen, const struct mixture_functions *functions,
                        struct parzen_workspace *workspace, const double *values, size_t n_points,
                        double *log_density);
size_t parzen_workspace_size_bytes(const struct parzen_workspace *workspace);
