/* SPDX-License-Identifier: MIT */
/* The problem a request ran into, its table of types, and the nearest known name. */
#include "proto/problem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/require.h"

#define MAX_NAME 64 /* longer names are not compared */

const struct problem_info *problem_info(enum problem_type type)
{
    static const struct problem_info infos[PROBLEM_N_TYPES] = {
#define X(id, urn, status, title, retry_after_s) [PROBLEM_##id] = {urn, status, title, retry_after_s},
        PROBLEM_TYPES(X)
#undef X
    };

    require(type > PROBLEM_NONE && type < PROBLEM_N_TYPES);
    return &infos[type];
}

/* Bytes of the UTF-8 character that `text` begins with; 0 where that is none, or a part of one. */
static size_t measure_character(const unsigned char *text)
{
    static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000}; /* by size; less is an overlong form */
    size_t size = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    unsigned long code = size > 1 ? text[0] & (0x7fU >> size) : text[0];

    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (text[i] & 0x3f);
    }

    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    bool is_character =
        size > 0 && text[0] < 0xf8 && code >= least[size] && code <= 0x10ffff && !is_surrogate;

    return is_character ? size : 0;
}

/* Names from outside and texts that were cut end up in problems: takes out what is no whole character. */
static void keep_utf8(char *text)
{
    char *out = text;

    while (*text) {
        size_t size = measure_character((const unsigned char *)text);

        memmove(out, text, size);
        out += size;
        text += size ? size : 1;
    }
    *out = '\0';
}

int problem_set(struct problem *problem, enum problem_type type, const char *field, const char *format, ...)
{
    va_list arguments;

    require(type > PROBLEM_NONE && type < PROBLEM_N_TYPES);
    if (problem->type != PROBLEM_NONE)
        return -1;
    problem->type = type;

    snprintf(problem->field, sizeof problem->field, "%s", field);
    va_start(arguments, format);
    vsnprintf(problem->detail, sizeof problem->detail, format, arguments);
    va_end(arguments);
    keep_utf8(problem->field);
    keep_utf8(problem->detail);
    return -1;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Damerau-Levenshtein distance: insertions, deletions, replacements and swaps of neighbours. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][MAX_NAME + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_length; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min3(row[j], before[j - 2] + 1, row[j]);
        }

        size_t *oldest = before;

        before = above;
        above = row;
        row = oldest;
    }
    return above[b_length];
}

/* What Optuna and others call what has another name here: too far apart for the distance to tell. */
static const char *find_synonym(const char *given, const char *const *names)
{
    static const char *const synonyms[][2] = {
        {"study_name", "name"},
        {"direction", "directions"},
        {"search_space", "space"},
        {"n_trials", "max_trials"},
        {"timeout", "max_seconds"},
        {"maxFailedTrialCount", "max_failed_trials"},
        {"min", "low"},
        {"max", "high"},
        {"values", "choices"},
        {"categories", "choices"},
        {"FloatDistribution", "float"},
        {"IntDistribution", "int"},
        {"CategoricalDistribution", "categorical"},
        {"TPESampler", "tpe"},
        {"RandomSampler", "random"},
        {"MedianPruner", "median"},
        {"NopPruner", "nop"},
    };
    const char *meant = given;

    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (strcasecmp(given, synonyms[i][0]) == 0)
            meant = synonyms[i][1];
    while (*names && strcasecmp(*names, meant) != 0)
        names++;
    return *names;
}

const char *problem_nearest(const char *given, const char *const *names)
{
    const char *nearest;
    size_t given_length = strnlen(given, MAX_NAME + 1), best = MAX_NAME + 1;

    if (given_length > MAX_NAME)
        return NULL;
    if ((nearest = find_synonym(given, names)))
        return nearest;
    for (; *names; names++) {
        size_t length = strlen(*names);

        if (length > MAX_NAME)
            continue;

        size_t cost = distance(given, given_length, *names, length);
        size_t longer = length > given_length ? length : given_length;

        if (cost <= longer / 3 && cost < best) {
            best = cost;
            nearest = *names;
        }
    }
    return nearest;
}
