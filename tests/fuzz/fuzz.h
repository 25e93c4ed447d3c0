/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is one file with a LLVMFuzzerTestOneInput(); a finding is a crash,
 * what a sanitizer says, or a failed require().
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buffer.h"
#include "proto/problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A refusal says what was wrong, in words that can stand in JSON. */
void fuzz_check_problem(const struct problem *problem);
/* The JSON text of a value, as it goes over the wire. */
void fuzz_put_json(struct buffer *out, const json_t *value);
/* The value that a text of our own making holds: it must be one. New reference. */
[[nodiscard]] json_t *fuzz_parse_own(const struct buffer *text);

#define FUZZ_PATH_SIZE 200
/* Puts the bytes into a file in memory: its path is valid until the next call. */
void fuzz_put_file(const void *data, size_t size, char path[FUZZ_PATH_SIZE]);
