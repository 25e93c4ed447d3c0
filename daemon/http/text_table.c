/* SPDX-License-Identifier: MIT */
/* Lays out tables of plain text. */
#include "daemon/http/text_table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/memory.h"
#include "proto/require.h"

#define TAIL_WIDTH 12 /* of a cell that is cut: names that differ often do so at their end */

/* Control characters, those of Latin 1 (two bytes of UTF-8) too. */
static void clean(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
        else if ((unsigned char)text[0] == 0xc2 && (unsigned char)text[1] - 0x80U < 0x20)
            text[0] = text[1] = '?';
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* In characters of UTF-8. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += begins_character(*text);
    return width;
}

/* Where the character of this index begins. */
static const char *find_character(const char *text, size_t index)
{
    for (; *text; text++)
        if (begins_character(*text) && index-- == 0)
            break;
    return text;
}

/* Too long a text without its middle. New. */
static char *shorten(const char *text, size_t width)
{
    const char *head_end = find_character(text, TEXT_TABLE_MAX_WIDTH - TAIL_WIDTH - 1);
    struct buffer out = {};

    buffer_append(&out, text, (size_t)(head_end - text));
    buffer_append_text(&out, "…");
    buffer_append_text(&out, find_character(text, width - TAIL_WIDTH));
    return buffer_take(&out);
}

void text_table_add(struct text_table *table, const char *format, ...)
{
    size_t column = table->n_cells % table->n_columns, width;
    char *text;
    va_list arguments;

    require(table->n_columns <= TEXT_TABLE_MAX_COLUMNS);
    va_start(arguments, format);
    require(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    clean(text);
    width = width_of(text);
    table->cells = memory_resize(table->cells, table->n_cells + 1, sizeof table->cells[0]);
    if (width > TEXT_TABLE_MAX_WIDTH) {
        table->cells[table->n_cells++] = shorten(text, width);
        table->n_cut++;
        width = TEXT_TABLE_MAX_WIDTH;
        free(text);
    } else {
        table->cells[table->n_cells++] = text;
    }
    if (width > table->widths[column])
        table->widths[column] = width;
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
