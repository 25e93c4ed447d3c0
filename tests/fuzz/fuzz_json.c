/* SPDX-License-Identifier: MIT */
/* The JSON codec: what it reads, it writes so that the same comes back; a reader of it answers or refuses. */
#include <string.h>

#include "proto/json_read.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

static void check_round_trip(const json_t *value)
{
    BUFFER_AUTO struct buffer first = {}, second = {};

    fuzz_put_json(&first, value);

    json_auto_t *again = fuzz_parse_own(&first);

    require(json_equal(value, again));
    fuzz_put_json(&second, again);
    require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
}

/* Members of each kind, as handlers ask for them. */
static void check_reader(json_t *value)
{
    static const char *const choices[] = {"running", "paused", NULL};
    struct problem problem = {};
    struct json_reader reader;

    json_reader_open(&reader, value, "body", &problem);

    int64_t whole = json_read_int(&reader, "i", -5, 1000, 7);
    double number = json_read_number(&reader, "d", -1.5, 1e10, 0);
    int choice = json_read_choice(&reader, "c", choices, 0);

    json_read_string(&reader, "s", NULL);
    json_read_required_string(&reader, "r");
    json_read_bool(&reader, "b", true);
    require(whole >= -5 && whole <= 1000);
    require(number >= -1.5 && number <= 1e10);
    require(choice == 0 || choice == 1);
    if (json_reader_close(&reader))
        fuzz_check_problem(&problem);
    else
        require(problem.type == PROBLEM_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {};
    json_auto_t *value = json_parse((const char *)data, size, &problem);

    if (!value) {
        fuzz_check_problem(&problem);
        return 0;
    }
    check_round_trip(value);
    check_reader(value);
    return 0;
}
