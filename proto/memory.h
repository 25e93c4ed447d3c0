/* SPDX-License-Identifier: MIT */
/*
 * Allocation that cannot fail: the process is ended with one log line when memory is exhausted.
 *
 * Everything acknowledged is durable and everything else may be repeated, so ending is safe, and tested by
 * the same path as kill -9. Sizes that come from outside are bounded before they get here (body limit, count
 * limit). Code that allocates by the size of a user's data set (the CSV reader) uses malloc and reports the
 * failure.
 */
#pragma once

#include <stddef.h>

/* Zeroed memory, never NULL. Free with free(). */
[[nodiscard]] void *memory_new(size_t size);
/* Zeroed array of `count` items of `size` bytes; the product is checked. Never NULL. */
[[nodiscard]] void *memory_array(size_t count, size_t size);
/* realloc for arrays; the product is checked; new bytes are not zeroed. Never NULL. */
[[nodiscard]] void *memory_resize(void *old, size_t count, size_t size);
/* Copies of text; NULL gives NULL. Free with free(). */
[[nodiscard]] char *memory_strdup(const char *text);
[[nodiscard]] char *memory_strndup(const char *text, size_t size);

/* For locals: `MEMORY_AUTO char *text = ...;` is freed when it goes out of scope. */
void memory_auto_free(void *pointer_to_pointer);
#define MEMORY_AUTO __attribute__((cleanup(memory_auto_free)))
