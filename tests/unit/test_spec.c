/* SPDX-License-Identifier: MIT */
/* Unit tests of the study spec: defaults, refusals, round trip, seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/spec.h"

#define SPACE "\"space\": {\"x\": {\"type\": \"float\", \"low\": 0, \"high\": 1}}"

static struct spec *read_spec(const char *text, uint64_t drawn_seed, struct problem *problem)
{
    json_auto_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    *problem = (struct problem){};
    return spec_read(json, drawn_seed, problem);
}

static struct spec *read_good(const char *text, uint64_t drawn_seed)
{
    struct problem problem;
    struct spec *spec = read_spec(text, drawn_seed, &problem);

    if (!spec)
        fail_msg("%s: %s", text, problem.detail);
    return spec;
}

static void assert_spec_text(const struct spec *spec, const char *text)
{
    json_auto_t *json = spec_to_json(spec);
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    json_writer_init(&writer, &out);
    json_put_value(&writer, json);
    assert_string_equal(buffer_text(&out), text);
}

/* Name and space are all that is needed; the rest has defaults, and the drawn seed is written down. */
static void test_defaults(void **)
{
    struct spec *spec = read_good("{\"name\": \"s\", " SPACE "}", 77);

    assert_int_equal(spec->n_directions, 1);
    assert_int_equal(spec->directions[0], DIRECTION_MINIMIZE);
    assert_true(spec->seed == 77 && spec->seed_is_drawn);
    assert_int_equal(spec->max_trials, -1);
    assert_int_equal(spec->max_failed_trials, -1);
    assert_true(spec->max_seconds == -1 && spec->trial_timeout_s == -1);
    assert_null(spec->runner);
    assert_spec_text(spec, "{\"name\":\"s\",\"directions\":[\"minimize\"],"
                           "\"space\":{\"x\":{\"type\":\"float\",\"low\":0.0,\"high\":1.0,\"log\":false}},"
                           "\"sampler\":{\"type\":\"tpe\",\"seed\":77},\"pruner\":{\"type\":\"nop\"},"
                           "\"lease_s\":60.0,\"retries\":2}");
    spec_free(spec);
    spec_free(NULL);
}

static const char whole[] =
    "{\"objective\": {\"data\": \"wine\", \"runner\": \"xgboost\", \"params\": {\"device\": \"cuda\"}},"
    " \"name\": \"wine-1._\", \"directions\": [\"maximize\", \"minimize\"], " SPACE ","
    " \"sampler\": {\"n_startup_trials\": 5, \"type\": \"random\", \"seed\": 42},"
    " \"pruner\": {\"n_warmup_steps\": 20, \"type\": \"median\"},"
    " \"max_trials\": 100, \"max_seconds\": 3600, \"lease_s\": 30, \"retries\": 0, \"trial_timeout_s\": 0.5,"
    " \"max_failed_trials\": 7}";

/* All that was given is kept, what is not ours to read included, in one order of keys; it reads back equal.
 */
static void test_whole(void **)
{
    struct spec *spec = read_good(whole, 77);
    json_auto_t *json = spec_to_json(spec);
    struct problem problem = {};
    struct spec *again = spec_read(json, 88, &problem);

    assert_int_equal(spec->n_directions, 2);
    assert_int_equal(spec->directions[0], DIRECTION_MAXIMIZE);
    assert_true(spec->seed == 42 && !spec->seed_is_drawn);
    assert_int_equal(spec->max_trials, 100);
    assert_int_equal(spec->max_failed_trials, 7);
    assert_true(spec->max_seconds == 3600 && spec->lease_s == 30 && spec->trial_timeout_s == 0.5);
    assert_int_equal(spec->retries, 0);
    assert_string_equal(spec->runner, "xgboost");
    assert_spec_text(
        spec, "{\"name\":\"wine-1._\",\"directions\":[\"maximize\",\"minimize\"],"
              "\"space\":{\"x\":{\"type\":\"float\",\"low\":0.0,\"high\":1.0,\"log\":false}},"
              "\"sampler\":{\"type\":\"random\",\"n_startup_trials\":5,\"seed\":42},"
              "\"pruner\":{\"type\":\"median\",\"n_warmup_steps\":20},"
              "\"max_trials\":100,\"max_failed_trials\":7,\"max_seconds\":3600.0,\"trial_timeout_s\":0.5,"
              "\"lease_s\":30.0,\"retries\":0,"
              "\"objective\":{\"data\":\"wine\",\"runner\":\"xgboost\",\"params\":{\"device\":\"cuda\"}}}");
    assert_non_null(again);
    assert_true(spec_equal(spec, again));
    spec_free(spec);
    spec_free(again);
}

