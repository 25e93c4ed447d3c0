/* SPDX-License-Identifier: MIT */
/* The study spec: what is accepted is written, stored and read again as the same study. */
#include "daemon/sampler/sampler.h"
#include "proto/json_read.h"
#include "proto/require.h"
#include "proto/spec.h"
#include "tests/fuzz/fuzz.h"

static struct spec *read_spec(json_t *json)
{
    struct problem problem = {};
    struct spec *spec = spec_read(json, 7, &problem);

    if (spec && sampler_complete_spec(spec, &problem)) {
        spec_free(spec);
        spec = NULL;
    }
    if (!spec)
        fuzz_check_problem(&problem);
    return spec;
}

/* As a daemon reads it from its database. */
static void check_stored(const struct spec *spec)
{
    BUFFER_AUTO struct buffer text = {};
    json_auto_t *json = spec_to_json(spec);

    fuzz_put_json(&text, json);

    json_auto_t *again_json = fuzz_parse_own(&text);
    struct spec *again = read_spec(again_json);

    require(again && spec_equal(spec, again) && spec->seed == again->seed);
    require(spec_trial_seed(spec, 3) == spec_trial_seed(again, 3) && spec_trial_seed(spec, 3) <= INT32_MAX);
    spec_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {};
    json_auto_t *json = json_parse((const char *)data, size, &problem);

    if (!json)
        return 0;

    struct spec *spec = read_spec(json);

    if (spec)
        check_stored(spec);
    spec_free(spec);
    return 0;
}
