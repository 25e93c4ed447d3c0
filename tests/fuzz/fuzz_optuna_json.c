/* SPDX-License-Identifier: MIT */
/* What Python wrote into Optuna's tables: we write what we have read so that it is the same. */
#include <math.h>

#include "daemon/store/optuna_json.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

static void check_written(const json_t *value, enum optuna_json_floats floats)
{
    BUFFER_AUTO struct buffer text = {};

    optuna_json_put(&text, value, floats);
    for (size_t i = 0; i < text.size; i++)
        require(text.data[i] >= ' ' && text.data[i] <= '~');

    json_auto_t *again = optuna_json_parse(buffer_text(&text));

    require(json_equal(value, again));
}

static void check_distribution(const char *text)
{
    struct problem problem = {};
    struct distribution distribution = {}, again = {};
    BUFFER_AUTO struct buffer long_form = {};
    json_auto_t *json = optuna_json_read_distribution(text);

    if (!json)
        return;
    if (distribution_read(&distribution, json, "x", &problem) == 0) {
        optuna_json_put_distribution(&long_form, &distribution);

        json_auto_t *again_json = optuna_json_read_distribution(buffer_text(&long_form));

        require(again_json && distribution_read(&again, again_json, "x", &problem) == 0);
        require(distribution_is_compatible(&distribution, &again) && distribution.low == again.low &&
                distribution.high == again.high && distribution.step == again.step);
    } else {
        fuzz_check_problem(&problem);
    }
    distribution_deinit(&distribution);
    distribution_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    MEMORY_AUTO char *text = memory_strndup((const char *)data, size);
    json_auto_t *value = optuna_json_parse(text);

    if (!value)
        return 0;
    check_written(value, OPTUNA_JSON_STRINGS);
    check_written(value, OPTUNA_JSON_FLOATS);
    check_distribution(text);
    return 0;
}
