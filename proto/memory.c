/* SPDX-License-Identifier: MIT */
/* Allocation that ends the process rather than fail. */
#include "proto/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"

__attribute__((noreturn)) static void fail(size_t count, size_t size)
{
    log_error("out of memory, ending: count=%zu size_bytes=%zu", count, size);
    _exit(1);
}

void *memory_new(size_t size)
{
    return memory_array(1, size);
}

void *memory_array(size_t count, size_t size)
{
    /* calloc() checks the product; it may give NULL for nothing, which we never do. */
    void *memory = count && size ? calloc(count, size) : calloc(1, 1);

    if (!memory)
        fail(count, size);
    return memory;
}

void *memory_resize(void *old, size_t count, size_t size)
{
    void *memory = count && size ? reallocarray(old, count, size) : realloc(old, 1);

    if (!memory)
        fail(count, size);
    return memory;
}

char *memory_strdup(const char *text)
{
    return text ? memory_strndup(text, SIZE_MAX) : NULL;
}

char *memory_strndup(const char *text, size_t size)
{
    if (!text)
        return NULL;

    size_t length = strnlen(text, size);
    char *copy = memory_array(length + 1, 1);

    memcpy(copy, text, length);
    return copy;
}

void memory_auto_free(void *pointer_to_pointer)
{
    void *pointer;

    memcpy(&pointer, pointer_to_pointer, sizeof pointer);
    free(pointer);
}
