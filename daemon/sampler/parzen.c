/* SPDX-License-Identifier: MIT */
/* The kernels of a Parzen estimator: where they are, how wide, and what they weigh. */
#include "daemon/sampler/parzen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/sampler/slot_sort.h"
#include "daemon/sampler/truncated_normal.h"
#include "proto/memory.h"
#include "proto/require.h"

#define FIRST_CAPACITY 32
#define MAX_FLOOR_DIVISOR 100 /* no bandwidth under a hundredth of the range */
#define N_FLAT_WEIGHTS 25     /* the latest trials weigh 1 */
#define MANY_PENDING 16       /* more, and more than a 16th of all, are sorted in at once */

/* ---- columns ---- */

/* Gives columns to the dimensions of one kind; returns how many there are. */
static size_t place_columns(struct parzen *parzen, enum parzen_kind kind, size_t first)
{
    size_t n = 0;

    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->dimensions[d].kind == kind)
            parzen->dimensions[d].column = first + n++;
    return n;
}

static void place_all_columns(struct parzen *parzen)
{
    size_t n_continuous = place_columns(parzen, PARZEN_CONTINUOUS, 0);

    parzen->n_continuous = (n_continuous + MIXTURE_UNROLL - 1) / MIXTURE_UNROLL * MIXTURE_UNROLL;
    parzen->n_discrete = place_columns(parzen, PARZEN_DISCRETE, parzen->n_continuous);
    parzen->n_categorical =
        place_columns(parzen, PARZEN_CATEGORICAL, parzen->n_continuous + parzen->n_discrete);
    parzen->stride = parzen->n_continuous + parzen->n_discrete + parzen->n_categorical;
}

/* ---- slots ---- */

static void grow(struct parzen *parzen)
{
    size_t capacity = parzen->capacity ? 2 * parzen->capacity : FIRST_CAPACITY;

    require(capacity <= UINT32_MAX);
    parzen->capacity = capacity;
    parzen->by_number = memory_resize(parzen->by_number, capacity, sizeof parzen->by_number[0]);
    parzen->free_slots = memory_resize(parzen->free_slots, capacity, sizeof parzen->free_slots[0]);
    parzen->leaving = memory_resize(parzen->leaving, capacity, sizeof parzen->leaving[0]);
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->dimensions[d].kind != PARZEN_CATEGORICAL)
            parzen->by_value[d] = memory_resize(parzen->by_value[d], capacity, sizeof parzen->by_value[d][0]);
    parzen->numbers = memory_resize(parzen->numbers, capacity, sizeof parzen->numbers[0]);
    parzen->mu = memory_resize(parzen->mu, capacity * parzen->stride, sizeof parzen->mu[0]);
    parzen->inverse_sigma =
        memory_resize(parzen->inverse_sigma, capacity * parzen->stride, sizeof parzen->inverse_sigma[0]);
    parzen->log_normalizer = memory_resize(parzen->log_normalizer, capacity * parzen->n_dimensions,
                                           sizeof parzen->log_normalizer[0]);
    parzen->row_normalizer =
        memory_resize(parzen->row_normalizer, capacity, sizeof parzen->row_normalizer[0]);
}

/* A slot whose row is zero: no kernel has an inverse sigma of 0, so the first bandwidth is always a new one.
 */
static uint32_t take_slot(struct parzen *parzen)
{
    if (parzen->n_free == 0 && parzen->n_slots == parzen->capacity)
        grow(parzen);

    uint32_t slot = parzen->n_free ? parzen->free_slots[--parzen->n_free] : (uint32_t)parzen->n_slots++;

    memset(parzen->mu + slot * parzen->stride, 0, parzen->stride * sizeof parzen->mu[0]);
    memset(parzen->inverse_sigma + slot * parzen->stride, 0, parzen->stride * sizeof parzen->mu[0]);
    memset(parzen->log_normalizer + slot * parzen->n_dimensions, 0,
           parzen->n_dimensions * sizeof parzen->mu[0]);
    parzen->row_normalizer[slot] = NAN;
    return slot;
}

/* ---- bandwidths ---- */

static double mu_at(const struct parzen *parzen, size_t d, uint32_t slot)
{
    return parzen->mu[slot * parzen->stride + parzen->dimensions[d].column];
}

/* The range is at most this many times the least bandwidth. */
static double floor_divisor(size_t n_kernels)
{
    return n_kernels + 2 < MAX_FLOOR_DIVISOR ? (double)n_kernels + 2 : MAX_FLOOR_DIVISOR;
}

/* The larger gap to the neighbours in sorted order. The ends of the range are neighbours of a lone kernel
 * only: of several, the first and the last go by their inner gap. */
