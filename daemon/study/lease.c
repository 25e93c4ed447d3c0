/* SPDX-License-Identifier: MIT */
/* Leases: renewing, lapsing, and failing a trial for good that nobody reports about any more. */
#include "daemon/study/lease.h"

#include <stdio.h>
#include <string.h>

#include "daemon/study/lifecycle.h"
#include "daemon/study/tell.h"
#include "proto/log.h"

static int64_t lease_ms(const struct study *study)
{
    return (int64_t)(study->spec->lease_s * 1000);
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
        trial_move(study, trial, STAGE_LAPSED, 0);
    if (trial_has_retries(study, trial))
        return;
    timer_set_in(study->studies, &open->lease_timer, lease_ms(study));
    tell_lost(study, trial);
}

void lease_init_timer(struct trial_open *open)
{
    open->lease_timer.fire = fire;
    open->lease_timer.owner = open;
}

void lease_renew(struct study *study, struct trial *trial)
{
    if (trial->stage == STAGE_LAPSED)
        trial_move(study, trial, STAGE_HELD, 0);
    timer_set_in(study->studies, &trial->open->lease_timer, lease_ms(study));
}

/* Is there something to be done when its time is over: to let it lapse, or to fail it? */
static bool has_deadline(const struct study *study, const struct trial *trial)
{
    return trial->stage == STAGE_HELD || (trial->stage == STAGE_LAPSED && !trial_has_retries(study, trial));
}

void lease_renew_all(struct study *study)
{
    for (size_t i = 0; i < study->n_open; i++) {
        if (has_deadline(study, study->open[i]))
            timer_set_in(study->studies, &study->open[i]->open->lease_timer, lease_ms(study));
    }
}

void lease_go_on(struct study *study, struct trial *trial)
{
    if (has_deadline(study, trial) && !timer_is_set(&trial->open->lease_timer))
        timer_set_in(study->studies, &trial->open->lease_timer, lease_ms(study));
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
