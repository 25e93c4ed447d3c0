/* SPDX-License-Identifier: MIT */
/* Splits a request's raw target, and decodes its pieces. */
#include "daemon/http/uri.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/buffer.h"
#include "proto/memory.h"

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | 0x20) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* In place. */
static int decode(char *text, const char *what, struct problem *problem)
{
    char *out = text;

    for (const char *in = text; *in; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }

        int high = hex_digit(in[1]), low = high >= 0 ? hex_digit(in[2]) : -1;

        if (low < 0)
            return problem_set(problem, PROBLEM_INVALID, what,
                               "\"%.3s\" is no escape; '%%' is followed by two hexadecimal digits, and a "
                               "percent sign itself is written %%25",
                               in);
        if (high == 0 && low == 0)
            return problem_set(problem, PROBLEM_INVALID, what, "%%00 cannot stand in a %s", what);
        *out++ = (char)(high << 4 | low);
        in += 2;
    }
    *out = '\0';
    return 0;
}

/* Behind "http://host:port", where that is there. */
static char *skip_authority(char *target)
{
    char *host = strncasecmp(target, "http://", 7) == 0    ? target + 7
                 : strncasecmp(target, "https://", 8) == 0 ? target + 8
                                                           : NULL;

    return host ? host + strcspn(host, "/") : target;
}

static int split_path(struct uri *uri, char *path, struct problem *problem)
{
    if (*path != '/')
        return problem_set(problem, PROBLEM_INVALID, "path",
                           "the path begins with a slash, as in /v1/studies, and is \"%.80s\"", path);
    if (strcmp(path, "/") == 0)
        return 0;
    for (char *segment = path + 1, *end; segment; segment = end ? end + 1 : NULL) {
        end = strchr(segment, '/');
        if (end)
            *end = '\0';
        if (uri->n_segments == URI_MAX_SEGMENTS) {
            uri->n_segments++;
            return 0;
        }
        if (decode(segment, "path", problem))
            return -1;
        uri->segments[uri->n_segments++] = segment;
    }
    return 0;
}

static int split_query(struct uri *uri, char *query, struct problem *problem)
{
    for (char *pair, *rest = query; (pair = strsep(&rest, "&"));) {
        char *equals = strchr(pair, '=');

        if (!*pair)
            continue;
        if (uri->n_parameters == URI_MAX_PARAMETERS)
            return problem_set(problem, PROBLEM_INVALID, "query", "has more than %d parameters",
                               URI_MAX_PARAMETERS);
        if (equals)
            *equals = '\0';

        char *value = equals ? equals + 1 : pair + strlen(pair);

        if (decode(pair, "query", problem) || decode(value, "query", problem))
            return -1;
        uri->parameters[uri->n_parameters++] = (struct uri_parameter){pair, value};
    }
    return 0;
}

int uri_parse(struct uri *uri, const char *raw, struct problem *problem)
{
    *uri = (struct uri){.text = memory_strdup(raw)};

    char *query = strchr(uri->text, '?');

    if (query)
        *query++ = '\0';
    if (split_path(uri, skip_authority(uri->text), problem))
        return -1;
    return query ? split_query(uri, query, problem) : 0;
}

void uri_deinit(struct uri *uri)
{
    free(uri->text);
    *uri = (struct uri){};
}

const char *uri_value(const struct uri *uri, const char *name)
{
    for (size_t i = 0; i < uri->n_parameters; i++)
        if (strcmp(uri->parameters[i].name, name) == 0)
            return uri->parameters[i].value;
    return NULL;
}

static bool is_known(const char *name, const char *const *known)
{
    for (; *known; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

static int fail_unknown(const char *name, const char *const *known, struct problem *problem)
{
    const char *nearest = problem_nearest(name, known);
    BUFFER_AUTO struct buffer list = {};

    for (const char *const *each = known; *each; each++)
        buffer_printf(&list, "%s%s", list.size ? ", " : "", *each);
    return problem_set(problem, PROBLEM_INVALID, name,
                       "unknown query parameter \"%.80s\"%s%s%s; known are: %s", name,
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "",
                       list.size ? buffer_text(&list) : "none");
}

int uri_check_parameters(const struct uri *uri, const char *const *known, struct problem *problem)
{
    for (size_t i = 0; i < uri->n_parameters; i++) {
        const struct uri_parameter *parameter = &uri->parameters[i];

        if (!is_known(parameter->name, known))
            return fail_unknown(parameter->name, known, problem);
        if (uri_value(uri, parameter->name) != parameter->value)
            return problem_set(
                problem, PROBLEM_INVALID, parameter->name,
                "%s stands more than once in the query; give it once, several values, where it "
                "takes several, with commas",
                parameter->name);
    }
    return 0;
}
