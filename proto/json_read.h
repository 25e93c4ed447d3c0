/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON strictly: every key is asked for by name, and a key that nobody asked for is an error.
 *
 *     struct json_reader reader;
 *     json_reader_open(&reader, value, "sampler", problem);
 *     type = json_read_string(&reader, "type", NULL);
 *     n = json_read_int(&reader, "n_startup_trials", 0, INT32_MAX, JSON_DEFAULT(10));
 *     return json_reader_close(&reader);
 *
 * The first error sticks: later reads give the fallback and json_reader_close() returns -1.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/problem.h"

#define JSON_MAX_DEPTH 32
#define JSON_MAX_KEYS 32 /* keys that one reader may be asked for; more is a programming error */

/* Parses one JSON text: UTF-8, at most JSON_MAX_DEPTH deep, no duplicate keys, nothing behind it. Returns a
 * new reference, or NULL with `problem` set (the detail names line and column). The text need not be
 * NUL-terminated. */
[[nodiscard]] json_t *json_parse(const char *text, size_t size, struct problem *problem);

struct json_reader {
    json_t *object;  /* borrowed; NULL after an error */
    json_t *lacking; /* borrowed: the object, where the error is that it lacks a key; else NULL */
    char path[96];   /* "" at the top, else "space.x" */
    struct problem *problem;
    const char *keys[JSON_MAX_KEYS + 1];
    size_t n_keys;
    bool has_failed;
};

/* `value` must be a JSON object (NULL or another type is an error on `path`). */
void json_reader_open(struct json_reader *reader, json_t *value, const char *path, struct problem *problem);
/* 0, or -1 where a read failed or the object holds a key that was not asked for (the nearest known one is
 * named, and all known ones listed). Who wrote a key wrongly lacks the right one, too: the unknown key is the
 * error then, not the missing one. */
[[nodiscard]] int json_reader_close(struct json_reader *reader);
/* The same for answers, which may grow: keys that were not asked for are fine. */
[[nodiscard]] int json_reader_close_growing(struct json_reader *reader);

/* Present and not null? Counts as asking. */
bool json_read_has(struct json_reader *reader, const char *key);
/* The member as it is (borrowed), NULL where absent or null. Counts as asking. */
json_t *json_read_any(struct json_reader *reader, const char *key);
/* Text; where absent `fallback`, which may be NULL. Borrowed. NUL characters inside are an error. */
const char *json_read_string(struct json_reader *reader, const char *key, const char *fallback);
/* The same, but absent is an error; "" after any error. */
const char *json_read_required_string(struct json_reader *reader, const char *key);
/* A whole number in [low, high] (2.0 counts as 2); where absent `fallback`. */
int64_t json_read_int(struct json_reader *reader, const char *key, int64_t low, int64_t high,
                      int64_t fallback);
/* The same for a limit, -1 where there is none: who means that is told how to say it. */
int64_t json_read_int_limit(struct json_reader *reader, const char *key, int64_t low, int64_t high);
int64_t json_read_required_int(struct json_reader *reader, const char *key, int64_t low, int64_t high);
/* A finite number in [low, high]; where absent `fallback`. */
double json_read_number(struct json_reader *reader, const char *key, double low, double high,
                        double fallback);
double json_read_number_limit(struct json_reader *reader, const char *key, double low, double high);
/* The same, but absent is an error. */
double json_read_required_number(struct json_reader *reader, const char *key, double low, double high);
bool json_read_bool(struct json_reader *reader, const char *key, bool fallback);
/* One of `choices` (NULL-terminated): its index; where absent `fallback` (-1: absent is an error). */
int json_read_choice(struct json_reader *reader, const char *key, const char *const *choices, int fallback);

/* A number, or one of the strings "NaN", "Infinity", "-Infinity". 0 or -1; no problem is set. */
[[nodiscard]] int json_to_double(const json_t *value, double *number);
/* The reverse: a JSON number, or the string. New reference. */
[[nodiscard]] json_t *json_from_double(double number);
/* "space.x" + "low" -> "space.x.low", cut to the size. */
void json_path_join(char *out, size_t out_size, const char *path, const char *key);
/* Marks the reader as failed and sets the problem at `key` of this object ("" for the object itself). -1. */
int json_read_fail(struct json_reader *reader, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
