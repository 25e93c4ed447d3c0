/* SPDX-License-Identifier: MIT */
/*
 * Asks. One waits until there is something to give, then until its drafts are committed:
 *
 *   begin --> waits in the list --> has drafts on their way --> answered
 *     |           |         ^                 |                   ^  ^
 *     |           |         +-----------------+                   |  |
 *     |           |           all were lost to others             |  |
 *     |           +-- time is up, or nothing left to wait for ----+  |
 *     +-- repeated: waits for the first with its request_id ---------+
 */
#include "daemon/study/ask.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/study/control.h"
#include "daemon/study/draft.h"
#include "daemon/study/lease.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/outcome.h"
#include "daemon/study/params.h"
#include "daemon/study/seek.h"
#include "proto/memory.h"

struct ask {
    struct answer answer;
    struct studies *studies;
    struct study *study;       /* NULL: of all */
    struct ask_call *call;     /* NULL once it is answered */
    struct ask *next, *before; /* in the list of those who wait */
    bool is_waiting, has_waited;
    uint64_t arrival;
    int64_t until_ms;   /* it waits no longer */
    struct timer timer; /* until_ms; with drafts under way the limit for an answer */
    char *worker;       /* owned */
    int64_t count;
    json_t *runners; /* owned; or NULL */
    json_t *except;  /* owned; or NULL */
    unsigned char key[REQUEST_KEY_SIZE];
    bool has_key;
    struct requests *requests; /* where it is under way; or NULL */
    uint32_t request;
    struct waiter waiter; /* before the gate of the same request, or of a study that is read anew */
    size_t n_drafts;      /* on their way */
    size_t n_offers;
    struct ask_offer *offers; /* owned, room for `count` at least */
};

/* ---- who waits ---- */

static struct ask_list *list_of(struct ask *ask)
{
    return ask->study ? &ask->study->waiting : &ask->studies->waiting;
}

/* Almost always at the end; one that lost what it was given comes back to its place. */
static void enter_list(struct ask *ask)
{
    struct ask_list *list = list_of(ask);
    struct ask *before = list->last;
    while (before && before->arrival > ask->arrival)
        before = before->before;
    ask->before = before;
    ask->next = before ? before->next : list->first;
    *(before ? &before->next : &list->first) = ask;
    *(ask->next ? &ask->next->before : &list->last) = ask;
    list->n_asks++;
    ask->is_waiting = true;
}

static void leave_list(struct ask *ask)
{
    struct ask_list *list = list_of(ask);
    if (!ask->is_waiting)
        return;
    *(ask->before ? &ask->before->next : &list->first) = ask->next;
    *(ask->next ? &ask->next->before : &list->last) = ask->before;
    list->n_asks--;
    ask->is_waiting = false;
}

/* May it know of this study? */
static bool sees(const struct ask *ask, const struct study *study)
{
    const struct study_filter *filter = &ask->call->filter;
    return !filter->passes || filter->passes(filter->user, study->name);
}

static bool has_name(const json_t *names, const char *name)
{
    size_t i;
    json_t *each;
    json_array_foreach (names, i, each) {
        if (name && strcmp(json_string_value(each), name) == 0)
            return true;
    }
    return false;
}

/* Does the worker have this study's runner? */
static bool has_runner(const struct ask *ask, const struct study *study)
{
    return !ask->runners || has_name(ask->runners, study->spec->runner);
}

static bool fits(const struct ask *ask, const struct study *study)
{
    return sees(ask, study) && has_runner(ask, study) && !has_name(ask->except, study->name);
}

static struct ask *first_of_all(const struct study *study)
{
    struct ask *ask = study->studies->waiting.first;
    while (ask && !fits(ask, study))
        ask = ask->next;
    return ask;
}

static struct ask *first_waiting(const struct study *study)
{
    struct ask *own = study->waiting.first;
    struct ask *of_all = first_of_all(study);
    if (!own || !of_all)
        return own ? own : of_all;
    return own->arrival < of_all->arrival ? own : of_all;
}

