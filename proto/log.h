/* SPDX-License-Identifier: MIT */
/*
 * One event, one line on stderr: `level: message key=value key="quoted value"`.
 *
 * Under systemd (JOURNAL_STREAM names stderr) each line begins with the journal's priority, "<3>" to "<7>",
 * and carries no time; on a terminal or in a file it begins with an RFC 3339 UTC time. A failure is logged
 * once, at the boundary where it is handled. Safe to call from any thread; errno is preserved.
 */
#pragma once

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the program and decides the format; call it first. Without it lines are plain. */
void log_open(const char *program);
void log_set_level(enum log_level level);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* `text` in quotes, those within it escaped, for `key=%s`; valid to the end of the block, cut where it is
 * long. */
#define LOG_QUOTED(text) log_quote((char[LOG_QUOTED_SIZE]){}, text)
#define LOG_QUOTED_SIZE 2048
const char *log_quote(char out[LOG_QUOTED_SIZE], const char *text);

/* Control characters (a newline from a peer, say) are written as \n, \xNN: a line stays a line. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
