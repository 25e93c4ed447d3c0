/* SPDX-License-Identifier: MIT */
/* Writes a worker's summary. */
#include "worker/summary.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_write.h"

static void add_times(struct slot_totals *sum, const struct slot_totals *totals)
{
    for (int state = 0; state < SLOT_N_STATES; state++)
        sum->in_state_ms[state] += totals->in_state_ms[state];
}

static void put_totals(struct json_writer *writer, const struct slot_totals *totals)
{
    json_put_key(writer, "trials");
    json_begin_object(writer);
    for (int state = TRIAL_COMPLETE; state < TRIAL_WAITING; state++)
        json_member_int(writer, trial_state_names[state], totals->n_told[state]);
    json_member_int(writer, "handed_back", totals->n_told[TRIAL_WAITING]);
    json_end_object(writer);
    json_put_key(writer, "seconds");
    json_begin_object(writer);
    for (int state = 0; state < SLOT_STOPPED; state++)
        json_member_double(writer, slot_state_names[state], (double)totals->in_state_ms[state] / 1000);
    json_end_object(writer);
}

static void put_summary(struct json_writer *writer, const char *worker, int exit_code, uint64_t wall_ms,
                        const int64_t *n_told, struct slot *const *slots, size_t n_slots)
{
    struct slot_totals sum = {};

    memcpy(sum.n_told, n_told, sizeof sum.n_told);
    for (size_t i = 0; i < n_slots; i++) {
        struct slot_totals totals = slot_totals(slots[i]);

        add_times(&sum, &totals);
    }
    json_begin_object(writer);
    json_member_string(writer, "worker", worker);
    json_member_int(writer, "exit_code", exit_code);
    json_member_double(writer, "wall_s", (double)wall_ms / 1000);
    put_totals(writer, &sum);
    json_put_key(writer, "slots");
    json_begin_array(writer);
    for (size_t i = 0; i < n_slots; i++) {
        struct slot_totals totals = slot_totals(slots[i]);

        json_begin_object(writer);
        json_member_string(writer, "slot", slot_name(slots[i]));
        put_totals(writer, &totals);
        json_end_object(writer);
    }
    json_end_array(writer);
    json_end_object(writer);
}

int summary_write(const char *path, const char *worker, int exit_code, uint64_t wall_ms,
                  const int64_t *n_told, struct slot *const *slots, size_t n_slots)
{
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;
    FILE *file = fopen(path, "we");

    if (!file)
        return -1;
    json_writer_init(&writer, &text);
    put_summary(&writer, worker, exit_code, wall_ms, n_told, slots, n_slots);
    buffer_append_char(&text, '\n');
    fputs(buffer_text(&text), file);
    return fclose(file) == 0 ? 0 : -1;
}
