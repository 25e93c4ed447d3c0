/* SPDX-License-Identifier: MIT */
/* Finds and opens libxgboost, and turns what it says into failures, warnings and lists of unused parameters.
 */
#include "worker/xgboost/xgboost_library.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"

#define XGBOOST_OLDEST "1.7"

/* Names of unused parameters, gathered by the log callback, which has no argument of its own. */
static struct {
    size_t n_names;
    char **names; /* owned; NULL-terminated */
} unused;

static void *open_one(const char *path, char **found, struct buffer *error)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle)
        *found = memory_strdup(path);
    else
        buffer_printf(error, "  %s\n", dlerror());
    return handle;
}

static void *open_system(char **found, struct buffer *error)
{
    static const char *const names[] = {"libxgboost.so.3", "libxgboost.so.0", "libxgboost.so", NULL};
    void *handle = NULL;
    for (const char *const *name = names; *name && !handle; name++)
        handle = open_one(*name, found, error);
    return handle;
}

static void *open_matching(const char *pattern, char **found, struct buffer *error)
{
    void *handle = NULL;
    glob_t matches = {0};
    if (glob(pattern, 0, NULL, &matches) == 0)
        for (size_t i = 0; i < matches.gl_pathc && !handle; i++)
            handle = open_one(matches.gl_pathv[i], found, error);
    else
        buffer_printf(error, "  %s: there is none\n", pattern);
    globfree(&matches);
    return handle;
}

/* A Python environment: its xgboost package, or conda's library. */
static void *open_environment(const char *prefix, char **found, struct buffer *error)
{
    static const char *const places[] = {"lib/python3.*/site-packages/xgboost/lib/libxgboost.so",
                                         "lib/libxgboost.so", NULL};
    void *handle = NULL;
    for (const char *const *place = places; prefix && *place && !handle; place++) {
        BUFFER_AUTO struct buffer pattern = {0};
        buffer_printf(&pattern, "%s/%s", prefix, *place);
        handle = open_matching(pattern.data, found, error);
    }
    return handle;
}

static void *open_first(char **found, struct buffer *error)
{
    const char *const prefixes[] = {getenv("VIRTUAL_ENV"), getenv("CONDA_PREFIX"), "/databricks/python3"};
    void *handle = open_system(found, error);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes && !handle; i++)
        handle = open_environment(prefixes[i], found, error);
    return handle;
}

static int find_functions(struct xgboost_library *library, void *handle, struct buffer *error)
{
#define X(type, name, parameters)                                                                      \
    if (!(library->name = (type(*) parameters)dlsym(handle, #name))) {                                 \
        buffer_printf(error,                                                                           \
                      "%s has no function " #name ": XGBoost " XGBOOST_OLDEST " or later is needed\n", \
                      library->path);                                                                  \
        return -1;                                                                                     \
    }
    XGBOOST_FUNCTIONS(X)
#undef X
    return 0;
}

static void add_unused(const char *name, size_t size)
{
    unused.names = memory_resize(unused.names, unused.n_names + 2, sizeof *unused.names);
    unused.names[unused.n_names++] = memory_strndup(name, size);
    unused.names[unused.n_names] = NULL;
}

char **xgboost_library_take_unused(void)
{
    char **names = unused.names;
    unused.names = NULL;
    unused.n_names = 0;
    return names;
}

void xgboost_library_free_names(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

/* The text behind "[12:00:00] WARNING: ../src/learner.cc:767: ", and its line's end. */
static const char *first_line(const char *text, size_t *size)
{
    if (*text == '[' && strstr(text, "] "))
        text = strstr(text, "] ") + 2;
    const char *place = strstr(text, ".cc:");
    if (!place)
        place = strstr(text, ".cu:");
    if (!place)
        place = strstr(text, ".h:");
    const char *behind = place ? strstr(place, ": ") : NULL;
    if (behind && !memchr(text, '\n', (size_t)(behind - text)))
        text = behind + 2;
    text += strspn(text, " \n");
    *size = strcspn(text, "\n");
    return text;
}

/* A line of the library's log. `Parameters: { "a", "b" } are not used.` is taken apart, the rest goes to our
 * log. */
static void on_log(const char *message)
{
    const char *names = strstr(message, "Parameters: {");
    const char *end = names ? strstr(names, "} are not used") : NULL;
    if (end) {
        for (const char *p = strchr(names, '"'); p && p < end; p = strchr(p, '"')) {
            size_t size = strcspn(++p, "\"");
            add_unused(p, size);
            p += size + 1;
        }
        return;
    }
    size_t size;
    const char *line = first_line(message, &size);
    log_warning("xgboost: %.*s", (int)size, line);
}

static bool is_built_with_cuda(const struct xgboost_library *library)
{
    const char *json;
    if (library->XGBuildInfo(&json) != 0)
        return false;
    const char *value = strstr(json, "\"USE_CUDA\"");
    return value && strncmp(value + strcspn(value, ":"), ":true", 5) == 0;
}

int xgboost_library_open(struct xgboost_library *library, const char *path, struct buffer *error)
{
    *library = (struct xgboost_library){0};
    BUFFER_AUTO struct buffer tried = {0};
    /* Versions after 1.7 (3.2, say) would cap nthread by it, which the spec decides; OpenMP reads it when
     * loaded. */
    unsetenv("OMP_NUM_THREADS");
    void *handle = path ? open_one(path, &library->path, &tried) : open_first(&library->path, &tried);
    if (!handle) {
        buffer_printf(
            error,
            "no usable libxgboost was found. Tried:\n%sInstall it (apt-get install libxgboost0, or "
            "pip install xgboost in an activated virtual environment), or name it with --libxgboost PATH\n",
            buffer_text(&tried));
        return -1;
    }
    if (find_functions(library, handle, error) < 0)
        return -1;
    int patch;
    library->XGBoostVersion(&library->major, &library->minor, &patch);
    snprintf(library->version, sizeof library->version, "%d.%d.%d", library->major, library->minor, patch);
    library->has_cuda = is_built_with_cuda(library);
    library->XGBRegisterLogCallback(on_log);
    return 0;
}

int xgboost_library_fail(const struct xgboost_library *library, const char *doing, struct failure *failure)
{
    static const char *const memory_texts[] = {"Memory allocation error", "cudaErrorMemoryAllocation",
                                               "out of memory", "bad_alloc"};
    const char *text = library->XGBGetLastError();
    enum trial_failure kind = FAILURE_OBJECTIVE;
    for (size_t i = 0; i < sizeof memory_texts / sizeof *memory_texts; i++)
        if (strstr(text, memory_texts[i]))
            kind = FAILURE_OOM;
    size_t size;
    const char *line = first_line(text, &size);
    return failure_set(failure, kind, "XGBoost %s cannot %s: %.*s", library->version, doing, (int)size, line);
}
