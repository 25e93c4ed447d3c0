/* SPDX-License-Identifier: MIT */
/* A request's target: its pieces, encoded again, give the same pieces, and at most one route answers it. */
#include <string.h>

#include "daemon/http/routes.h"
#include "daemon/http/uri.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

static void put_encoded(struct buffer *out, const char *text)
{
    for (; *text; text++)
        buffer_printf(out, "%%%02X", (unsigned char)*text);
}

static void check_encoded(const struct uri *uri)
{
    struct problem problem = {};
    struct uri again;
    BUFFER_AUTO struct buffer text = {};

    for (size_t i = 0; i < uri->n_segments; i++) {
        buffer_append_char(&text, '/');
        put_encoded(&text, uri->segments[i]);
    }
    buffer_append_text(&text, uri->n_segments ? "?" : "/?");
    for (size_t i = 0; i < uri->n_parameters; i++) {
        put_encoded(&text, uri->parameters[i].name);
        buffer_append_char(&text, '=');
        put_encoded(&text, uri->parameters[i].value);
        buffer_append_char(&text, '&');
    }
    require(uri_parse(&again, buffer_text(&text), &problem) == 0);
    require(again.n_segments == uri->n_segments && again.n_parameters == uri->n_parameters);
    for (size_t i = 0; i < uri->n_segments; i++)
        require(strcmp(again.segments[i], uri->segments[i]) == 0);
    for (size_t i = 0; i < uri->n_parameters; i++)
        require(strcmp(again.parameters[i].value, uri->parameters[i].value) == 0);
    uri_deinit(&again);
}

static void check_routes(const struct uri *uri)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PATCH", "DELETE", "BREW"};

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const char *arguments[REQUEST_MAX_ARGUMENTS] = {};
        struct problem problem = {};
        BUFFER_AUTO struct buffer allow = {};
        const struct route *route = routes_find(methods[i], uri, arguments, &allow);

        require(!route || uri->n_segments <= URI_MAX_SEGMENTS);
        require(!route || !strchr(route->pattern, '{') || (arguments[0] && *arguments[0]));
        if (route && uri_check_parameters(uri, route->parameters, &problem))
            fuzz_check_problem(&problem);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MEMORY_AUTO char *raw = memory_strndup((const char *)data, size);
    struct problem problem = {};
    struct uri uri;

    if (uri_parse(&uri, raw, &problem)) {
        fuzz_check_problem(&problem);
    } else {
        check_routes(&uri);
        if (uri.n_segments <= URI_MAX_SEGMENTS)
            check_encoded(&uri);
    }
    uri_deinit(&uri);
    return 0;
}