bool asks_are_waiting(const struct study *study)
{
    return first_waiting(study) != NULL;
}

/* ---- the answer ---- */

static void drop_offers(struct ask *ask)
{
    while (ask->n_offers)
        json_decref(ask->offers[--ask->n_offers].params);
}

static void ask_free(struct ask *ask)
{
    drop_offers(ask);
    free(ask->offers);
    json_decref(ask->runners);
    json_decref(ask->except);
    free(ask->worker);
    free(ask);
}

static void deliver(void *owner)
{
    struct ask *ask = owner;
    struct ask_call *call = ask->call;
    ask->call = NULL;
    ask->studies->n_open_calls--;
    call->done(call);
    if (ask->n_drafts == 0)
        ask_free(ask);
}

/* Its drafts are known: the next with the same request_id may look. */
static void end_request(struct ask *ask)
{
    struct requests *requests = ask->requests;
    ask->requests = NULL;
    if (requests)
        requests_end(requests, ask->request);
}

/* With what stands in the call. */
static void ask_answer(struct ask *ask)
{
    if (!ask->answer.is_given) {
        leave_list(ask);
        gate_leave(&ask->waiter);
        timer_cancel(&ask->studies->timers, &ask->timer);
        answer_give(&ask->studies->answers, &ask->answer);
    }
    if (ask->n_drafts == 0)
        end_request(ask);
}

static void ask_answer_state(struct ask *ask, const char *state)
{
    ask->call->state = state;
    ask_answer(ask);
}

static void ask_fail(struct ask *ask, const struct problem *problem)
{
    if (!ask->answer.is_given)
        ask->call->problem = *problem;
    ask_answer(ask);
}

static void ask_answer_offers(struct ask *ask)
{
    if (!ask->answer.is_given) {
        ask->call->state = study_state_names[STUDY_RUNNING];
        ask->call->n_offers = ask->n_offers;
        ask->call->offers = ask->offers;
    }
    ask_answer(ask);
}

static void add_offer(struct ask *ask, const struct study *study, const struct trial *trial)
{
    struct ask_offer *offer = &ask->offers[ask->n_offers++];
    *offer = (struct ask_offer){
        .study = study->name,
        .number = trial->number,
        .params = params_to_json(study->spec->space, trial->params),
        .lease_s = study->spec->lease_s,
        .attempt = trial->attempt,
    };
    lease_put_text(trial, offer->lease);
}

/* ---- states to wait in ---- */

/* The state that ends a wait at once, or NULL. */
static const char *final_state(const struct study *study)
{
    bool is_final = study->state == STUDY_STOPPED || study->state == STUDY_FINISHED;
    return is_final ? study_state_names[study->state] : NULL;
}

/* A study that the worker does not want is as good as finished. */
static const char *final_state_of_all(const struct ask *ask)
{
    size_t n_known = 0;
    for (size_t i = 0; i < ask->studies->n_studies; i++) {
        const struct study *study = ask->studies->by_name[i];
        n_known += sees(ask, study) && has_runner(ask, study);
        if (fits(ask, study) && !final_state(study))
            return NULL;
    }
    return n_known ? study_state_names[STUDY_FINISHED] : NULL;
}

static void answer_if_final(struct ask *ask)
{
    const char *state = ask->study ? final_state(ask->study) : final_state_of_all(ask);
    if (state)
        ask_answer_state(ask, state);
}

static void time_is_up(void *owner)
{
    struct ask *ask = owner;
    if (!ask->is_waiting)
        problem_set(&ask->call->problem, PROBLEM_STORE_AWAY, "",
                    "the trials were not committed within %d s; they may be still: repeat the request with "
                    "its request_id",
                    ANSWER_LIMIT_MS / 1000);
    else if (studies_check_open(ask->studies, &ask->call->problem) == 0)
        ask->call->state = ask->study && ask->study->state == STUDY_PAUSED ? "paused" : "waiting";
    ask_answer(ask);
}

