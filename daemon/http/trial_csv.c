/* SPDX-License-Identifier: MIT */
/* Writes trials as CSV: number, state, values, params_*, then what says how it went. */
#include "daemon/http/trial_csv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http/trial_json.h"
#include "proto/json_read.h"
#include "proto/json_write.h"
#include "proto/memory.h"

static void put_text(const char *text, struct buffer *out)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buffer_append_char(out, '"');
        buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
}

static void put_field(const char *text, struct buffer *out)
{
    buffer_append_char(out, ',');
    if (text)
        put_text(text, out);
}

/* A string as it is, all else as JSON; null and what is absent as nothing. */
static void put_json_field(const json_t *value, struct buffer *out)
{
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    json_writer_init(&writer, &text);
    if (json_is_string(value))
        buffer_append_text(&text, json_string_value(value));
    else if (value && !json_is_null(value))
        json_put_value(&writer, value);
    put_field(buffer_text(&text), out);
}

static void put_number_field(double number, struct buffer *out)
{
    json_t *value = json_from_double(number);

    put_json_field(value, out);
    json_decref(value);
}

static void put_time_field(int64_t time_us, struct buffer *out)
{
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    buffer_append_char(out, ',');
    if (time_us <= 0)
        return;
    json_writer_init(&writer, &text);
    json_put_time(&writer, time_us);
    buffer_append(out, text.data + 1, text.size - 2);
}

/* The external parameters by name. New reference. */
static json_t *params_of(const struct spec *spec, const struct trial_view *view,
                         const struct store_cold_trial *cold)
{
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    json_writer_init(&writer, &text);
    trial_put_params(spec, view, cold, &writer);
    return json_loadb(buffer_text(&text), text.size, 0, NULL);
}

void trial_csv_put_head(const struct spec *spec, struct buffer *out)
{
    buffer_append_text(out, "number,state");
    for (size_t i = 0; i < spec->n_directions; i++)
        if (spec->n_directions == 1)
            buffer_append_text(out, ",value");
        else
            buffer_printf(out, ",values_%zu", i);
    for (size_t i = 0; i < spec->space->n_params; i++) {
        BUFFER_AUTO struct buffer name = {};

        buffer_printf(&name, "params_%s", spec->space->params[i].name);
        put_field(buffer_text(&name), out);
    }
    buffer_append_text(out, ",user_attrs,attempt,worker,reason,datetime_start,datetime_complete,seq\r\n");
}

void trial_csv_put(const struct spec *spec, const struct trial_view *view,
                   const struct store_cold_trial *cold, struct buffer *out)
{
    json_t *params = params_of(spec, view, cold);
    MEMORY_AUTO char *reason = trial_reason(cold);

    buffer_printf(out, "%lld,%s", (long long)view->number, trial_state_names[view->state]);
    for (size_t i = 0; i < spec->n_directions; i++)
        if (i < view->n_values)
            put_number_field(view->values[i], out);
        else
            put_field(NULL, out);
    for (size_t i = 0; i < spec->space->n_params; i++)
        put_json_field(json_object_get(params, spec->space->params[i].name), out);
    put_json_field(cold->user_attrs, out);
    buffer_printf(out, ",%lld", (long long)view->attempt);
    put_field(view->worker, out);
    put_field(reason, out);
    put_time_field(view->start_us, out);
    put_time_field(view->complete_us, out);
    buffer_printf(out, ",%lld\r\n", (long long)view->seq);
    json_decref(params);
}
