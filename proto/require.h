/* SPDX-License-Identifier: MIT */
/* Fatal assertion for broken invariants; compiled into every build. */
#pragma once

void require_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

/* The program's own mistake, never bad input: a bad peer gets a problem, not an abort. */
#define require(condition) ((condition) ? (void)0 : require_failed(#condition, __FILE__, __LINE__))
