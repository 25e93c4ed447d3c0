/* SPDX-License-Identifier: MIT */
/* A growable run of bytes. */
#include "proto/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"
#include "proto/require.h"

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    if (buffer->data)
        buffer->data[0] = '\0';
}

/* Room for `extra` more bytes and the NUL. */
void buffer_reserve(struct buffer *buffer, size_t extra)
{
    size_t needed;

    require(!__builtin_add_overflow(buffer->size, extra, &needed) && needed < SIZE_MAX / 4);
    if (needed < buffer->capacity)
        return;

    size_t capacity = buffer->capacity ? buffer->capacity : 64;

    while (capacity <= needed)
        capacity *= 2;
    buffer->data = memory_resize(buffer->data, capacity, 1);
    buffer->capacity = capacity;
    buffer->data[buffer->size] = '\0';
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    buffer_reserve(buffer, size);
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_char(struct buffer *buffer, char c)
{
    buffer_append(buffer, &c, 1);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments, again;

    va_start(arguments, format);
    va_copy(again, arguments);
    buffer_reserve(buffer, 64);

    size_t room = buffer->capacity - buffer->size;
    int length = vsnprintf(buffer->data + buffer->size, room, format, arguments);

    require(length >= 0);
    if ((size_t)length >= room) {
        buffer_reserve(buffer, (size_t)length);
        vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, again);
    }
    buffer->size += (size_t)length;
    va_end(again);
    va_end(arguments);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    if (size >= buffer->size) {
        buffer_clear(buffer);
        return;
    }
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size + 1);
}

char *buffer_take(struct buffer *buffer)
{
    char *text = buffer->data ? buffer->data : memory_new(1);

    *buffer = (struct buffer){};
    return text;
}

const char *buffer_text(const struct buffer *buffer)
{
    return buffer->data ? buffer->data : "";
}