void asks_answer_state(struct study *study)
{
    while (study->waiting.first && final_state(study))
        answer_if_final(study->waiting.first);
}

void asks_answer_all(struct studies *studies)
{
    for (struct ask *next, *ask = studies->waiting.first; ask; ask = next) {
        next = ask->next;
        answer_if_final(ask);
    }
}

void asks_fail(struct study *study, const struct problem *problem)
{
    while (study->waiting.first)
        ask_fail(study->waiting.first, problem);
}

static void stop_list(struct ask_list *list, const struct problem *problem)
{
    while (list->first)
        ask_fail(list->first, problem);
}

void asks_stop(struct studies *studies)
{
    struct problem problem = {0};
    (void)!studies_check_open(studies, &problem);
    stop_list(&studies->waiting, &problem);
    for (size_t i = 0; i < studies->n_studies; i++)
        stop_list(&studies->by_name[i]->waiting, &problem);
}

/* ---- giving ---- */

/* Is there a trial to hand out? An attempt that is repeated is no new trial. */
static bool has_supply(struct study *study)
{
    bool is_in_time = control_is_in_time(study);
    return trial_next(study, is_in_time) || (is_in_time && drafts_have_number(study));
}

static void begin_waiting(struct ask *ask);

/* All of its drafts are committed, lost or failed: what is there is given, whatever the others met. */
static void drafts_known(struct ask *ask)
{
    if (ask->answer.is_given) {
        end_request(ask);
        if (!ask->call)
            ask_free(ask);
    } else if (ask->n_offers) {
        ask->call->problem = (struct problem){0};
        ask_answer_offers(ask);
    } else if (ask->call->problem.type) {
        ask_answer(ask);
    } else {
        begin_waiting(ask);
    }
}

static void draft_settled(struct draft *draft, enum draft_fate fate, const struct problem *problem)
{
    struct ask *ask = draft->owner;
    if (fate == DRAFT_DONE)
        add_offer(ask, draft->study, draft->trial);
    else if (fate == DRAFT_FAILED && !ask->answer.is_given)
        problem_set(&ask->call->problem, problem->type, problem->field, "%s", problem->detail);
    if (--ask->n_drafts == 0)
        drafts_known(ask);
}

static void give_one(struct ask *ask, struct study *study)
{
    struct trial *trial = trial_next(study, control_is_in_time(study));
    enum draft_kind kind = !trial ? DRAFT_NEW : trial->stage == STAGE_ENQUEUED ? DRAFT_START : DRAFT_RESTART;
    if (trial)
        trial_take(study, trial);
    struct draft *draft = draft_new(study, kind, trial);
    draft->settled = draft_settled;
    draft->owner = ask;
    draft->worker = ask->worker;
    draft->key = ask->has_key ? ask->key : NULL;
    ask->n_drafts++;
    draft_queue(draft);
}

/* A draft may fail at once: the one more that is counted holds the answer back until all are given. */
static void give(struct ask *ask, struct study *study)
{
    leave_list(ask);
    timer_set_in(ask->studies, &ask->timer, ANSWER_LIMIT_MS);
    control_start_clock(study);
    ask->n_drafts = 1;
    for (int64_t i = 0; i < ask->count && has_supply(study); i++)
        give_one(ask, study);
    if (--ask->n_drafts == 0)
        drafts_known(ask);
}

void asks_serve(struct study *study)
{
    struct ask *ask;
    while (study->state == STUDY_RUNNING && study->is_usable && !study->studies->is_store_away &&
           !drafts_are_many(study) && has_supply(study) && (ask = first_waiting(study))) {
        if (ask->has_waited && ask->call->is_gone(ask->call)) {
            ask_answer_state(ask, "waiting");
        } else if (study->has_stored_spec) {
            give(ask, study);
        } else {
            if (!seek_again(study) && control_has_space(study))
                control_store_spec(study);
            return;
        }
    }
}

/* ---- beginning ---- */

