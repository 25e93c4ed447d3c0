/* SPDX-License-Identifier: MIT */
/*
 * Studies that come and go in the database beside us. One look brings the new ones (they enter as at the
 * start, load.c), says which are gone, and reads those anew whose spec is to be derived from what Optuna has
 * done.
 *
 * Memory may change while the store looks, so its answer is judged by what was true all the while. A study
 * that was removed meanwhile could be the one that is brought; and one that is gone, with records still on
 * their way, could have had the same id. Then nothing is taken in, and the next look brings it.
 */
#include "daemon/study/seek.h"

#include <stdlib.h>

#include "daemon/study/control.h"
#include "daemon/study/create.h"
#include "proto/memory.h"

/* A look under way. */
struct seeking {
    struct store_find find;
    struct studies *studies;
    struct study **known; /* owned [find.n_known], each with a reference */
    uint64_t n_removed;   /* when it began */
};

/* One that was deleted is freed at the end of the turn: answers may name it. */
static void seeking_free(struct seeking *seeking)
{
    for (size_t i = 0; i < seeking->find.n_known; i++) {
        if (seeking->known[i]->is_deleted)
            study_mark(seeking->known[i]);
        study_unref(seeking->known[i]);
    }
    free(seeking->known);
    free(seeking->find.known);
    free(seeking);
}

/* ---- the answer ---- */

/* One that studyd itself is about to change will find out. */
static void give_up_gone(struct seeking *seeking)
{
    for (size_t i = 0; i < seeking->find.n_known; i++) {
        struct study *study = seeking->known[i];
        if (seeking->find.known[i].is_gone && (study->is_being_read || !study->gate.is_shut))
            control_vanished(study, "another program deleted it");
    }
}

static bool has_gone(const struct seeking *seeking)
{
    for (size_t i = 0; i < seeking->find.n_known; i++) {
        if (seeking->find.known[i].is_gone)
            return true;
    }
    return false;
}

/* Whoever waited for the answer looks for himself: those whose studies were to be read, or all. */
static void open_gates(struct studies *studies, bool is_for_all)
{
    for (size_t i = 0; i < studies->n_studies; i++) {
        struct study *study = studies->by_name[i];
        if (study->is_being_read || (is_for_all && study->is_stale))
            seek_end_reading(study);
    }
    if (studies->seek_gate.is_shut)
        gate_open(&studies->seek_gate);
}

static void end(struct seeking *seeking)
{
    struct studies *studies = seeking->studies;
    studies->seeking = NULL;
    open_gates(studies, false);
    seeking_free(seeking);
}

static void found(struct store_find *find)
{
    struct seeking *seeking = find->user;
    struct studies *studies = seeking->studies;
    if (!find->error) {
        studies->is_sought |= has_gone(seeking); /* and what came instead? */
        give_up_gone(seeking);
    }
    end(seeking);
    studies_end_turn(studies);
}

bool seek_accepts(const struct studies *studies, const char *name, const struct study *known)
{
    const struct seeking *seeking = studies->seeking;
    bool is_certain = studies->n_removed == seeking->n_removed && studies->n_dying == 0 && !has_gone(seeking);
    if (known)
        return is_certain && known->is_being_read && !known->first_change;
    return is_certain && !create_is_under_way(studies, name);
}

void seek_end_reading(struct study *study)
{
    study->is_stale = study->is_being_read = false;
    gate_open(&study->gate);
    study_mark(study);
}

/* ---- looking ---- */

static struct seeking *seeking_new(struct studies *studies)
{
    struct seeking *seeking = memory_new(sizeof *seeking);
    size_t n = studies->n_studies;
    seeking->find = (struct store_find){.n_known = n, .done = found, .user = seeking};
    seeking->find.known = memory_array(n + 1, sizeof *seeking->find.known);
    seeking->known = memory_array(n + 1, sizeof(struct study *));
    seeking->studies = studies;
    seeking->n_removed = studies->n_removed;
    studies->is_sought = false;
    for (size_t i = 0; i < n; i++) {
        struct study *study = seeking->known[i] = studies->by_name[i];
        study_ref(study);
        study->is_being_read = study->is_stale && !study->first_change;
        studies->is_sought |= study->is_stale && !study->is_being_read; /* the next time */
        seeking->find.known[i] = (struct store_found){
            .study_id = study->study_id,
            .name = study->name,
            .uid = study->has_row ? study->uid : "",
            .is_wanted = study->is_being_read,
        };
    }
    return seeking;
}

static void seek(void *owner)
{
    struct studies *studies = owner;
    struct seeking *seeking = seeking_new(studies);
    studies->sought_ms = studies_now_ms(studies);
    studies->seeking = seeking;
    if (studies->ports.find(studies->ports.user, &seeking->find) < 0) {
        seeking->find.error = -1;
        end(seeking);
    }
}

void seek_init_timer(struct studies *studies)
{
    studies->seek_timer = (struct timer){.fire = seek, .owner = studies};
}

void seek_watch(struct studies *studies)
{
    bool is_wanted = studies->is_sought || studies->waiting.first;
    if (!is_wanted || studies->seeking || timer_is_set(&studies->seek_timer) || studies->is_store_away ||
        studies->is_stopping)
        return;
    int64_t now_ms = studies_now_ms(studies);
    int64_t at_ms = studies->sought_ms + LOOK_INTERVAL_MS;
    timer_set(&studies->timers, &studies->seek_timer, at_ms > now_ms ? at_ms : now_ms);
}

void seek_stop(struct studies *studies)
{
    timer_cancel(&studies->timers, &studies->seek_timer);
    open_gates(studies, true);
}

void studies_seek(struct studies *studies)
{
    studies->is_sought = true;
    studies_end_call(studies);
}

bool seek_again(struct study *study)
{
    struct studies *studies = study->studies;
    int64_t age_ms = studies_now_ms(studies) - study->read_ms;
    bool is_old = age_ms >= (control_has_space(study) ? LOOK_INTERVAL_MS : 1);
    if (study->is_stale)
        return true;
    if (!is_old || study->has_stored_spec || !study->is_usable || study->first_ask_us || study->gate.is_shut)
        return false;
    study->is_stale = studies->is_sought = true;
    gate_shut(&study->gate);
    return true;
}
