/* SPDX-License-Identifier: MIT */
/* Leases: renewing, lapsing, and failing a trial for good that nobody reports about any more. */
#include "daemon/study/lease.h"

#include <stdio.h>
#include <string.h>

#include "daemon/study/lifecycle.h"
#include "daemon/study/tell.h"
#include "proto/log.h"
#include "proto/memory.h"

/* A tick that is so much too late was no busy moment. While leases are open the clock ticks at least as
 * often, so that no standstill of a second (the shortest lease) goes unseen. */
#define STANDSTILL_MS 500

static int64_t lease_ms(const struct study *study)
{
    return (int64_t)(study->spec->lease_s * 1000);
}

/* May a trial whose lease is over be given to somebody else? A study that is stopped or finished gives
 * nothing. */
static bool may_be_handed_on(const struct study *study, const struct trial *trial)
{
    return (study->state == STUDY_RUNNING || study->state == STUDY_PAUSED) && trial_has_retries(study, trial);
}

static void lapse(struct study *study, struct trial *trial)
{
    study->studies->n_lapses++;
    log_warning("lease lapsed study=\"%s\" number=%lld attempt=%d worker=\"%s\" next=\"%s\"", study->name,
                (long long)trial->number, (int)trial->attempt, trial->worker ? trial->worker->name : "",
                may_be_handed_on(study, trial) ? "handed on to who asks next" : "failed");
    trial_move(study, trial, STAGE_LAPSED, 0);
}

/* HELD: the lease is over. LAPSED: failing it did not work, it is tried again. A reserved trial gets its
 * lease anew when it is known what became of the change. */
static void fire(void *owner)
{
    struct trial_open *open = owner;
    struct study *study = open->study;
    struct trial *trial = open->trial;
    if (study->studies->is_store_away || study->is_deleted || open->gate.is_shut)
        return;
    if (trial->stage == STAGE_HELD)
        lapse(study, trial);
    if (may_be_handed_on(study, trial))
        return;
    timer_set_in(study->studies, &open->lease_timer, lease_ms(study));
    tell_lost(study, trial);
}

void lease_init_timer(struct trial_open *open)
{
    open->lease_timer.fire = fire;
    open->lease_timer.owner = open;
}

static void start(struct study *study, struct trial *trial)
{
    struct studies *studies = study->studies;
    timer_set_in(studies, &trial->open->lease_timer, lease_ms(study));
    if (!timer_is_set(&studies->pulse_timer))
        timer_set_in(studies, &studies->pulse_timer, STANDSTILL_MS);
}

void lease_renew(struct study *study, struct trial *trial)
{
    if (trial->stage == STAGE_LAPSED)
        trial_move(study, trial, STAGE_HELD, 0);
    start(study, trial);
}

/* Is there something to be done when its time is over: to let it lapse, or to fail it? */
static bool has_deadline(const struct study *study, const struct trial *trial)
{
    return trial->stage == STAGE_HELD || (trial->stage == STAGE_LAPSED && !may_be_handed_on(study, trial));
}

void lease_renew_all(struct study *study)
{
    for (size_t i = 0; i < study->n_open; i++) {
        if (has_deadline(study, study->open[i]))
            start(study, study->open[i]);
    }
}

void lease_go_on(struct study *study, struct trial *trial)
{
    if (has_deadline(study, trial) && !timer_is_set(&trial->open->lease_timer))
        start(study, trial);
}

void lease_look_again(struct study *study)
{
    for (size_t i = 0; i < study->n_open; i++)
        lease_go_on(study, study->open[i]);
}

/* ---- standing still ---- */

static void pulse(void *owner)
{
    struct studies *studies = owner;
    for (size_t i = 0; i < studies->n_studies; i++) {
        if (studies->by_name[i]->n_at_stage[STAGE_HELD]) {
            timer_set_in(studies, &studies->pulse_timer, STANDSTILL_MS);
            return;
        }
    }
}

void lease_init_pulse(struct studies *studies)
{
    studies->pulse_timer = (struct timer){.fire = pulse, .owner = studies};
}

void lease_check_standstill(struct studies *studies)
{
    int64_t late_ms = studies_now_ms(studies) - timers_next_ms(&studies->timers);
    if (!timer_is_set(&studies->pulse_timer) || late_ms < STANDSTILL_MS)
        return;
    log_warning("studyd stood still, all leases start afresh ms=%lld reason=\"it was stopped, or its machine "
                "slept or is overloaded\"",
                (long long)late_ms);
    for (size_t i = 0; i < studies->n_studies; i++)
        lease_renew_all(studies->by_name[i]);
}

char *lease_describe_silence(const struct study *study, const struct trial *trial)
{
    char text[300];
    snprintf(text, sizeof text, "worker %s was silent for %g s in attempt %d",
             trial->worker ? trial->worker->name : "(unnamed)", study->spec->lease_s, (int)trial->attempt);
    return memory_strdup(text);
}

int64_t lease_left_ms(const struct study *study, const struct trial *trial)
{
    if (trial->stage == STAGE_LAPSED)
        return 0;
    if (trial->stage != STAGE_HELD)
        return -1;
    const struct timer *timer = &trial->open->lease_timer;
    int64_t left_ms = timer_is_set(timer) ? timer->at_ms - studies_now_ms(study->studies) : lease_ms(study);
    return left_ms > 0 ? left_ms : 0;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

static bool parse(const char *text, unsigned char lease[LEASE_SIZE])
{
    if (!text || strlen(text) != 2 * LEASE_SIZE)
        return false;
    for (size_t i = 0; i < LEASE_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        lease[i] = (unsigned char)(16 * high + low);
    }
    return true;
}

bool lease_matches(const struct trial *trial, const char *text)
{
    unsigned char lease[LEASE_SIZE];
    return trial->has_lease && parse(text, lease) && memcmp(lease, trial->lease, LEASE_SIZE) == 0;
}

void lease_put_text(const struct trial *trial, char text[MESSAGE_LEASE_SIZE])
{
    text[0] = '\0';
    for (size_t i = 0; trial->has_lease && i < LEASE_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", trial->lease[i]);
}

void lease_set_text(struct trial *trial, const char *text)
{
    trial->has_lease = parse(text, trial->lease);
}
