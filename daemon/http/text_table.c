/* SPDX-License-Identifier: MIT */
/* Lays out tables of plain text. */
#include "daemon/http/text_table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

#define MAX_CELL 512

static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* In characters of UTF-8. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void text_table_add(struct text_table *table, const char *format, ...)
{
    size_t column = table->n_cells % table->n_columns;
    char text[MAX_CELL];
    va_list arguments;

    require(table->n_columns <= TEXT_TABLE_MAX_COLUMNS);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    clean(text);
    table->cells = memory_resize(table->cells, table->n_cells + 1, sizeof table->cells[0]);
    table->cells[table->n_cells++] = memory_strdup(text);
    if (width_of(text) > table->widths[column])
        table->widths[column] = width_of(text);
}

static void end_line(struct buffer *out)
{
    while (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    buffer_append_char(out, '\n');
}

static void put_cell(const struct text_table *table, size_t index, struct buffer *out)
{
    size_t column = index % table->n_columns;
    const char *text = table->cells[index];
    int padding = (int)(table->widths[column] - width_of(text));
    bool is_right = table->right >> column & 1, is_last = column + 1 == table->n_columns;

    if (is_right)
        buffer_printf(out, "%*s%s%s", padding, "", text, is_last ? "" : "  ");
    else if (is_last)
        buffer_append_text(out, text);
    else
        buffer_printf(out, "%s%*s", text, padding + 2, "");
    if (is_last)
        end_line(out);
}

void text_table_put(const struct text_table *table, struct buffer *out)
{
    require(table->n_cells % table->n_columns == 0);
    for (size_t i = 0; i < table->n_cells; i++)
        put_cell(table, i, out);
}

void text_table_deinit(struct text_table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct text_table){};
}
