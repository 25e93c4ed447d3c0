/* SPDX-License-Identifier: MIT */
/* Writes studies. */
#include "daemon/http/study_json.h"

#include "proto/memory.h"

#define MAX_FRONT 1000

static void put_counts(const struct study *study, struct json_writer *writer)
{
    const int64_t *counts = study_counts(study);

    json_put_key(writer, "counts");
    json_begin_object(writer);
    for (int state = 0; trial_state_names[state]; state++)
        json_member_int(writer, trial_state_names[state], counts[state]);
    json_end_object(writer);
}

/* The best trial where there is one objective. */
static void put_best(const struct study *study, struct json_writer *writer)
{
    struct trial_view view;
    int64_t number;

    json_put_key(writer, "best");
    if (study_best(study, 1, &number) == 0 || study_get_trial(study, number, &view)) {
        json_put_null(writer);
        return;
    }
    json_begin_object(writer);
    json_member_int(writer, "number", number);
    json_member_double(writer, "value", view.values[0]);
    json_put_key(writer, "params");
    if (view.params)
        space_put_values(study_spec(study)->space, view.params, writer);
    else
        json_put_null(writer);
    json_end_object(writer);
}

/* The numbers of the Pareto front where there are several. */
static void put_front(const struct study *study, struct json_writer *writer)
{
    MEMORY_AUTO int64_t *numbers = memory_array(MAX_FRONT, sizeof numbers[0]);
    size_t n = study_best(study, MAX_FRONT, numbers);

    json_put_key(writer, "pareto_front");
    json_begin_array(writer);
    for (size_t i = 0; i < n && i < MAX_FRONT; i++)
        json_put_int(writer, numbers[i]);
    json_end_array(writer);
}

static void put_directions(const struct spec *spec, struct json_writer *writer)
{
    json_put_key(writer, "directions");
    json_begin_array(writer);
    for (size_t i = 0; i < spec->n_directions; i++)
        json_put_string(writer, direction_names[spec->directions[i]]);
    json_end_array(writer);
}

/* What both have. */
static void put_head(const struct study *study, struct json_writer *writer)
{
    const struct spec *spec = study_spec(study);

    json_member_string(writer, "name", study_name(study));
    json_member_string(writer, "uid", study_uid(study));
    json_member_string(writer, "state", study_state_names[study_state(study)]);
    json_member_string(writer, "reason", study_reason(study));
    put_directions(spec, writer);
    json_put_key(writer, "max_trials");
    if (spec->max_trials >= 0)
        json_put_int(writer, spec->max_trials);
    else
        json_put_null(writer);
    put_counts(study, writer);
    if (spec->n_directions == 1)
        put_best(study, writer);
}

void study_put_summary(const struct study *study, struct json_writer *writer)
{
    json_begin_object(writer);
    put_head(study, writer);
    json_end_object(writer);
}

void study_put_json(const struct study *study, struct json_writer *writer)
{
    const struct spec *spec = study_spec(study);
    json_t *json = spec_to_json(spec);

    json_begin_object(writer);
    put_head(study, writer);
    if (spec->n_directions > 1)
        put_front(study, writer);
    json_member_int(writer, "seq", study_seq(study));
    json_member_time(writer, "first_ask", study_first_ask_us(study));
    json_member_int(writer, "waiting_asks", (int64_t)study_n_waiting_asks(study));
    json_member_value(writer, "user_attrs", study_user_attrs(study));
    json_member_value(writer, "spec", json);
    json_end_object(writer);
    json_decref(json);
}
