/* SPDX-License-Identifier: MIT */
/* One trial's conversation with studyd: heartbeats, reports, the tell. */
#include "worker/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_write.h"
#include "proto/log.h"
#include "proto/memory.h"
#include "proto/require.h"

#define POINTS_PER_REPORT 10000 /* what one report may carry */
/* A request and a row for each point of a trial that reports every few milliseconds would cost more than its
 * training does; a person or a pruner that looks at longer trials does not notice the delay. */
#define REPORT_GAP_MS 250
#define LEAST_HEARTBEAT_MS 200
#define TELL_TIMEOUT_MS 10000 /* studyd answers a change within 5 s */

static void advance(struct lease *lease);

static bool take_renewal(struct lease *lease, const struct http_answer *answer);

/* A sixth of the lease: two thirds are left when a heartbeat is due, and are enough for some attempts. */
static long patience_ms(const struct lease *lease)
{
    double patience_ms = lease->lease_s * 1000 / 6;

    return patience_ms < LEAST_HEARTBEAT_MS ? LEAST_HEARTBEAT_MS
           : patience_ms > TELL_TIMEOUT_MS  ? TELL_TIMEOUT_MS
                                            : (long)patience_ms;
}

/* A request that is swallowed must not cost the trial. */
static void post(struct lease *lease, struct http_request *request, const char *verb,
                 const struct buffer *body, void (*done)(struct http_request *, const struct http_answer *))
{
    BUFFER_AUTO struct buffer path = {};
    long most_ms = patience_ms(lease);

    buffer_printf(&path, "%s/%s", lease->path, verb);
    *request = (struct http_request){.method = "POST",
                                     .path = buffer_text(&path),
                                     .body = buffer_text(body),
                                     .timeout_ms = request == &lease->tell ? TELL_TIMEOUT_MS : most_ms,
                                     .back_off_ms = most_ms,
                                     .done = done,
                                     .user = lease};
    http_client_send(lease->client, request);
}

static bool is_under_way(const struct http_request *request)
{
    return request->own != NULL;
}

/* Handed on, finished by somebody else, or gone with its study: studyd will never take anything for this
 * lease. */
static bool says_lost(const struct http_answer *answer)
{
    return answer->status == 404 || answer->status == 409;
}

static void lose(struct lease *lease, const char *why)
{
    if (lease->is_lost)
        return;
    lease->is_lost = true;
    lease->n_points = 0;
    snprintf(lease->error, sizeof lease->error, "%s", why);
    if (!lease->has_outcome)
        lease->events->lost(lease->user, lease->error);
}

/* -----------------------------------------------------------------------------------------------------
 * heartbeat */

static void heartbeat_done(struct http_request *request, const struct http_answer *answer)
{
    struct lease *lease = request->user;

    if (answer->status == 200)
        (void)take_renewal(lease, answer);
    else if (says_lost(answer))
        lose(lease, answer->error);
    else if (answer->status != 0)
        log_warning("a heartbeat was refused trial=%s reason=%s", lease->path, LOG_QUOTED(answer->error));
    advance(lease);
}

static void heartbeat_timer_cb(uv_timer_t *timer)
{
    struct lease *lease = timer->data;
    BUFFER_AUTO struct buffer body = {};
    struct json_writer writer;

    if (is_under_way(&lease->heartbeat) || lease->is_lost || lease->has_outcome)
        return;
    json_writer_init(&writer, &body);
    heartbeat_message_write(&(struct heartbeat_message){.lease = lease->token}, &writer);
    post(lease, &lease->heartbeat, "heartbeat", &body, heartbeat_done);
}

/* Counted from the last renewal: a trial that reports often needs no heartbeat. */
static void set_heartbeat(struct lease *lease, double lease_s)
{
    uint64_t interval_ms = (uint64_t)(lease_s * 1000 / 3);

    if (interval_ms < LEAST_HEARTBEAT_MS)
        interval_ms = LEAST_HEARTBEAT_MS;
    lease->lease_s = lease_s;
    uv_timer_start(&lease->timer, heartbeat_timer_cb, interval_ms, interval_ms);
}

/* What a report and a heartbeat are answered with. Is the trial to be pruned? */
static bool take_renewal(struct lease *lease, const struct http_answer *answer)
{
    struct report_reply_message reply;
    struct problem problem = {};
    bool prune = false;

    if (report_reply_message_read(&reply, answer->json, &problem)) {
        log_warning("studyd's answer cannot be read trial=%s reason=%s", lease->path,
                    LOG_QUOTED(problem.detail));
    } else {
        set_heartbeat(lease, reply.lease_s);
        prune = reply.prune;
    }
    report_reply_message_deinit(&reply);
    return prune;
}