/* For an ask of all studies: who has something to give and runs least. */
static struct study *choose_study(const struct ask *ask)
{
    struct study *chosen = NULL;
    for (size_t i = 0; i < ask->studies->n_studies; i++) {
        struct study *study = ask->studies->by_name[i];
        if (study->state != STUDY_RUNNING || !study->is_usable || !control_has_space(study) ||
            !fits(ask, study) || !has_supply(study))
            continue;
        int64_t n_running = study->counts[TRIAL_RUNNING] + (int64_t)study->n_drafts;
        if (!chosen || n_running < chosen->counts[TRIAL_RUNNING] + (int64_t)chosen->n_drafts)
            chosen = study;
    }
    return chosen;
}

/* Looking for what Optuna does begins with the first who waits. */
static void mark_awaited(struct ask *ask)
{
    if (ask->study)
        study_mark(ask->study);
    for (size_t i = 0; !ask->study && i < ask->studies->n_studies; i++) {
        if (ask->studies->by_name[i]->state == STUDY_RUNNING && fits(ask, ask->studies->by_name[i]))
            study_mark(ask->studies->by_name[i]);
    }
}

/* Nobody asks in vain because he is the first, or because many are before him. */
static bool must_be_patient(struct study *study)
{
    bool is_crowded = study->state == STUDY_RUNNING && drafts_are_many(study) && has_supply(study);
    return !study->has_stored_spec || is_crowded;
}

static void begin_waiting(struct ask *ask)
{
    if (ask->studies->is_stopping) {
        (void)!studies_check_open(ask->studies, &ask->call->problem);
        ask_answer(ask);
        return;
    }
    int64_t now_ms = studies_now_ms(ask->studies);
    struct study *study = ask->study ? ask->study : choose_study(ask);
    enter_list(ask);
    answer_if_final(ask);
    if (ask->is_waiting && study)
        asks_serve(study);
    if (!ask->is_waiting)
        return;
    if (study && must_be_patient(study) && ask->until_ms < now_ms + ANSWER_LIMIT_MS)
        ask->until_ms = now_ms + ANSWER_LIMIT_MS;
    ask->has_waited = true;
    if (ask->until_ms <= now_ms) {
        time_is_up(ask);
    } else {
        timer_set(&ask->studies->timers, &ask->timer, ask->until_ms);
        mark_awaited(ask);
    }
}

static void wait_at(struct ask *ask, struct gate *gate)
{
    int64_t limit_ms = studies_now_ms(ask->studies) + ANSWER_LIMIT_MS;
    gate_wait(gate, &ask->waiter);
    if (!timer_is_set(&ask->timer))
        timer_set(&ask->studies->timers, &ask->timer, ask->until_ms > limit_ms ? ask->until_ms : limit_ms);
}

/* Has the request the trial, or had it when it was told? What it handed back waits, or is Optuna's, which
 * says of none that it finished at which seq that was. */
static bool holds(uint32_t index, const struct trial *trial)
{
    bool is_optunas = trial->stage == STAGE_FOREIGN || (trial->stage == STAGE_OVER && !trial->finished_seq);
    return trial->ask_request == index && trial->state != TRIAL_WAITING && !is_optunas;
}

/* The trials that this request has brought and still holds, from their rows. Where it is not known yet
 * whether it goes on holding one, that one's gate: what is found there when it opens is the answer. */
static struct gate *add_offers_again(struct ask *ask, struct study *study, uint32_t index)
{
    const struct request *request = &study->requests.items[index];
    size_t n_most = ask->n_offers + request->n_numbers + (size_t)ask->count;
    ask->offers = memory_resize(ask->offers, n_most, sizeof *ask->offers);
    for (uint32_t i = 0; i < request->n_numbers; i++) {
        struct trial *trial = trials_get(&study->trials, request->numbers[i]);
        if (!trial || !holds(index, trial))
            continue;
        if (trial_is_reserved(trial))
            return &trial->open->gate;
        if (trial->stage == STAGE_HELD || trial->stage == STAGE_LAPSED)
            lease_renew(study, trial);
        add_offer(ask, study, trial);
    }
    return NULL;
}

