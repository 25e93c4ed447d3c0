/* SPDX-License-Identifier: MIT */
/* Splits a command line into words. */
#include "worker/command.h"

#include <stdlib.h>
#include <string.h>

#include "proto/buffer.h"
#include "proto/memory.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Takes one word from *text, which does not begin with a blank. */
static int read_word(const char **text, struct buffer *word, struct problem *problem)
{
    char quote = '\0';
    const char *c = *text;

    for (; *c && (quote || !is_blank(*c)); c++) {
        bool escapes = *c == '\\' && (!quote || (quote == '"' && c[1] && strchr("\"\\", c[1])));

        if (escapes && !c[1])
            return problem_set(problem, PROBLEM_INVALID, "", "a backslash stands at the end: %s", *text);
        if (escapes)
            buffer_append_char(word, *++c);
        else if (*c == quote)
            quote = '\0';
        else if (!quote && (*c == '"' || *c == '\''))
            quote = *c;
        else
            buffer_append_char(word, *c);
    }
    if (quote)
        return problem_set(problem, PROBLEM_INVALID, "", "a quote (%c) is not closed: %s", quote, *text);
    *text = c;
    return 0;
}

int command_read(struct command *command, const char *text, struct problem *problem)
{
    *command = (struct command){};
    for (;;) {
        BUFFER_AUTO struct buffer word = {};

        while (is_blank(*text))
            text++;
        if (!*text)
            break;
        if (read_word(&text, &word, problem))
            return -1;
        command_add(command, buffer_text(&word));
    }
    if (command->n_words == 0)
        return problem_set(problem, PROBLEM_INVALID, "", "the command is empty");
    return 0;
}

void command_add(struct command *command, const char *word)
{
    command->words = memory_resize(command->words, command->n_words + 2, sizeof command->words[0]);
    command->words[command->n_words++] = memory_strdup(word);
    command->words[command->n_words] = NULL;
}

void command_deinit(struct command *command)
{
    for (size_t i = 0; i < command->n_words; i++)
        free(command->words[i]);
    free(command->words);
    *command = (struct command){};
}
