/* SPDX-License-Identifier: MIT */
/* A trial's parameters between memory and JSON. */
#include "daemon/study/params.h"

#include <math.h>

static json_t *value_to_json(const struct distribution *distribution, double value)
{
    if (distribution->type == DISTRIBUTION_CATEGORICAL)
        return json_incref(json_array_get(distribution->choices, (size_t)value));
    if (distribution->type == DISTRIBUTION_INT)
        return json_integer((json_int_t)value);
    return json_real(value);
}

json_t *params_to_json(const struct space *space, const double *params)
{
    json_t *json = json_object();
    for (size_t i = 0; params && i < space->n_params; i++) {
        if (!isnan(params[i]))
            json_object_set_new(json, space->params[i].name,
                                value_to_json(&space->params[i].distribution, params[i]));
    }
    return json;
}

size_t params_from_enqueued(const struct space *space, json_t *json, double *params)
{
    size_t n_left_out = 0;
    const char *name;
    json_t *value;
    for (size_t i = 0; i < space->n_params; i++)
        params[i] = NAN;
    json_object_foreach (json, name, value) {
        struct problem problem = {0};
        ptrdiff_t i = space_find(space, name);
        double number;
        if (i >= 0 &&
            distribution_value_from_json(&space->params[i].distribution, value, &number, name, &problem) == 0)
            params[i] = number;
        else
            n_left_out++;
    }
    return n_left_out;
}