/* -------------------------------------------------------------------------------------------------------
 * reports */

static void report_done(struct http_request *request, const struct http_answer *answer)
{
    struct lease *lease = request->user;

    set_heartbeat(lease, lease->lease_s); /* the timer was the report's */
    if (says_lost(answer)) {
        lose(lease, answer->error);
    } else if (answer->status == 200) {
        if (take_renewal(lease, answer) && !lease->has_outcome)
            lease->events->prune(lease->user);
    } else if (answer->status != 0) {
        log_warning("a report was refused trial=%s reason=%s", lease->path, LOG_QUOTED(answer->error));
    }
    advance(lease);
}

static void send_points(struct lease *lease)
{
    size_t n = lease->n_points < POINTS_PER_REPORT ? lease->n_points : POINTS_PER_REPORT;
    struct report_message message = {.lease = lease->token, .n_points = n, .points = lease->points};
    BUFFER_AUTO struct buffer body = {};
    struct json_writer writer;

    json_writer_init(&writer, &body);
    report_message_write(&message, &writer);
    lease->n_points -= n;
    memmove(lease->points, lease->points + n, lease->n_points * sizeof lease->points[0]);
    lease->next_report_ms = uv_now(lease->timer.loop) + REPORT_GAP_MS;
    post(lease, &lease->report, "report", &body, report_done);
}

/* Steps mostly ascend: then there is nothing to look for, however many wait while studyd is away. */
static bool has_step(const struct lease *lease, int32_t step)
{
    if (lease->n_points == 0 || step > lease->highest_step)
        return false;
    for (size_t i = lease->n_points; i-- > 0;)
        if (lease->points[i].step == step)
            return true;
    return false;
}

void lease_report(struct lease *lease, const struct report_point *point)
{
    if (lease->is_lost || has_step(lease, point->step))
        return;
    if (lease->n_points == 0 || point->step > lease->highest_step)
        lease->highest_step = point->step;
    if (lease->n_points == lease->points_capacity) {
        lease->points_capacity = lease->points_capacity ? 2 * lease->points_capacity : 16;
        lease->points = memory_resize(lease->points, lease->points_capacity, sizeof lease->points[0]);
    }
    lease->points[lease->n_points++] = *point;
    advance(lease);
}

/* ----------------------------------------------------------------------------------------------------------
 * tell */

/* A result that studyd does not take (two values where the study has one direction, say) is the objective's
 * failure. */
static void replace_result_by_failure(struct tell_message *outcome, const char *detail)
{
    BUFFER_AUTO struct buffer reason = {};

    buffer_printf(&reason, "the result was refused: %s", detail);
    tell_message_deinit(outcome);
    *outcome = (struct tell_message){
        .state = TRIAL_FAIL, .failure = FAILURE_OBJECTIVE, .reason = buffer_take(&reason)};
}

/* What the trial found must not be lost with what it carries: a failure says so in its reason, a result in
 * our log. */
static void leave_attributes_out(struct lease *lease, const char *detail)
{
    struct tell_message *outcome = &lease->outcome;
    BUFFER_AUTO struct buffer reason = {};

    if (outcome->reason) {
        buffer_printf(&reason, "%s; its attributes were refused: %s", outcome->reason, detail);
        free(outcome->reason);
        outcome->reason = buffer_take(&reason);
    } else {
        log_warning("a result is told without its attributes trial=%s reason=%s", lease->path,
                    LOG_QUOTED(detail));
    }
    json_decref(outcome->user_attrs);
    outcome->user_attrs = NULL;
}

static bool is_about_attributes(const struct http_answer *answer)
{
    const char *field = json_string_value(json_object_get(answer->json, "field"));

    return answer->status == 413 || (field && strncmp(field, "user_attrs", strlen("user_attrs")) == 0);
}

/* Is there something else to tell, now that studyd has refused the outcome? It goes without its attributes
 * where those may be the reason, then a result becomes a failure; each at most once. */
static bool tell_otherwise(struct lease *lease, const struct http_answer *answer)
{
    struct tell_message *outcome = &lease->outcome;
    bool is_result = outcome->state == TRIAL_COMPLETE || outcome->state == TRIAL_PRUNED;

    if (answer->status != 400 && answer->status != 413)
        return false;
    if (outcome->user_attrs && (!is_result || is_about_attributes(answer)))
        leave_attributes_out(lease, answer->error);
    else if (is_result)
        replace_result_by_failure(outcome, answer->error);
    else
        return false;
    return true;
}

