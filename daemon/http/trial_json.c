/* SPDX-License-Identifier: MIT */
/* Writes trials. */
#include "daemon/http/trial_json.h"

#include <stdio.h>

#include "proto/buffer.h"
#include "proto/memory.h"

char *trial_reason(const struct store_cold_trial *cold)
{
    BUFFER_AUTO struct buffer text = {};

    if (cold->failure)
        buffer_append_text(&text, cold->failure);
    if (cold->failure && cold->reason)
        buffer_append_text(&text, ": ");
    if (cold->reason)
        buffer_append_text(&text, cold->reason);
    return text.size ? buffer_take(&text) : NULL;
}

void trial_put_params(const struct spec *spec, const struct trial_view *view,
                      const struct store_cold_trial *cold, struct json_writer *writer)
{
    if (cold->params) {
        json_put_value(writer, cold->params);
    } else if (view->params) {
        space_put_values(spec->space, view->params, writer);
    } else {
        json_begin_object(writer);
        json_end_object(writer);
    }
}

static void put_numbers(const double *numbers, size_t n, struct json_writer *writer)
{
    json_begin_array(writer);
    for (size_t i = 0; i < n; i++)
        json_put_double(writer, numbers[i]);
    json_end_array(writer);
}

static void put_values(const struct spec *spec, const struct trial_view *view, struct json_writer *writer)
{
    if (spec->n_directions == 1) {
        json_put_key(writer, "value");
        if (view->n_values == 1)
            json_put_double(writer, view->values[0]);
        else
            json_put_null(writer);
    }
    json_put_key(writer, "values");
    put_numbers(view->values, view->n_values, writer);
}

static void put_points(const struct store_cold_trial *cold, struct json_writer *writer)
{
    char step[16];

    json_begin_object(writer);
    for (size_t i = 0; i < cold->n_points; i++) {
        snprintf(step, sizeof step, "%d", cold->points[i].step);
        json_member_double(writer, step, cold->points[i].value);
    }
    json_end_object(writer);
}

static void put_attrs(json_t *attrs, struct json_writer *writer)
{
    if (attrs) {
        json_put_value(writer, attrs);
        return;
    }
    json_begin_object(writer);
    json_end_object(writer);
}

void trial_put_json(const struct spec *spec, const struct trial_view *view,
                    const struct store_cold_trial *cold, struct json_writer *writer)
{
    MEMORY_AUTO char *reason = trial_reason(cold);

    json_begin_object(writer);
    json_member_int(writer, "number", view->number);
    json_member_string(writer, "state", trial_state_names[view->state]);
    json_put_key(writer, "params");
    trial_put_params(spec, view, cold, writer);
    put_values(spec, view, writer);
    json_put_key(writer, "intermediate_values");
    put_points(cold, writer);
    json_put_key(writer, "user_attrs");
    put_attrs(cold->user_attrs, writer);
    json_put_key(writer, "constraints");
    if (cold->constraints)
        put_numbers(cold->constraints, cold->n_constraints, writer);
    else
        json_put_null(writer);
    json_member_int(writer, "attempt", view->attempt);
    json_member_string(writer, "worker", view->worker);
    json_member_string(writer, "reason", reason);
    json_member_time(writer, "datetime_start", view->start_us);
    json_member_time(writer, "datetime_complete", view->complete_us);
    json_member_int(writer, "seq", view->seq);
    json_end_object(writer);
}