/* A drawn seed equals any; a given one only itself; everything else counts. */
static void test_equal(void **)
{
    struct spec *drawn = read_good("{\"name\": \"s\", " SPACE "}", 1);
    struct spec *seeded = read_good("{\"name\": \"s\", \"sampler\": {\"seed\": 2}, " SPACE "}", 0);
    struct spec *other_seed = read_good("{\"name\": \"s\", \"sampler\": {\"seed\": 3}, " SPACE "}", 0);
    struct spec *longer =
        read_good("{\"name\": \"s\", \"sampler\": {\"seed\": 2}, \"max_trials\": 5, " SPACE "}", 0);

    assert_true(spec_equal(drawn, seeded));
    assert_true(spec_equal(other_seed, drawn));
    assert_false(spec_equal(seeded, other_seed));
    assert_false(spec_equal(seeded, longer));
    assert_int_equal(seeded->seed, 2); /* comparing changes nothing */
    spec_free(drawn);
    spec_free(seeded);
    spec_free(other_seed);
    spec_free(longer);
}

/* Each mistake is named at its place, with what would be right. */
static void test_refuses(void **)
{
    static const char *const cases[][3] = {
        {"[]", "", "must be an object"},
        {"{" SPACE "}", "name", "is missing"},
        {"{\"name\": \"a b\", " SPACE "}", "name", "A-Z, a-z, 0-9"},
        {"{\"name\": \"\", " SPACE "}", "name", "1 to 255"},
        {"{\"name\": \"..\", " SPACE "}", "name", "URL"},
        {"{\"name\": \"s\"}", "space", "{\"type\": \"float\""},
        {"{\"name\": \"s\", \"space\": {}}", "space", "1 to 1000"},
        {"{\"name\": \"s\", \"direction\": \"maximize\", " SPACE "}", "direction",
         "did you mean directions?"},
        {"{\"name\": \"s\", \"directions\": [], " SPACE "}", "directions", "1 to 32"},
        {"{\"name\": \"s\", \"directions\": \"minimize\", " SPACE "}", "directions", "array"},
        {"{\"name\": \"s\", \"directions\": [\"minimize\", \"max\"], " SPACE "}", "directions", "number 2"},
        {"{\"study_name\": \"s\", " SPACE "}", "study_name", "did you mean name? The known keys are name, "},
        {"{\"nmae\": \"s\"}", "nmae", "did you mean name?"},
        {"{\"name\": \"s\", \"timeout\": 60, " SPACE "}", "timeout", "did you mean max_seconds?"},
        {"{\"name\": \"s\", \"maxFailedTrialCount\": 3, " SPACE "}", "maxFailedTrialCount",
         "did you mean max_failed_trials?"},
        {"{\"name\": \"s\", \"search_space\": {}}", "search_space", "did you mean space?"},
        {"{\"sampler\": [], \"nmae\": \"s\", " SPACE "}", "nmae", "did you mean name?"},
        {"{\"name\": 1, \"nmae\": \"s\", " SPACE "}", "name", "must be a string"},
        {"{\"name\": \"s\", \"sampler\": [], " SPACE "}", "sampler", "must be an object"},
        {"{\"name\": \"s\", \"sampler\": \"tpe\", " SPACE "}", "sampler", "such as {\"type\": \"tpe\"}"},
        {"{\"name\": \"s\", \"sampler\": \"RandomSampler\", " SPACE "}", "sampler",
         "such as {\"type\": \"random\"}"},
        {"{\"name\": \"s\", \"pruner\": \"median\", " SPACE "}", "pruner", "such as {\"type\": \"median\"}"},
        {"{\"name\": \"s\", \"sampler\": {\"type\": 1}, " SPACE "}", "sampler.type", "must be a string"},
        {"{\"name\": \"s\", \"sampler\": {\"seed\": -1}, " SPACE "}", "sampler.seed",
         "from 0 to 9007199254740991"},
        {"{\"name\": \"s\", \"pruner\": [], " SPACE "}", "pruner", "must be an object"},
        {"{\"name\": \"s\", \"max_trials\": 0, " SPACE "}", "max_trials",
         "from 1 to 2147483647, or null (or left out) for no limit, and is 0"},
        {"{\"name\": \"s\", \"max_failed_trials\": -1, " SPACE "}", "max_failed_trials", "or null"},
        {"{\"name\": \"s\", \"trial_timeout_s\": 0, " SPACE "}", "trial_timeout_s",
         "or null (or left out) for no limit, and is 0"},
        {"{\"name\": \"s\", \"max_seconds\": 0, " SPACE "}", "max_seconds", "from 0.001"},
        {"{\"name\": \"s\", \"trial_timeout_s\": 0, " SPACE "}", "trial_timeout_s", "from 0.001"},
        {"{\"name\": \"s\", \"max_failed_trials\": 0, " SPACE "}", "max_failed_trials", "from 1"},
        {"{\"name\": \"s\", \"lease_s\": 0.5, " SPACE "}", "lease_s", "from 1 to 86400"},
        {"{\"name\": \"s\", \"retries\": 1001, " SPACE "}", "retries", "from 0 to 1000"},
        {"{\"name\": \"s\", \"determinism\": {\"lag\": 8}, " SPACE "}", "determinism",
         "not supported by this version"},
        {"{\"name\": \"s\", \"objective\": {}, " SPACE "}", "objective.runner", "is missing"},
        {"{\"name\": \"s\", \"objective\": {\"runner\": \"rm -rf\"}, " SPACE "}", "objective.runner", "A-Z"},
        {"{\"name\": \"s\", \"objective\": [], " SPACE "}", "objective", "must be an object"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problem problem = {};
        json_auto_t *json = json_loads(cases[i][0], 0, NULL);

        assert_null(spec_read(json, 0, &problem));
        assert_int_equal(problem.type, PROBLEM_INVALID);
        assert_string_equal(problem.field, cases[i][1]);
        if (!strstr(problem.detail, cases[i][2]))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], problem.detail, cases[i][2]);
    }
}

