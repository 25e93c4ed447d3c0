/* SPDX-License-Identifier: MIT */
/* Leases: a token in the trial's row, a deadline in memory. */
#pragma once

#include "daemon/study/state.h"

void lease_init_timer(struct trial_open *open);
/* Starts the lease of a HELD trial afresh; a LAPSED one is held again. While the store is away nothing
 * lapses. */
void lease_renew(struct study *study, struct trial *trial);
/* The store is back, or everything was loaded: every open lease starts afresh. */
void lease_renew_all(struct study *study);
/* A clock that ticks while leases are open. */
void lease_init_pulse(struct studies *studies);
/* Did studyd stand still (stopped, swapped out, its machine asleep), so that nobody could be heard? Then
 * every open lease starts afresh. To be asked before timers fire. */
void lease_check_standstill(struct studies *studies);
/* It is reserved no longer: a deadline that came meanwhile starts afresh. */
void lease_go_on(struct study *study, struct trial *trial);
/* The study has another state: one that is stopped hands nothing on, and its lapsed trials fail. */
void lease_look_again(struct study *study);
/* Why its attempt counts as lost, in words; owned by the caller. */
[[nodiscard]] char *lease_describe_silence(const struct study *study, const struct trial *trial);
/* Milliseconds left, 0 where it has lapsed, -1 where the trial is not ours and RUNNING. */
int64_t lease_left_ms(const struct study *study, const struct trial *trial);

bool lease_matches(const struct trial *trial, const char *text);
/* "" where it has none. */
void lease_put_text(const struct trial *trial, char text[MESSAGE_LEASE_SIZE]);
/* From 32 hex digits; anything else is none. */
void lease_set_text(struct trial *trial, const char *text);
