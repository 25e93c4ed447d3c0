/* SPDX-License-Identifier: MIT */
/* What a handler reads from a request, and how it answers. */
#include "daemon/http/request.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/http/listener.h"
#include "daemon/http/problem_json.h"
#include "proto/memory.h"
#include "proto/require.h"

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

struct header_count {
    const char *name;
    size_t n;
};

static enum MHD_Result count_cb(void *user, enum MHD_ValueKind, const char *name, const char *)
{
    struct header_count *count = user;

    count->n += strcasecmp(name, count->name) == 0;
    return MHD_YES;
}

size_t request_count_header(const struct request *request, const char *name)
{
    struct header_count count = {.name = name};

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_cb, &count);
    return count.n;
}

bool request_accepts(const struct request *request, const char *media_type)
{
    const char *accept = request_header(request, "Accept");
    size_t length = strlen(media_type);

    for (; accept; accept = strchr(accept, ',')) {
        accept += strspn(accept, ", \t");
        if (strncasecmp(accept, media_type, length) == 0 && strchr(",; \t", accept[length]))
            return true;
    }
    return false;
}

const char *request_parameter(const struct request *request, const char *name)
{
    return uri_value(&request->uri, name);
}

int request_read_int(const struct request *request, const char *name, int64_t low, int64_t high,
                     int64_t fallback, int64_t *number, struct problem *problem)
{
    const char *text = request_parameter(request, name);
    char *end;

    *number = fallback;
    if (!text)
        return 0;
    errno = 0;
    *number = strtoll(text, &end, 10);
    if (strchr("-0123456789", *text) && end != text && !*end && errno == 0 && *number >= low &&
        *number <= high)
        return 0;
    return problem_set(problem, PROBLEM_INVALID, name,
                       "%s must be a whole number from %lld to %lld, and is \"%.40s\"", name, (long long)low,
                       (long long)high, text);
}

int request_read_bool(const struct request *request, const char *name, bool *value, struct problem *problem)
{
    const char *text = request_parameter(request, name);

    *value = text && strcmp(text, "true") == 0;
    if (!text || *value || strcmp(text, "false") == 0)
        return 0;
    return problem_set(problem, PROBLEM_INVALID, name, "%s must be true or false, and is \"%.40s\"", name,
                       text);
}

bool request_sees(const struct request *request, const char *study)
{
    return !request->access.scope || scope_has(request->access.scope, study);
}

static bool filter_cb(const void *user, const char *study)
{
    return request_sees(user, study);
}

struct study_filter request_filter(const struct request *request)
{
    return (struct study_filter){.passes = filter_cb, .user = request};
}

struct worker_view *request_workers(const struct request *request, size_t *n)
{
    const struct studies *studies = request->context->studies;
    const struct study_filter filter = request_filter(request);

    if (request->access.scope)
        return studies_workers_of(studies, &filter, n);
    *n = studies_workers(studies, 0, NULL);

    struct worker_view *workers = memory_array(*n, sizeof workers[0]);

    studies_workers(studies, *n, workers);
    return workers;
}

/* Of a token that is held to some studies it says so, whether there is such a study or not. */
static void refuse_name(struct request *request, const char *name)
{
    const struct scope *scope = request->access.scope;
    struct problem problem = {};

    problem_set(&problem, PROBLEM_NOT_FOUND, "study",
                "there is no study \"%.255s\"%s%.200s%s; GET /v1/studies lists all (one that Optuna has just "
                "made is here in 2 s)",
                name, scope ? " among those that this token is for (" : "", scope ? scope_text(scope) : "",
                scope ? ")" : "");
    request_refuse(request, &problem);
}

struct study *request_study(struct request *request)
{
    const char *name = request->arguments[0];
    struct study *study = request_sees(request, name) ? studies_find(request->context->studies, name) : NULL;

    if (study && strcmp(request->method, "GET") == 0)
        study_watch(study);
    if (study)
        return study;
    studies_seek(request->context->studies);
    refuse_name(request, name);
    return NULL;
}

/* -1 for what is no number of a trial. */
static int64_t parse_number(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= 18 && strspn(text, "0123456789") == length ? strtoll(text, NULL, 10) : -1;
}

struct study *request_study_and_trial(struct request *request, int64_t *number)
{
    struct study *study = request_study(request);
    struct trial_view view;
    struct problem problem = {};

    if (!study)
        return NULL;
    *number = parse_number(request->arguments[1]);
    if (*number >= 0 && study_get_trial(study, *number, &view) == 0)
        return study;
    problem_set(&problem, PROBLEM_NOT_FOUND, "number", "the study \"%.255s\" has no trial \"%.40s\"",
                request->arguments[0], request->arguments[1]);
    request_refuse(request, &problem);
    return NULL;
}

bool request_is_gone(const struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd poll_fd = {.fd = info->connect_fd, .events = POLLRDHUP};

    return poll(&poll_fd, 1, 0) > 0;
}

void request_add_header(struct request *request, const char *name, const char *value)
{
    require(request->n_headers < REQUEST_MAX_HEADERS);
    request->headers[request->n_headers].name = name;
    request->headers[request->n_headers++].value = memory_strdup(value);
}

static void resume(struct request *request)
{
    if (!request->is_suspended)
        return;
    request->is_suspended = false;
    MHD_resume_connection(request->connection);
    listener_wake(request->listener);
}

void request_answer(struct request *request, int status, const char *content_type)
{
    require(request->status == 0);
    request->status = status;
    request->content_type = content_type;
    resume(request);
}

void request_answer_in_parts(struct request *request, int status, const char *content_type,
                             int (*next)(struct request *request, void *user), void (*end)(void *user),
                             void *user)
{
    request->parts.next = next;
    request->parts.end = end;
    request->parts.user = user;
    request_answer(request, status, content_type);
}

void request_continue(struct request *request, enum request_part part)
{
    require(request->is_suspended && request->parts.next);
    request->parts.is_cut = part == REQUEST_CUT;
    if (part != REQUEST_PART)
        request->parts.next = NULL;
    resume(request);
}

void request_answer_json(struct request *request, int status)
{
    buffer_append_char(&request->answer, '\n');
    request_answer(request, status, "application/json");
}

void request_refuse(struct request *request, const struct problem *problem)
{
    const struct problem_info *info = problem_info(problem->type);
    char seconds[16];

    if (info->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%d", info->retry_after_s);
        request_add_header(request, "Retry-After", seconds);
    }
    if (problem->type == PROBLEM_UNAUTHORIZED)
        request_add_header(request, "WWW-Authenticate", "Bearer realm=\"studyd\"");
    buffer_clear(&request->answer);
    problem_put_json(problem, &request->answer);
    request_answer(request, info->status, "application/problem+json");
}

void request_take_back(struct request *request)
{
    for (size_t i = 0; i < request->n_headers; i++)
        free(request->headers[i].value);
    request->n_headers = 0;
    request->status = 0;
    if (request->parts.end)
        request->parts.end(request->parts.user);
    memset(&request->parts, 0, sizeof request->parts);
}