/* Is it answered now, or does it wait for the first with its id, or for what becomes of a trial of that one?
 * Else the trials that the request has brought here, if any, are among the ask's offers. */
static bool is_known(struct ask *ask, struct study *study, struct requests *requests)
{
    uint32_t index = requests_find(requests, ask->key);
    if (!index)
        return false;
    struct gate *gate = requests->items[index].gate;
    if (!requests_has_body(requests, index, ask->key)) {
        problem_set(&ask->call->problem, PROBLEM_REQUEST_ID_REUSED, "request_id",
                    "this request_id was used with another body; give each new request an id of its own");
        ask_answer(ask);
        return true;
    }
    if (!gate && study)
        gate = add_offers_again(ask, study, index);
    if (gate)
        wait_at(ask, gate);
    return gate != NULL;
}

/* Has this request brought trials that it still holds, or is it under way? An ask of all studies may have
 * been given trials of any. One whose trials were all handed on is as good as new. */
static bool is_repeated(struct ask *ask)
{
    struct studies *studies = ask->studies;
    drop_offers(ask); /* of an earlier look */
    bool is_answered = is_known(ask, ask->study, ask->study ? &ask->study->requests : &studies->requests);
    for (size_t i = 0; !ask->study && !is_answered && i < studies->n_studies; i++)
        if (sees(ask, studies->by_name[i]))
            is_answered = is_known(ask, studies->by_name[i], &studies->by_name[i]->requests);
    if (!is_answered && ask->n_offers)
        ask_answer_offers(ask);
    return is_answered || ask->n_offers;
}

static void begin_request(struct ask *ask)
{
    ask->requests = ask->study ? &ask->study->requests : &ask->studies->requests;
    ask->request = requests_get(ask->requests, ask->key);
    requests_begin(ask->requests, ask->request);
}

static void ask_begin(void *owner)
{
    struct ask *ask = owner;
    if (ask->study && ask->study->is_deleted) {
        problem_set(&ask->call->problem, PROBLEM_NOT_FOUND, "", "study \"%s\" was deleted", ask->study->name);
        ask_answer(ask);
    } else if (ask->has_key && is_repeated(ask)) {
        return;
    } else if (studies_check_open(ask->studies, &ask->call->problem) < 0) {
        ask_answer(ask);
    } else if (ask->study && seek_again(ask->study)) {
        wait_at(ask, &ask->study->gate);
    } else if (ask->study && control_check_usable(ask->study, &ask->call->problem) < 0) {
        ask_answer(ask);
    } else {
        if (ask->has_key)
            begin_request(ask);
        begin_waiting(ask);
    }
}

void study_ask(struct studies *studies, struct study *study, const struct ask_message *message,
               const unsigned char *body_hash, struct ask_call *call)
{
    struct ask *ask = memory_new(sizeof *ask);
    *ask = (struct ask){
        .answer = {.deliver = deliver, .owner = ask},
        .studies = studies,
        .study = study,
        .call = call,
        .arrival = ++studies->n_arrivals,
        .until_ms = studies_now_ms(studies) + (int64_t)(message->wait_s * 1000),
        .timer = {.fire = time_is_up, .owner = ask},
        .worker = memory_strdup(message->worker),
        .count = message->count,
        .runners = json_incref(message->runners),
        .except = json_incref(message->except),
        .has_key = message->request_id,
        .waiter = {.resume = ask_begin, .owner = ask},
        .offers = memory_array((size_t)message->count, sizeof *ask->offers),
    };
    if (message->request_id)
        outcome_request_key(message->request_id, body_hash, ask->key);
    call->own = ask;
    studies->n_open_calls++;
    int64_t now_us = studies_wall_us(studies);
    worker_see(workers_get(&studies->workers, message->worker, now_us), now_us);
    ask_begin(ask);
    studies_end_call(studies);
}
