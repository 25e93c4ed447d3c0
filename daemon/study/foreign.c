/* SPDX-License-Identifier: MIT */
/* What other programs (Optuna) do to our studies: rows that are new or changed, and looking for them. */
#include "daemon/study/foreign.h"

#include <stdlib.h>

#include "daemon/study/ask.h"
#include "daemon/study/lifecycle.h"
#include "daemon/study/row.h"
#include "proto/log.h"
#include "proto/memory.h"

/* One look reads no more, so that it costs the same however many trials are open: what waits (the lowest,
 * which Optuna starts first, is among them), and what runs, in turns. */
#define MOST_WAITING 32
#define MOST_OPEN 64
#define MOST_TRIALS (MOST_OPEN + 2 * MOST_WAITING)

/* What Optuna does has no seq in the database; here it takes the next one, so that a `since` cursor sees it.
 * No later owner of the database gives it again (load.c). */
static int64_t next_seq(struct study *study)
{
    return ++study->last_seq;
}

static void enter(struct study *study, struct trial *trial, enum trial_stage stage,
                  const struct store_trial *row)
{
    struct history_trial finished = row_finished(row);
    if (stage == STAGE_OVER)
        trial_finish(study, trial, &finished, next_seq(study));
    else if (stage != (enum trial_stage)trial->stage)
        trial_move(study, trial, stage, next_seq(study));
}

/* Optuna starts waiting trials and finishes any; what else a row may say is as memory has it. What is over
 * stays so. */
static void change(struct study *study, struct trial *trial, const struct store_trial *row)
{
    enum trial_stage stage = row_stage(row);
    if (trial->stage == STAGE_OVER || (stage != STAGE_OVER && stage != STAGE_FOREIGN))
        return;
    row_update(study, trial, row);
    trial->is_ours &= stage != STAGE_FOREIGN;
    enter(study, trial, stage, row);
}

void foreign_take_in(struct study *study, const struct store_trial *row)
{
    struct trial *trial = trials_get(&study->trials, row->number);
    if (!trial)
        enter(study, row_make(study, row), row_stage(row), row);
    else if (trial->trial_id == row->trial_id)
        change(study, trial, row);
    else
        log_error("two trials have one number, the second is left out study=\"%s\" number=%lld", study->name,
                  (long long)row->number);
    study_mark(study);
}

void foreign_take_in_all(struct study *study, const struct store_trial *rows, size_t n_rows)
{
    for (size_t i = 0; i < n_rows; i++) {
        const struct trial *trial = trials_get(&study->trials, rows[i].number);
        if (!trial || !trial_is_reserved(trial))
            foreign_take_in(study, &rows[i]);
    }
}

/* ---- looking ---- */

struct look {
    struct change change;
    int64_t trial_ids[MOST_TRIALS];
};

/* What it found is taken in already. */
static void look_settled(void *owner)
{
    struct look *look = owner;
    look->change.study->is_looking = false;
    free(look);
}

static bool is_awaited(const struct study *study)
{
    return study->is_watched || (study->state == STUDY_RUNNING && asks_are_waiting(study));
}

static void put_trial(struct look *look, const struct trial *trial)
{
    look->trial_ids[look->change.record.look.n_trials++] = trial->trial_id;
}

static void put_waiting(const struct study *study, const struct number_heap *heap, struct look *look)
{
    for (size_t i = 0; i < heap->n_numbers && i < MOST_WAITING; i++) {
        const struct trial *trial = trials_get(&study->trials, heap->numbers[i]);
        if (trial && trial->state == TRIAL_WAITING)
            put_trial(look, trial);
    }
}

/* Begins where the last look ended, and says where this one did where there was no room for all. */
static void put_running(struct study *study, bool is_foreign, struct look *look)
{
    size_t begin = 0;
    int64_t next = 0;
    while (begin < study->n_open && study->open[begin]->number < study->look_number)
        begin++;
    for (size_t i = 0; i < study->n_open && look->change.record.look.n_trials < MOST_OPEN; i++) {
        const struct trial *trial = study->open[(begin + i) % study->n_open];
        if (trial->state != TRIAL_RUNNING || (trial->stage == STAGE_FOREIGN) != is_foreign)
            continue;
        put_trial(look, trial);
        next = trial->number + 1;
    }
    if (look->change.record.look.n_trials == MOST_OPEN && next)
        study->look_number = next;
}

/* Trials that are not over, ours too: Optuna may start, finish or fail any. Those that it runs come first: of
 * ours we also learn when they are reported or told. */
static void look(void *owner)
{
    struct study *study = owner;
    if (study->is_deleted || study->is_stale || !is_awaited(study))
        return;
    study->is_watched = false;
    study->studies->is_sought = true; /* it may be gone altogether */
    struct look *look = memory_new(sizeof *look);
    struct store_record *record = &look->change.record;
    study->looked_ms = studies_now_ms(study->studies);
    put_running(study, true, look);
    put_running(study, false, look);
    put_waiting(study, &study->again, look);
    put_waiting(study, &study->enqueued, look);
    record->change = STORE_LOOK;
    record->look.trial_ids = look->trial_ids;
    if (change_submit(&look->change, study, look_settled, look) < 0)
        free(look);
    else
        study->is_looking = true;
}

void foreign_init_timer(struct study *study)
{
    study->look_timer = (struct timer){.fire = look, .owner = study};
    study->looked_ms = -LOOK_INTERVAL_MS; /* never: the first who wants to know causes a look */
}

void foreign_watch(struct study *study)
{
    if (study->is_looking || timer_is_set(&study->look_timer) || study->studies->is_store_away ||
        !is_awaited(study))
        return;
    int64_t now_ms = studies_now_ms(study->studies);
    int64_t at_ms = study->looked_ms + LOOK_INTERVAL_MS;
    timer_set(&study->studies->timers, &study->look_timer, at_ms > now_ms ? at_ms : now_ms);
}

void study_watch(struct study *study)
{
    study->is_watched = true;
    study_mark(study);
    studies_end_call(study->studies);
}
