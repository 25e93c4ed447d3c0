/* SPDX-License-Identifier: MIT */
/* A growable run of bytes: request bodies, answers, SQL text. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* A zeroed struct is an empty buffer. `data` is always NUL-terminated once something was appended. */
struct buffer {
    char *data; /* owned; may be NULL while size is 0 */
    size_t size;
    size_t capacity;
};

void buffer_deinit(struct buffer *buffer);
/* Empties, keeps the memory. */
void buffer_clear(struct buffer *buffer);
void buffer_reserve(struct buffer *buffer, size_t extra);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first `size` bytes (at most what is there). */
void buffer_consume(struct buffer *buffer, size_t size);
/* Gives the bytes away as a NUL-terminated string (never NULL; free() it) and leaves the buffer empty. */
[[nodiscard]] char *buffer_take(struct buffer *buffer);
/* The content as text, "" when empty; valid until the next change. */
const char *buffer_text(const struct buffer *buffer);

#define BUFFER_AUTO __attribute__((cleanup(buffer_deinit)))
