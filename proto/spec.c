/* SPDX-License-Identifier: MIT */
/* The study spec: reading it with its defaults, writing it back, comparing two. */
#include "proto/spec.h"

#include <stdlib.h>
#include <string.h>

#include "proto/memory.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define MAX_NAME 255
#define MAX_SEED ((int64_t)9007199254740991) /* 2^53-1: survives a JSON reader that knows doubles only */

const char *const direction_names[] = {
    [DIRECTION_MINIMIZE] = "minimize", [DIRECTION_MAXIMIZE] = "maximize", NULL};

int spec_check_name(const char *name, const char *field, struct problem *problem)
{
    size_t length = strlen(name);

    if (length < 1 || length > MAX_NAME || strspn(name, NAME_CHARACTERS) != length)
        return problem_set(
            problem, PROBLEM_INVALID, field,
            "%s: a name is 1 to %d characters of A-Z, a-z, 0-9, '.', '_' and '-', and this is \"%.80s\"",
            field, MAX_NAME, name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return problem_set(problem, PROBLEM_INVALID, field,
                           "%s: \"%s\" cannot be a name: it would change a URL's path", field, name);
    return 0;
}

static void read_name(struct spec *spec, struct json_reader *reader)
{
    const char *name = json_read_required_string(reader, "name");

    if (!reader->has_failed && spec_check_name(name, "name", reader->problem))
        reader->has_failed = true;
    spec->name = memory_strdup(name);
}

static void read_directions(struct spec *spec, struct json_reader *reader)
{
    const json_t *json = json_read_any(reader, "directions");

    spec->n_directions = json ? json_array_size(json) : 1;
    if (!json)
        return;
    if (spec->n_directions < 1 || spec->n_directions > SPEC_MAX_DIRECTIONS) {
        json_read_fail(reader, "directions", "must be an array of 1 to %d times \"minimize\" or \"maximize\"",
                       SPEC_MAX_DIRECTIONS);
        return;
    }
    for (size_t i = 0; i < spec->n_directions; i++) {
        const char *name = json_string_value(json_array_get(json, i));

        if (name && strcmp(name, "maximize") == 0)
            spec->directions[i] = DIRECTION_MAXIMIZE;
        else if (!name || strcmp(name, "minimize") != 0)
            json_read_fail(reader, "directions", "number %zu must be \"minimize\" or \"maximize\"", i + 1);
    }
}

/* In place of the object {"type": "tpe"} often only "tpe" is given, or Optuna's name of the class. */
static int fail_bare_type(struct json_reader *reader, const char *key, const char *type,
                          const char *const *names)
{
    const char *nearest = problem_nearest(type, names);

    return json_read_fail(reader, key,
                          "must be an object, such as {\"type\": \"%s\"}, and is the string \"%.64s\"",
                          nearest ? nearest : names[0], type);
}

/* A copy of the object at `key` that begins with its type, the first of `examples` where the creator left it
 * out. */
static json_t *read_typed(struct json_reader *reader, const char *key, const char *const *examples)
{
    json_auto_t *nothing = json_object();
    json_t *given = json_read_any(reader, key);
    json_auto_t *copy = json_deep_copy(given);
    json_t *object = json_object();
    struct json_reader inner;

    if (json_is_string(given))
        fail_bare_type(reader, key, json_string_value(given), examples);
    json_reader_open(&inner, given ? given : nothing, key, reader->problem);
    json_object_set_new(object, "type", json_string(json_read_string(&inner, "type", examples[0])));
    reader->has_failed |= inner.has_failed;
    json_object_update_missing(object, copy);
    return object;
}

static void read_sampler(struct spec *spec, struct json_reader *reader, uint64_t drawn_seed)
{
    static const char *const examples[] = {"tpe", "random", NULL};
    struct json_reader inner;

    spec->sampler = read_typed(reader, "sampler", examples);
    json_reader_open(&inner, spec->sampler, "sampler", reader->problem);
    spec->seed_is_drawn = !json_read_has(&inner, "seed");
    spec->seed = (uint64_t)json_read_int(&inner, "seed", 0, MAX_SEED, (int64_t)(drawn_seed & MAX_SEED));
    reader->has_failed |= inner.has_failed;
    json_object_set_new(spec->sampler, "seed", json_integer((json_int_t)spec->seed));
}

static void read_limits(struct spec *spec, struct json_reader *reader)
{
    spec->max_trials = json_read_int_limit(reader, "max_trials", 1, SPEC_MAX_TRIALS);
    spec->max_failed_trials = json_read_int_limit(reader, "max_failed_trials", 1, SPEC_MAX_TRIALS);
    spec->max_seconds = json_read_number_limit(reader, "max_seconds", SPEC_MIN_SECONDS, SPEC_MAX_SECONDS);
    spec->trial_timeout_s =
        json_read_number_limit(reader, "trial_timeout_s", SPEC_MIN_SECONDS, SPEC_MAX_SECONDS);
    spec->lease_s = json_read_number(reader, "lease_s", 1, SPEC_MAX_LEASE_S, SPEC_DEFAULT_LEASE_S);
    spec->retries = (unsigned)json_read_int(reader, "retries", 0, 1000, SPEC_DEFAULT_RETRIES);
}

static void read_objective(struct spec *spec, struct json_reader *reader)
{
    json_t *objective = json_read_any(reader, "objective");
    struct json_reader inner;

    if (!objective)
        return;
    json_reader_open(&inner, objective, "objective", reader->problem);

    const char *runner = json_read_required_string(&inner, "runner");

    if (inner.has_failed || spec_check_name(runner, "objective.runner", reader->problem)) {
        reader->has_failed = true;
        return;
    }
    spec->runner = memory_strdup(runner);
    spec->objective = json_deep_copy(objective);
}

static int check_size(const struct spec *spec, struct problem *problem)
{
    json_auto_t *json = spec_to_json(spec);
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    json_writer_init(&writer, &text);
    json_put_value(&writer, json);
    if (text.size <= SPEC_MAX_BYTES)
        return 0;
    return problem_set(problem, PROBLEM_TOO_LARGE, "",
                       "the spec has %zu bytes with its defaults; %d are the limit", text.size,
                       SPEC_MAX_BYTES);
}

static int read_members(struct spec *spec, json_t *json, uint64_t drawn_seed, struct problem *problem)
{
    static const char *const pruners[] = {"nop", "median", NULL};
    struct json_reader reader;

    json_reader_open(&reader, json, "", problem);
    if (json_object_get(json, "determinism"))
        return json_read_fail(
            &reader, "determinism",
            "deterministic studies are not supported by this version; leave \"determinism\" out");
    read_name(spec, &reader);
    read_directions(spec, &reader);

    json_t *space = json_read_any(&reader, "space");

    read_sampler(spec, &reader, drawn_seed);
    spec->pruner = read_typed(&reader, "pruner", pruners);
    read_limits(spec, &reader);
    read_objective(spec, &reader);
    if (json_reader_close(&reader))
        return -1;
    spec->space = space_read(space, "space", problem);
    return spec->space ? check_size(spec, problem) : -1;
}

struct spec *spec_read(json_t *json, uint64_t drawn_seed, struct problem *problem)
{
    struct spec *spec = memory_new(sizeof *spec);

    if (read_members(spec, json, drawn_seed, problem)) {
        spec_free(spec);
        return NULL;
    }
    return spec;
}

void spec_free(struct spec *spec)
{
    if (!spec)
        return;
    free(spec->name);
    space_free(spec->space);
    json_decref(spec->sampler);
    json_decref(spec->pruner);
    free(spec->runner);
    json_decref(spec->objective);
    free(spec);
}

json_t *spec_to_json(const struct spec *spec)
{
    json_t *json = json_object(), *directions = json_array();

    for (size_t i = 0; i < spec->n_directions; i++)
        json_array_append_new(directions, json_string(direction_names[spec->directions[i]]));
    json_object_set_new(json, "name", json_string(spec->name));
    json_object_set_new(json, "directions", directions);
    json_object_set_new(json, "space", space_to_json(spec->space));
    json_object_set_new(json, "sampler", json_deep_copy(spec->sampler));
    json_object_set_new(json, "pruner", json_deep_copy(spec->pruner));
    if (spec->max_trials >= 0)
        json_object_set_new(json, "max_trials", json_integer(spec->max_trials));
    if (spec->max_failed_trials >= 0)
        json_object_set_new(json, "max_failed_trials", json_integer(spec->max_failed_trials));
    if (spec->max_seconds >= 0)
        json_object_set_new(json, "max_seconds", json_real(spec->max_seconds));
    if (spec->trial_timeout_s >= 0)
        json_object_set_new(json, "trial_timeout_s", json_real(spec->trial_timeout_s));
    json_object_set_new(json, "lease_s", json_real(spec->lease_s));
    json_object_set_new(json, "retries", json_integer(spec->retries));
    if (spec->objective)
        json_object_set_new(json, "objective", json_deep_copy(spec->objective));
    return json;
}

bool spec_equal(const struct spec *a, const struct spec *b)
{
    json_auto_t *a_json = spec_to_json(a), *b_json = spec_to_json(b);

    if (a->seed_is_drawn || b->seed_is_drawn) {
        json_object_del(json_object_get(a_json, "sampler"), "seed");
        json_object_del(json_object_get(b_json, "sampler"), "seed");
    }
    return json_equal(a_json, b_json);
}

static ptrdiff_t find_name(const char *const *names, const char *name)
{
    for (ptrdiff_t i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int spec_read_type(struct json_reader *reader, const char *what, const char *const *names,
                   const char *const *lacking)
{
    const char *type = json_read_required_string(reader, "type");
    ptrdiff_t found = find_name(names, type);
    BUFFER_AUTO struct buffer known = {};

    if (found >= 0 || reader->has_failed)
        return (int)found;
    for (size_t i = 0; names[i]; i++)
        buffer_printf(&known, "%s%s", i ? ", " : "", names[i]);
    if (find_name(lacking, type) >= 0)
        return json_read_fail(reader, "type", "the %s \"%s\" is not supported by this version, which has: %s",
                              what, type, buffer_text(&known));

    const char *nearest = problem_nearest(type, names);

    return json_read_fail(reader, "type", "there is no %s \"%.64s\"%s%s%s; this version has: %s", what, type,
                          nearest ? " (did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?)" : "",
                          buffer_text(&known));
}

/* SplitMix64's finaliser: each bit of the result hangs on each bit of `x`. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint32_t spec_trial_seed(const struct spec *spec, int64_t number)
{
    return (uint32_t)(mix(mix(spec->seed) + ((uint64_t)number + 1) * 0x9e3779b97f4a7c15) >> 33);
}
