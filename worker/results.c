/* SPDX-License-Identifier: MIT */
/* What came of the studies that this worker served. */
#include "worker/results.h"

#include <stdlib.h>

#include "proto/buffer.h"
#include "proto/memory.h"

void results_deinit(struct results *results)
{
    free(results->failed_study);
}

static int64_t count_of(const json_t *study, enum trial_state state)
{
    const json_t *counts = json_object_get(study, "counts");

    return json_integer_value(json_object_get(counts, trial_state_names[state]));
}

/* Whoever told them. */
static int64_t count_results(const json_t *study)
{
    return count_of(study, TRIAL_COMPLETE) + count_of(study, TRIAL_PRUNED);
}

static bool has_failed_by_itself(const struct lease_outcome *outcome)
{
    return outcome->became == TRIAL_FAIL &&
           (outcome->told->state == TRIAL_COMPLETE || outcome->told->failure <= FAILURE_NAN);
}

void results_take(struct results *results, const struct held_trial *held, const struct lease_outcome *outcome)
{
    results->has_any |= outcome->became == TRIAL_COMPLETE || outcome->became == TRIAL_PRUNED ||
                        count_results(held_trial_study(held)) > 0;
    if (has_failed_by_itself(outcome)) {
        free(results->failed_study);
        results->failed_study = memory_strdup(held_trial_offer(held)->study);
    }
}

void results_go_on(struct results *results)
{
    results->has_looked = false;
}

bool results_are_none(const struct results *results)
{
    return results->failed_study && !results->has_any;
}

static void look_done(struct http_request *request, const struct http_answer *answer)
{
    struct results *results = request->user;

    results->has_looked = true;
    results->has_any |= count_results(answer->json) > 0;
    results->looked(results->user);
}

bool results_look(struct results *results)
{
    BUFFER_AUTO struct buffer path = {};

    if (results->has_looked || results->look.own)
        return results->look.own;
    buffer_append_text(&path, "/v1/studies");
    http_path_append(&path, results->failed_study);
    results->look = (struct http_request){
        .method = "GET", .path = buffer_text(&path), .done = look_done, .user = results};
    http_client_send(results->client, &results->look);
    return true;
}

bool results_are_hopeless(const struct held_trial *held)
{
    const json_t *study = held_trial_study(held); /* as it was before this trial */

    return count_results(study) == 0 && count_of(study, TRIAL_FAIL) + 1 >= HOPELESS_TRIALS;
}