/* A spec that holds so many zeros. */
static struct spec *read_filled(int n_zeros, struct problem *problem)
{
    BUFFER_AUTO struct buffer text = {};

    buffer_printf(&text, "{\"name\": \"s\", " SPACE ", \"objective\": {\"runner\": \"r\", \"f\": \"%0*d\"}}",
                  n_zeros, 0);
    return read_spec(buffer_text(&text), 7, problem);
}

/* A spec has to fit the database's column, to the byte. */
static void test_size(void **)
{
    struct problem problem;
    struct spec *smallest = read_filled(1, &problem);
    json_auto_t *json = spec_to_json(smallest);
    BUFFER_AUTO struct buffer text = {};
    struct json_writer writer;

    json_writer_init(&writer, &text);
    json_put_value(&writer, json);

    int spare = SPEC_MAX_BYTES - (int)text.size + 1;
    struct spec *largest = read_filled(spare, &problem);

    assert_non_null(largest);
    assert_null(read_filled(spare + 1, &problem));
    assert_int_equal(problem.type, PROBLEM_TOO_LARGE);
    spec_free(smallest);
    spec_free(largest);
}

/* The runner's seed is a function of seed and number, fits 31 bits, and neighbours share none. */
static void test_trial_seed(void **)
{
    struct spec *one = read_good("{\"name\": \"s\", \"sampler\": {\"seed\": 1}, " SPACE "}", 0);
    struct spec *two = read_good("{\"name\": \"s\", \"sampler\": {\"seed\": 2}, " SPACE "}", 0);

    for (int64_t number = 0; number < 1000; number++) {
        assert_true(spec_trial_seed(one, number) <= INT32_MAX);
        assert_int_equal(spec_trial_seed(one, number), spec_trial_seed(one, number));
        assert_int_not_equal(spec_trial_seed(one, number), spec_trial_seed(one, number + 1));
        assert_int_not_equal(spec_trial_seed(one, number), spec_trial_seed(two, number));
    }
    spec_free(one);
    spec_free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_whole), cmocka_unit_test(test_equal),
        cmocka_unit_test(test_refuses),  cmocka_unit_test(test_size),  cmocka_unit_test(test_trial_seed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
