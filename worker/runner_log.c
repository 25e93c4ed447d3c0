/* SPDX-License-Identifier: MIT */
/* Logs a runner's lines, not too many of them, and remembers the last. */
#include "worker/runner_log.h"

#include <stdio.h>
#include <string.h>

#include "proto/log.h"

#define PIECE_BYTES 3900
#define LINES_PER_SECOND 100
#define SECOND_MS 1000

static const struct {
    const char *prefix;
    enum log_level level;
} levels[] = {{"error: ", LOG_LEVEL_ERROR},
              {"warning: ", LOG_LEVEL_WARNING},
              {"info: ", LOG_LEVEL_INFO},
              {"debug: ", LOG_LEVEL_DEBUG}};

static void write_line(const struct runner_log *log, const char *text, size_t size)
{
    enum log_level level = LOG_LEVEL_INFO;

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        size_t length = strlen(levels[i].prefix);

        if (size >= length && memcmp(text, levels[i].prefix, length) == 0) {
            level = levels[i].level;
            text += length;
            size -= length;
            break;
        }
    }
    log_write(level, "%.*s slot=%s", (int)size, text, log->label);
}

void runner_log_end(struct runner_log *log)
{
    if (log->n_dropped > 0)
        log_warning("%lu more lines dropped slot=%s", log->n_dropped, log->label);
    log->n_dropped = 0;
}

static void put_piece(struct runner_log *log, uint64_t now_ms, const char *text, size_t size)
{
    snprintf(log->last_words[log->n_last_words++ % RUNNER_LOG_LAST_WORDS], RUNNER_LOG_WORDS_BYTES, "%.*s",
             (int)size, text);
    if (now_ms - log->second_began_ms >= SECOND_MS) {
        runner_log_end(log);
        log->second_began_ms = now_ms;
        log->n_lines = 0;
    }
    if (log->n_lines == LINES_PER_SECOND) {
        log->n_dropped++;
        return;
    }
    log->n_lines++;
    write_line(log, text, size);
}

void runner_log_put(struct runner_log *log, uint64_t now_ms, const char *line, size_t size)
{
    for (size_t start = 0; start < size; start += PIECE_BYTES) {
        size_t rest = size - start;

        put_piece(log, now_ms, line + start, rest < PIECE_BYTES ? rest : PIECE_BYTES);
    }
}

void runner_log_put_last_words(const struct runner_log *log, struct buffer *out)
{
    size_t n = log->n_last_words < RUNNER_LOG_LAST_WORDS ? log->n_last_words : RUNNER_LOG_LAST_WORDS;

    for (size_t i = log->n_last_words - n; i < log->n_last_words; i++)
        buffer_printf(out, "%s%s", i == log->n_last_words - n ? "; its last words: " : " | ",
                      log->last_words[i % RUNNER_LOG_LAST_WORDS]);
}