static double bandwidth(const struct parzen *parzen, size_t d, size_t position)
{
    const struct parzen_dimension *dimension = &parzen->dimensions[d];
    const uint32_t *order = parzen->by_value[d];
    size_t last = parzen->n_kernels - 1;
    double mu = mu_at(parzen, d, order[position]), range = dimension->upper - dimension->lower;
    double to_left = mu - (position > 0 ? mu_at(parzen, d, order[position - 1]) : dimension->lower);
    double to_right = (position < last ? mu_at(parzen, d, order[position + 1]) : dimension->upper) - mu;
    double sigma = to_left > to_right ? to_left : to_right;

    if (last > 0 && position == 0)
        sigma = to_right;
    else if (last > 0 && position == last)
        sigma = to_left;

    double least = range / floor_divisor(parzen->n_kernels);

    return sigma < least ? least : sigma > range ? range : sigma;
}

/* The mass that is cut off at the ends of the range, and for a density the height of the bell. */
static double log_normalizer(const struct parzen_dimension *dimension, double mu, double inverse_sigma)
{
    double inside =
        normal_log_mass((dimension->lower - mu) * inverse_sigma, (dimension->upper - mu) * inverse_sigma);

    return dimension->kind == PARZEN_DISCRETE ? -inside
                                              : real_log(inverse_sigma) - REAL_LOG_SQRT_2PI - inside;
}

static void set_bandwidth(struct parzen *parzen, size_t d, uint32_t slot, double sigma)
{
    size_t coordinate = slot * parzen->stride + parzen->dimensions[d].column;
    double inverse_sigma = 1 / sigma;

    if (parzen->inverse_sigma[coordinate] == inverse_sigma)
        return;
    parzen->inverse_sigma[coordinate] = inverse_sigma;
    parzen->log_normalizer[slot * parzen->n_dimensions + d] =
        log_normalizer(&parzen->dimensions[d], parzen->mu[coordinate], inverse_sigma);
    parzen->row_normalizer[slot] = NAN;
}

static void refresh_position(struct parzen *parzen, size_t d, size_t position)
{
    set_bandwidth(parzen, d, parzen->by_value[d][position], bandwidth(parzen, d, position));
}

/* A kernel has come to this position, or has left it. */
static void refresh_around(struct parzen *parzen, size_t d, size_t position)
{
    size_t first = position > 0 ? position - 1 : 0;

    for (size_t i = first; i <= position + 1 && i < parzen->n_kernels; i++)
        refresh_position(parzen, d, i);
}

/* Of many kernels the rows lie far from each other in the order of values, so all are written in the order in
 * which they lie. */
static void refresh_all(struct parzen *parzen)
{
    MEMORY_AUTO double *sigmas = memory_array(parzen->n_slots, sizeof sigmas[0]);

    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        if (!parzen->by_value[d])
            continue;
        for (size_t i = 0; i < parzen->n_kernels; i++)
            sigmas[parzen->by_value[d][i]] = bandwidth(parzen, d, i);
        for (size_t i = 0; i < parzen->n_kernels; i++)
            set_bandwidth(parzen, d, parzen->by_number[i], sigmas[parzen->by_number[i]]);
    }
    parzen->has_new_floor = false;
}

static void sum_row(struct parzen *parzen, uint32_t slot)
{
    double sum = 0;

    for (size_t d = 0; d < parzen->n_dimensions; d++)
        sum += parzen->log_normalizer[slot * parzen->n_dimensions + d];
    parzen->row_normalizer[slot] = sum;
}

/* ---- order ---- */

static bool comes_before(const struct parzen *parzen, size_t d, uint32_t a, uint32_t b)
{
    double mu_a = mu_at(parzen, d, a), mu_b = mu_at(parzen, d, b);

    return mu_a < mu_b || (mu_a == mu_b && parzen->numbers[a] < parzen->numbers[b]);
}