static void keep_reply(struct lease *lease, const struct http_answer *answer)
{
    struct tell_reply_message reply;
    struct problem problem = {};

    if (tell_reply_message_read(&reply, answer->json, &problem) == 0) {
        lease->result = (struct lease_outcome){.became = reply.state, .is_best = reply.best};
    } else {
        lease->result.end = LEASE_REFUSED;
        snprintf(lease->error, sizeof lease->error, "studyd's answer cannot be read: %s", problem.detail);
    }
    tell_reply_message_deinit(&reply);
}

static void tell_done(struct http_request *request, const struct http_answer *answer)
{
    struct lease *lease = request->user;

    if (tell_otherwise(lease, answer)) {
        advance(lease);
        return;
    }
    lease->is_told = true;
    if (answer->status == 200) {
        keep_reply(lease, answer);
    } else if (says_lost(answer)) {
        lose(lease, answer->error);
    } else {
        lease->result.end = LEASE_REFUSED;
        snprintf(lease->error, sizeof lease->error, "%s", answer->error);
    }
    advance(lease);
}

static void send_tell(struct lease *lease)
{
    BUFFER_AUTO struct buffer body = {};
    struct json_writer writer;
    struct tell_message message = lease->outcome;

    message.lease = lease->token;
    json_writer_init(&writer, &body);
    tell_message_write(&message, &writer);
    post(lease, &lease->tell, "tell", &body, tell_done);
}

void lease_tell(struct lease *lease, struct tell_message *message)
{
    require(!lease->has_outcome);
    lease->outcome = *message;
    *message = (struct tell_message){};
    lease->has_outcome = true;
    uv_timer_stop(&lease->timer);
    http_client_cancel(lease->client, &lease->heartbeat);
    if (lease->outcome.state == TRIAL_WAITING) {
        lease->n_points = 0;
        http_client_cancel(lease->client, &lease->report);
    }
    advance(lease);
}

void lease_drop(struct lease *lease)
{
    struct tell_message nothing = {.state = TRIAL_WAITING};

    lease->is_lost = true;
    lease_tell(lease, &nothing);
}

/* ---------------------------------------------------------------------------------------------------- its
 * course */

static void end_timer_cb(uv_timer_t *timer)
{
    struct lease *lease = timer->data;
    struct lease_outcome result = lease->result;
    struct tell_message told = lease->outcome;

    result.told = &told;
    result.error = lease->error;
    if (lease->is_lost)
        result.end = LEASE_LOST;
    free(lease->path);
    lease->path = NULL;
    lease->has_outcome = false;
    lease->outcome = (struct tell_message){};
    lease->events->ended(lease->user, &result);
    tell_message_deinit(&told);
}

static void report_timer_cb(uv_timer_t *timer)
{
    advance(timer->data);
}

/* Now, or when the gap is over; what comes before the tell does not wait. */
static void report_next(struct lease *lease)
{
    uint64_t now_ms = uv_now(lease->timer.loop);

    if (lease->has_outcome || now_ms >= lease->next_report_ms)
        send_points(lease);
    else
        uv_timer_start(&lease->timer, report_timer_cb, lease->next_report_ms - now_ms, 0);
}

/* Called after each change: sends what is next, ends when all is said. */
static void advance(struct lease *lease)
{
    if (is_under_way(&lease->report) || is_under_way(&lease->tell))
        return;
    if (lease->n_points > 0)
        report_next(lease);
    else if (!lease->has_outcome || is_under_way(&lease->heartbeat))
        return;
    else if (!lease->is_told && !lease->is_lost)
        send_tell(lease);
    else
        uv_timer_start(&lease->timer, end_timer_cb, 0, 0);
}

void lease_init(struct lease *lease, uv_loop_t *loop, struct http_client *client,
                const struct lease_events *events, void *user)
{
    lease->client = client;
    lease->events = events;
    lease->user = user;
    require(uv_timer_init(loop, &lease->timer) == 0);
    lease->timer.data = lease;
}

void lease_start(struct lease *lease, const char *study, const struct offer_message *offer)
{
    BUFFER_AUTO struct buffer path = {};

    require(!lease->path);
    buffer_append_text(&path, "/v1/studies");
    http_path_append(&path, study);
    buffer_printf(&path, "/trials/%lld", (long long)offer->number);
    lease->path = buffer_take(&path);
    memcpy(lease->token, offer->lease, sizeof lease->token);
    lease->n_points = 0;
    lease->is_told = lease->is_lost = false;
    lease->result = (struct lease_outcome){};
    lease->error[0] = '\0';
    set_heartbeat(lease, offer->lease_s);
}

void lease_close(struct lease *lease, uv_close_cb closed)
{
    free(lease->points);
    lease->points = NULL;
    uv_close((uv_handle_t *)&lease->timer, closed);
}
