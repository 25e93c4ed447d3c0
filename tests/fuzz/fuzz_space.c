/* SPDX-License-Identifier: MIT */
/* The search space: it reads back as it was written, and what is drawn from it lies inside, as JSON too. */
#include <math.h>

#include "daemon/sampler/sampler_kind.h"
#include "daemon/store/optuna_json.h"
#include "proto/json_read.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "proto/space.h"
#include "tests/fuzz/fuzz.h"

static bool is_same(const struct distribution *a, const struct distribution *b)
{
    return distribution_is_compatible(a, b) && a->low == b->low && a->high == b->high && a->step == b->step;
}

static void check_written(const struct space *space)
{
    struct problem problem = {};
    BUFFER_AUTO struct buffer text = {};
    json_auto_t *json = space_to_json(space);

    fuzz_put_json(&text, json);

    json_auto_t *again_json = fuzz_parse_own(&text);
    struct space *again = space_read(again_json, "space", &problem);

    require(again && again->n_params == space->n_params);
    for (size_t i = 0; i < space->n_params; i++)
        require(is_same(&space->params[i].distribution, &again->params[i].distribution) &&
                space_find(again, space->params[i].name) == (ptrdiff_t)i);
    space_free(again);
}

/* Optuna's own form, as it lies in the database. */
static void check_optuna_form(const struct distribution *distribution)
{
    struct problem problem = {};
    struct distribution again;
    BUFFER_AUTO struct buffer text = {};

    optuna_json_put_distribution(&text, distribution);

    json_auto_t *json = optuna_json_read_distribution(buffer_text(&text));

    require(json && distribution_read(&again, json, "x", &problem) == 0);
    require(is_same(distribution, &again));
    distribution_deinit(&again);
}

static void check_values(const struct space *space, const double *values)
{
    struct problem problem = {};
    struct json_writer writer;
    BUFFER_AUTO struct buffer text = {};
    MEMORY_AUTO double *again = memory_array(space->n_params, sizeof again[0]);

    json_writer_init(&writer, &text);
    space_put_values(space, values, &writer);

    json_auto_t *json = fuzz_parse_own(&text);

    require(space_values_from_json(space, json, "params", again, &problem) == 0);
    for (size_t i = 0; i < space->n_params; i++)
        require(values[i] == again[i]);
}

static void check_drawn(const struct space *space)
{
    MEMORY_AUTO double *values = memory_array(space->n_params, sizeof values[0]);

    for (int64_t number = 0; number < 2; number++) {
        for (size_t i = 0; i < space->n_params; i++) {
            values[i] = random_suggest_param(&space->params[i], 42, number);
            require(distribution_contains(&space->params[i].distribution, values[i]));
        }
        check_values(space, values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {};
    json_auto_t *json = json_parse((const char *)data, size, &problem);

    if (!json)
        return 0;

    struct space *space = space_read(json, "space", &problem);

    if (!space) {
        fuzz_check_problem(&problem);
        return 0;
    }
    check_written(space);
    for (size_t i = 0; i < space->n_params; i++)
        check_optuna_form(&space->params[i].distribution);
    check_drawn(space);
    space_free(space);
    return 0;
}