/* The position in a dimension's order, of a slot that is or will be there. */
static size_t find_by_value(const struct parzen *parzen, size_t d, uint32_t slot)
{
    size_t first = 0, end = parzen->n_kernels;

    while (first < end) {
        size_t middle = (first + end) / 2;

        if (comes_before(parzen, d, parzen->by_value[d][middle], slot))
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static size_t find_by_number(const struct parzen *parzen, int64_t number)
{
    size_t first = 0, end = parzen->n_kernels;

    while (first < end) {
        size_t middle = (first + end) / 2;

        if (parzen->numbers[parzen->by_number[middle]] < number)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static void open_gap(uint32_t *order, size_t n, size_t position, uint32_t slot)
{
    memmove(order + position + 1, order + position, (n - position) * sizeof order[0]);
    order[position] = slot;
}

static void close_gap(uint32_t *order, size_t n, size_t position)
{
    memmove(order + position, order + position + 1, (n - position - 1) * sizeof order[0]);
}

/* Takes a kernel out of its places; those pending move up behind the others. */
static void take_out(struct parzen *parzen, uint32_t slot)
{
    size_t n = parzen->n_kernels;

    parzen->has_new_floor |= floor_divisor(n) != floor_divisor(n - 1);
    close_gap(parzen->by_number, n + parzen->n_pending, find_by_number(parzen, parzen->numbers[slot]));
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->by_value[d])
            close_gap(parzen->by_value[d], n, find_by_value(parzen, d, slot));
    parzen->n_kernels--;
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->by_value[d] && !parzen->has_new_floor)
            refresh_around(parzen, d, find_by_value(parzen, d, slot));
    parzen->free_slots[parzen->n_free++] = slot;
}

/* Puts the first pending kernel into its places. */
static void place_pending(struct parzen *parzen)
{
    uint32_t slot = parzen->by_number[parzen->n_kernels];
    size_t n = parzen->n_kernels;

    open_gap(parzen->by_number, n, find_by_number(parzen, parzen->numbers[slot]), slot);
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->by_value[d])
            open_gap(parzen->by_value[d], n, find_by_value(parzen, d, slot), slot);
    parzen->n_kernels++;
    parzen->n_pending--;
    parzen->has_new_floor |= floor_divisor(n) != floor_divisor(n + 1);
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (parzen->by_value[d] && !parzen->has_new_floor)
            refresh_around(parzen, d, find_by_value(parzen, d, slot));
}

/* Places all that is pending at once: many insertions one by one would move each order many times. */
static void sort_pending(struct parzen *parzen)
{
    size_t n = parzen->n_kernels + parzen->n_pending;
    MEMORY_AUTO struct slot_key *keys = memory_array(2 * n, sizeof keys[0]);

    for (size_t i = 0; i < n; i++)
        keys[i] = (struct slot_key){(uint64_t)parzen->numbers[parzen->by_number[i]], parzen->by_number[i]};
    slot_sort(keys, keys + n, n);
    for (size_t i = 0; i < n; i++)
        parzen->by_number[i] = keys[i].slot;
    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        if (!parzen->by_value[d])
            continue;
        for (size_t i = 0; i < n; i++) {
            uint32_t slot = parzen->by_number[i];

            keys[i] = (struct slot_key){slot_key_of_double(mu_at(parzen, d, slot)), slot};
        }
        slot_sort(keys, keys + n, n);
        for (size_t i = 0; i < n; i++)
            parzen->by_value[d][i] = keys[i].slot;
    }
    parzen->n_kernels = n;
    parzen->n_pending = 0;
    parzen->has_new_floor = true;
}

/* ---- the set ---- */

bool parzen_covers(const struct parzen *parzen, const double *params)
{
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        if (isnan(params[parzen->dimensions[d].param]))
            return false;
    return true;
}

static void fill_row(const struct parzen *parzen, const double *params, double *row)
{
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        row[parzen->dimensions[d].column] =
            parzen_dimension_scale(&parzen->dimensions[d], params[parzen->dimensions[d].param]);
}

/* A trial that finishes is removed and inserted again with the same parameters: then it simply stays. */
static bool stays(struct parzen *parzen, uint32_t slot, int64_t number)
{
    size_t row_size = parzen->stride * sizeof parzen->mu[0];

    for (size_t i = 0; i < parzen->n_leaving; i++) {
        uint32_t leaving = parzen->leaving[i];

        if (parzen->numbers[leaving] != number ||
            memcmp(parzen->mu + leaving * parzen->stride, parzen->mu + slot * parzen->stride, row_size) != 0)
            continue;
        parzen->leaving[i] = parzen->leaving[--parzen->n_leaving];
        return true;
    }
    return false;
}

void parzen_insert(struct parzen *parzen, int64_t number, const double *params)
{
    if (!parzen_covers(parzen, params))
        return;

    uint32_t slot = take_slot(parzen);

    fill_row(parzen, params, parzen->mu + slot * parzen->stride);
    parzen->numbers[slot] = number;
    if (stays(parzen, slot, number))
        parzen->free_slots[parzen->n_free++] = slot;
    else
        parzen->by_number[parzen->n_kernels + parzen->n_pending++] = slot;
}

