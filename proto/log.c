/* SPDX-License-Identifier: MIT */
/* One event, one line, one write(2) to stderr. */
#include "proto/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Lines are built on the stack, so that running out of memory can still be told. A longer one is cut. */
#define LOG_MAX_TEXT 4000
#define LOG_MAX_LINE (LOG_MAX_TEXT + 128)

static const struct {
    const char *name;
    int priority; /* syslog's, which the journal reads from "<N>" */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARNING] = {"warning", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static struct {
    enum { FORMAT_PLAIN, FORMAT_TIME, FORMAT_JOURNAL } format;
    char program[32];
    _Atomic int level; /* the only part that changes once threads run */
} state = {.level = LOG_LEVEL_INFO};

/* JOURNAL_STREAM is "device:inode" of the journal's socket; it is inherited by children whose stderr is a
 * file. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_open(const char *program)
{
    snprintf(state.program, sizeof state.program, "%s", program);
    state.format = stderr_is_journal() ? FORMAT_JOURNAL : FORMAT_TIME;
}

void log_set_level(enum log_level level)
{
    state.level = (int)level;
}

static size_t put_head(char *line, size_t size, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    char date[32];
    int length = 0;

    switch (state.format) {
    case FORMAT_PLAIN:
        length = snprintf(line, size, "%s: ", levels[level].name);
        break;
    case FORMAT_JOURNAL:
        length = snprintf(line, size, "<%d>%s: ", levels[level].priority, levels[level].name);
        break;
    case FORMAT_TIME:
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
        length = snprintf(line, size, "%s.%03ldZ %s %s: ", date, now.tv_nsec / 1000000, state.program,
                          levels[level].name);
        break;
    }
    return (size_t)length;
}

/* Copies `text` with control characters spelled out; keeps one byte of `size` for the newline. */
static size_t put_text(char *line, size_t size, const char *text)
{
    size_t used = 0;

    for (; *text && used + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '\n')
            used += (size_t)sprintf(line + used, "\\n");
        else if (c < 0x20 || c == 0x7f)
            used += (size_t)sprintf(line + used, "\\x%02x", c);
        else
            line[used++] = (char)c;
    }
    return used;
}

const char *log_quote(char out[LOG_QUOTED_SIZE], const char *text)
{
    size_t used = 0;

    out[used++] = '"';
    for (; *text && used + 4 <= LOG_QUOTED_SIZE; text++) {
        if (*text == '"' || *text == '\\')
            out[used++] = '\\';
        out[used++] = *text;
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}

void log_write(enum log_level level, const char *format, ...)
{
    if ((int)level > state.level)
        return;

    int saved_errno = errno;
    char text[LOG_MAX_TEXT], line[LOG_MAX_LINE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    size_t used = put_head(line, sizeof line, level);

    used += put_text(line + used, sizeof line - used, text);
    line[used++] = '\n';
    /* Nowhere to tell that stderr is gone. */
    (void)!write(STDERR_FILENO, line, used);
    errno = saved_errno;
}
