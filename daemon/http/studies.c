/* SPDX-License-Identifier: MIT */
/* Creates, lists, shows, changes and deletes studies. */
#include "daemon/http/studies.h"

#include <stdlib.h>
#include <sys/random.h>

#include "daemon/http/study_json.h"
#include "proto/json_read.h"
#include "proto/json_write.h"
#include "proto/memory.h"
#include "proto/message_member.h"
#include "proto/require.h"

/* The answer to a change: the study as it is now. */
static void answer_study(struct request *request, const struct study *study, int status)
{
    struct json_writer writer;

    json_writer_init(&writer, &request->answer);
    study_put_json(study, &writer);
    request_answer_json(request, status);
}

static struct study_call *call_new(struct request *request, void (*done)(struct study_call *call))
{
    struct study_call *call = memory_new(sizeof *call);

    call->done = done;
    call->user = request;
    return call;
}

/* ---- create ---- */

static void create_done(struct study_call *call)
{
    struct request *request = call->user;
    BUFFER_AUTO struct buffer location = {};

    if (call->problem.type != PROBLEM_NONE) {
        request_refuse(request, &call->problem);
    } else {
        buffer_printf(&location, "/v1/studies/%s", study_name(call->study));
        request_add_header(request, "Location", buffer_text(&location));
        answer_study(request, call->study, call->was_created ? 201 : 200);
    }
    free(call);
}

/* Taken where the spec has no seed: below 2^53, so that every JSON reader keeps it. */
static uint64_t draw_seed(void)
{
    uint64_t seed;

    require(getrandom(&seed, sizeof seed, 0) == sizeof seed);
    return seed >> 11;
}

static int check_name(const struct request *request, const struct spec *spec, struct problem *problem)
{
    if (request_sees(request, spec->name))
        return 0;
    return problem_set(problem, PROBLEM_FORBIDDEN, "name",
                       "the token is held to the studies %.300s, and \"%.255s\" is none of them",
                       scope_text(request->access.scope), spec->name);
}

void handle_create_study(struct request *request)
{
    struct problem problem = {};
    bool exist_ok;
    struct spec *spec = NULL;

    if (request_read_bool(request, "exist_ok", &exist_ok, &problem) ||
        !(spec = spec_read(request->json, draw_seed(), &problem)) || check_name(request, spec, &problem)) {
        spec_free(spec);
        request_refuse(request, &problem);
    } else {
        studies_create(request->context->studies, spec, exist_ok, call_new(request, create_done));
    }
}

/* ---- list, show ---- */

void handle_list_studies(struct request *request)
{
    struct studies *studies = request->context->studies;
    struct json_writer writer;

    studies_seek(studies);
    json_writer_init(&writer, &request->answer);
    json_begin_object(&writer);
    json_put_key(&writer, "studies");
    json_begin_array(&writer);
    for (size_t i = 0; i < studies_count(studies); i++)
        if (request_sees(request, study_name(studies_get(studies, i))))
            study_put_summary(studies_get(studies, i), &writer);
    json_end_array(&writer);
    json_end_object(&writer);
    request_answer_json(request, 200);
}

void handle_show_study(struct request *request)
{
    struct study *study = request_study(request);

    if (study)
        answer_study(request, study, 200);
}

/* ---- change ---- */

static void change_done(struct study_call *call)
{
    if (call->problem.type != PROBLEM_NONE)
        request_refuse(call->user, &call->problem);
    else
        answer_study(call->user, call->study, 200);
    free(call);
}

static const char *read_state(struct json_reader *reader)
{
    static const char *const states[] = {"running", "paused", "stopped", NULL};

    return json_read_has(reader, "state") ? states[json_read_choice(reader, "state", states, 0)] : NULL;
}

/* A budget is a number, or null for none. */
static int read_change(json_t *json, struct study_change *change, struct problem *problem)
{
    struct json_reader reader;

    json_reader_open(&reader, json, "", problem);
    change->state = read_state(&reader);
    change->has_max_trials = json_object_get(json, "max_trials") != NULL;
    change->max_trials = json_read_int_limit(&reader, "max_trials", 1, SPEC_MAX_TRIALS);
    change->has_max_failed_trials = json_object_get(json, "max_failed_trials") != NULL;
    change->max_failed_trials = json_read_int_limit(&reader, "max_failed_trials", 1, SPEC_MAX_TRIALS);
    change->has_max_seconds = json_object_get(json, "max_seconds") != NULL;
    change->max_seconds = json_read_number_limit(&reader, "max_seconds", SPEC_MIN_SECONDS, SPEC_MAX_SECONDS);
    change->has_trial_timeout_s = json_object_get(json, "trial_timeout_s") != NULL;
    change->trial_timeout_s =
        json_read_number_limit(&reader, "trial_timeout_s", SPEC_MIN_SECONDS, SPEC_MAX_SECONDS);
    change->user_attrs = message_read_user_attrs(&reader);
    return json_reader_close(&reader);
}

void handle_change_study(struct request *request)
{
    struct study *study = request_study(request);
    struct study_change change = {};
    struct problem problem = {};

    if (!study)
        return;
    if (read_change(request->json, &change, &problem))
        request_refuse(request, &problem);
    else
        study_change(request->context->studies, study, &change, call_new(request, change_done));
    json_decref(change.user_attrs);
}

/* ---- delete ---- */

static void delete_done(struct study_call *call)
{
    struct request *request = call->user;

    if (call->problem.type != PROBLEM_NONE)
        request_refuse(request, &call->problem);
    else
        request_answer(request, 204, NULL);
    free(call);
}

void handle_delete_study(struct request *request)
{
    struct study *study = request_study(request);
    struct problem problem = {};
    bool is_forced;

    if (!study)
        return;
    if (request_read_bool(request, "force", &is_forced, &problem))
        request_refuse(request, &problem);
    else
        study_delete(request->context->studies, study, is_forced, call_new(request, delete_done));
}