void parzen_remove(struct parzen *parzen, int64_t number)
{
    size_t rank = find_by_number(parzen, number);

    if (rank < parzen->n_kernels && parzen->numbers[parzen->by_number[rank]] == number)
        parzen->leaving[parzen->n_leaving++] = parzen->by_number[rank];
}

void parzen_settle(struct parzen *parzen)
{
    while (parzen->n_leaving)
        take_out(parzen, parzen->leaving[--parzen->n_leaving]);
    if (parzen->n_pending > MANY_PENDING && parzen->n_pending > parzen->n_kernels / MANY_PENDING)
        sort_pending(parzen);
    while (parzen->n_pending)
        place_pending(parzen);
    if (parzen->has_new_floor)
        refresh_all(parzen);
    for (size_t i = 0; i < parzen->n_kernels; i++)
        if (isnan(parzen->row_normalizer[parzen->by_number[i]]))
            sum_row(parzen, parzen->by_number[i]);
}

/* ---- weights ---- */

struct parzen_choice parzen_choice(const struct parzen *parzen, const struct parzen_dimension *dimension)
{
    double share = parzen->prior_weight / ((double)parzen->n_kernels + 1);
    double total = 1 + share * (double)dimension->n_choices;

    return (struct parzen_choice){.hit = (1 + share) / total, .miss = share / total};
}

struct parzen_weights parzen_weights(const struct parzen *parzen)
{
    size_t n = parzen->n_kernels;

    if (n <= N_FLAT_WEIGHTS)
        return (struct parzen_weights){.total = (double)n + parzen->prior_weight};

    size_t n_ramp = n - N_FLAT_WEIGHTS;
    double start = 1 / (double)n, slope = n_ramp > 1 ? (1 - start) / ((double)n_ramp - 1) : 0;
    double ramp_total = (double)n_ramp * (start + 0.5 * slope * ((double)n_ramp - 1));

    return (struct parzen_weights){.n_ramp = n_ramp,
                                   .ramp_start = start,
                                   .ramp_slope = slope,
                                   .total = ramp_total + N_FLAT_WEIGHTS + parzen->prior_weight};
}

double parzen_weight(const struct parzen_weights *weights, size_t rank)
{
    return rank < weights->n_ramp ? weights->ramp_start + (double)rank * weights->ramp_slope : 1;
}

/* ---- life ---- */

/* The prior: in the middle, as wide as the range, nobody's neighbour. */
static void add_prior(struct parzen *parzen)
{
    uint32_t slot = take_slot(parzen);

    require(slot == PARZEN_PRIOR_SLOT);
    for (size_t d = 0; d < parzen->n_dimensions; d++) {
        const struct parzen_dimension *dimension = &parzen->dimensions[d];

        if (dimension->kind == PARZEN_CATEGORICAL)
            continue;
        parzen->mu[dimension->column] = 0.5 * (dimension->lower + dimension->upper);
        set_bandwidth(parzen, d, slot, dimension->upper - dimension->lower);
    }
    sum_row(parzen, slot);
}

struct parzen *parzen_new(const struct space *space, const size_t *params, size_t n_params,
                          double prior_weight)
{
    struct parzen *parzen = memory_new(sizeof *parzen);

    parzen->prior_weight = prior_weight;
    parzen->n_dimensions = n_params;
    parzen->dimensions = memory_array(n_params, sizeof parzen->dimensions[0]);
    parzen->by_value = memory_array(n_params, sizeof parzen->by_value[0]);
    for (size_t d = 0; d < n_params; d++)
        parzen_dimension_init(&parzen->dimensions[d], &space->params[params[d]].distribution, params[d]);
    place_all_columns(parzen);
    grow(parzen);
    add_prior(parzen);
    return parzen;
}

void parzen_free(struct parzen *parzen)
{
    if (!parzen)
        return;
    for (size_t d = 0; d < parzen->n_dimensions; d++)
        free(parzen->by_value[d]);
    free(parzen->by_value);
    free(parzen->dimensions);
    free(parzen->by_number);
    free(parzen->free_slots);
    free(parzen->leaving);
    free(parzen->numbers);
    free(parzen->mu);
    free(parzen->inverse_sigma);
    free(parzen->log_normalizer);
    free(parzen->row_normalizer);
    free(parzen);
}

size_t parzen_size_bytes(const struct parzen *parzen)
{
    size_t per_slot = 3 * sizeof(uint32_t) + sizeof(int64_t) + (2 * parzen->stride + 1) * sizeof(double) +
                      parzen->n_dimensions * (sizeof(double) + sizeof(uint32_t));

    return sizeof *parzen + parzen->n_dimensions * sizeof parzen->dimensions[0] + parzen->capacity * per_slot;
}
