/* SPDX-License-Identifier: MIT */
/* Unit tests of the messages of ask/tell: what is read, refused, and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "proto/message.h"

#define LEASE "0123456789abcdef0123456789abcdef"

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    if (!json)
        fail_msg("no JSON: %s", text);
    return json;
}

/* Reads `text` with a reader that must accept it. */
#define READ(read, message, text, ...)                                   \
    do {                                                                 \
        json_auto_t *json = parse(text);                                 \
        struct problem problem = {};                                     \
        if (read(&(message), json __VA_OPT__(, ) __VA_ARGS__, &problem)) \
            fail_msg("%s: %s", text, problem.detail);                    \
    } while (0)

/* Writes a message and demands this text. */
#define ASSERT_WRITES(write, message, text)           \
    do {                                              \
        BUFFER_AUTO struct buffer out = {};           \
        struct json_writer writer;                    \
        json_writer_init(&writer, &out);              \
        write(&(message), &writer);                   \
        assert_string_equal(buffer_text(&out), text); \
    } while (0)

struct refusal {
    const char *text, *field, *words;
};

static void assert_refused(const struct refusal *refusal, int result, const struct problem *problem)
{
    if (result == 0)
        fail_msg("%s: accepted", refusal->text);
    assert_int_equal(problem->type, PROBLEM_INVALID);
    assert_string_equal(problem->field, refusal->field);
    if (!strstr(problem->detail, refusal->words))
        fail_msg("%s: \"%s\" does not say \"%s\"", refusal->text, problem->detail, refusal->words);
}

/* Each of `cases` must be refused, and what was read so far freed. */
#define ASSERT_REFUSES(read, deinit, type, cases, ...)                          \
    for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++) {           \
        json_auto_t *json = parse((cases)[i].text);                             \
        struct problem problem = {};                                            \
        type message;                                                           \
        int result = read(&message, json __VA_OPT__(, ) __VA_ARGS__, &problem); \
        assert_refused(&(cases)[i], result, &problem);                          \
        deinit(&message);                                                       \
    }

/* ---- ask ---- */

/* An empty object asks for one trial at once. */
static void test_ask_defaults(void **)
{
    struct ask_message ask;

    READ(ask_message_read, ask, "{}", false);
    assert_string_equal(ask.worker, "");
    assert_int_equal(ask.count, 1);
    assert_true(ask.wait_s == 0);
    assert_null(ask.request_id);
    assert_null(ask.runners);
    ask_message_deinit(&ask);
    ask_message_deinit(&ask); /* safe on a zeroed struct */
}

/* What is written reads back. */
static void test_ask_round_trip(void **)
{
    static const char text[] =
        "{\"worker\":\"node1/gpu0 é\",\"count\":100,\"wait_s\":30.5,\"request_id\":\"r 1~\","
        "\"runners\":[\"xgboost\"],\"except\":[\"wine\"]}";
    struct ask_message ask;

    READ(ask_message_read, ask, text, true);
    assert_int_equal(ask.count, 100);
    ASSERT_WRITES(ask_message_write, ask, text);
    ask_message_deinit(&ask);
}

/* Counts, waits, names and ids have limits; `runners` and `except` go with the ask of all studies only. */
static void test_ask_refuses(void **)
{
    static const struct refusal of_one[] = {
        {"[]", "", "must be an object"},
        {"{\"count\": 0}", "count", "from 1 to 100"},
        {"{\"count\": 101}", "count", "from 1 to 100"},
        {"{\"wait_s\": 61}", "wait_s", "from 0 to 60"},
        {"{\"wait\": 1}", "wait", "did you mean wait_s?"},
        {"{\"request_id\": \"\"}", "request_id", "1 to 64"},
        {"{\"request_id\": \"é\"}", "request_id", "ASCII"},
        {"{\"request_id\": \"12345678901234567890123456789012345678901234567890123456789012345\"}",
         "request_id", "1 to 64"},
        {"{\"worker\": \"a\\nb\"}", "worker", "\\x0a"},
        {"{\"worker\": 1}", "worker", "must be a string"},
        {"{\"runners\": [\"xgboost\"]}", "runners", "unknown key"},
        {"{\"except\": [\"wine\"]}", "except", "unknown key"},
    };
    static const struct refusal of_all[] = {
        {"{\"runners\": []}", "runners", "left out it means any"},
        {"{\"runners\": [1]}", "runners", "names"},
        {"{\"runners\": \"xgboost\"}", "runners", "array"},
        {"{\"except\": [null]}", "except", "0 to 1000 studies' names"},
    };

    ASSERT_REFUSES(ask_message_read, ask_message_deinit, struct ask_message, of_one, false);
    ASSERT_REFUSES(ask_message_read, ask_message_deinit, struct ask_message, of_all, true);
}

/* An answer of two trials, one of a named study, goes through both codecs unchanged. */
static void test_ask_reply(void **)
{
    static const char text[] =
        "{\"state\":\"running\",\"trials\":[{\"number\":7,\"params\":{\"x\":0.5},\"lease\":\"" LEASE
        "\",\"lease_s\":60.0,\"attempt\":1},{\"study\":\"wine\",\"number\":8,\"params\":{},\"lease\":\"" LEASE
        "\",\"lease_s\":1.5,\"attempt\":3}]}";
    struct ask_reply_message reply;

    READ(ask_reply_message_read, reply, text);
    assert_int_equal(reply.n_offers, 2);
    assert_null(reply.offers[0].study);
    assert_int_equal(reply.offers[1].attempt, 3);
    ASSERT_WRITES(ask_reply_message_write, reply, text);
    ask_reply_message_deinit(&reply);

    READ(ask_reply_message_read, reply,
         "{\"state\": \"waiting\", \"trials\": [], \"news\": 1}"); /* answers may grow */
    assert_int_equal(reply.n_offers, 0);
    ask_reply_message_deinit(&reply);
}

/* An answer that lacks what a worker needs is refused. */
static void test_ask_reply_refuses(void **)
{
    static const struct refusal cases[] = {
        {"{}", "state", "is missing"},
        {"{\"state\": \"running\", \"trials\": [{}]}", "trials.number", "is missing"},
        {"{\"state\": \"running\", \"trials\": [{\"number\": 1}]}", "trials.params", "is missing"},
        {"{\"state\": \"running\", \"trials\": [{\"number\": 1, \"params\": {}, \"lease_s\": 1, \"lease\": "
         "\"0\"}]}",
         "trials.lease", "32 hex digits"},
    };

    ASSERT_REFUSES(ask_reply_message_read, ask_reply_message_deinit, struct ask_reply_message, cases);
}

/* ---- report ---- */

/* One point stands as step and value, and a value may be any double. */
static void test_report_point(void **)
{
    struct report_message report;

    READ(report_message_read, report, "{\"lease\": \"" LEASE "\", \"step\": 2147483647, \"value\": \"NaN\"}");
    assert_int_equal(report.n_points, 1);
    assert_int_equal(report.points[0].step, 2147483647);
    assert_true(isnan(report.points[0].value));
    ASSERT_WRITES(report_message_write, report,
                  "{\"lease\":\"" LEASE "\",\"step\":2147483647,\"value\":\"NaN\"}");
    report_message_deinit(&report);
}

/* Many points come out in ascending order of their steps. */
static void test_report_points(void **)
{
    struct report_message report;

    READ(report_message_read, report,
         "{\"lease\": \"" LEASE
         "\", \"intermediate_values\": {\"10\": 1, \"9\": 0.5, \"0\": \"-Infinity\"}}");
    assert_int_equal(report.n_points, 3);
    ASSERT_WRITES(report_message_write, report,
                  "{\"lease\":\"" LEASE
                  "\",\"intermediate_values\":{\"0\":\"-Infinity\",\"9\":0.5,\"10\":1.0}}");
    report_message_deinit(&report);
}

/* A step has one spelling, a report one form. */
static void test_report_refuses(void **)
{
#define VALUES(members) "{\"lease\": \"" LEASE "\", \"intermediate_values\": " members "}"
    static const struct refusal cases[] = {
        {"{\"step\": 1, \"value\": 1}", "lease", "is missing"},
        {"{\"lease\": \"" LEASE "0\", \"step\": 1, \"value\": 1}", "lease", "32 hex digits"},
        {"{\"lease\": \"ABCDEF6789abcdef0123456789abcdef\", \"step\": 1, \"value\": 1}", "lease",
         "32 hex digits"},
        {"{\"lease\": \"" LEASE "\"}", "step", "is missing"},
        {"{\"lease\": \"" LEASE "\", \"step\": 1}", "value", "must be a number"},
        {"{\"lease\": \"" LEASE "\", \"step\": -1, \"value\": 1}", "step", "from 0 to 2147483647"},
        {"{\"lease\": \"" LEASE "\", \"step\": 1, \"value\": \"high\"}", "value", "\"NaN\""},
        {"{\"lease\": \"" LEASE "\", \"value\": 1, \"intermediate_values\": {\"1\": 1}}",
         "intermediate_values", "cannot stand beside"},
        {VALUES("{}"), "intermediate_values", "1 to 10000"},
        {VALUES("[1]"), "intermediate_values", "must be an object"},
        {VALUES("{\"\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"01\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"+1\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"1.0\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"2147483648\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"99999999999999999999\": 1}"), "intermediate_values", "is no step"},
        {VALUES("{\"5\": null}"), "intermediate_values", "step 5"},
    };

    ASSERT_REFUSES(report_message_read, report_message_deinit, struct report_message, cases);
#undef VALUES
}

/* The answers to report and heartbeat are read by one reader. */
static void test_report_reply(void **)
{
    static const char text[] = "{\"prune\":true,\"lease_s\":60.0,\"state\":\"paused\"}";
    struct report_reply_message reply;

    READ(report_reply_message_read, reply, text);
    assert_true(reply.prune);
    ASSERT_WRITES(report_reply_message_write, reply, text);
    report_reply_message_deinit(&reply);

    BUFFER_AUTO struct buffer beat = {};
    struct json_writer beat_writer;

    json_writer_init(&beat_writer, &beat);
    heartbeat_reply_write(30, "running", &beat_writer);
    assert_string_equal(buffer_text(&beat), "{\"lease_s\":30.0,\"state\":\"running\"}");
    READ(report_reply_message_read, reply, buffer_text(&beat));
    assert_false(reply.prune);
    assert_true(reply.lease_s == 30);
    assert_string_equal(reply.state, "running");
    report_reply_message_deinit(&reply);
}

/* A heartbeat is its lease. */
static void test_heartbeat(void **)
{
    static const struct refusal cases[] = {
        {"{}", "lease", "is missing"}, {"{\"lease\": \"" LEASE "\", \"step\": 1}", "step", "unknown key"}};
    struct heartbeat_message heartbeat;

    READ(heartbeat_message_read, heartbeat, "{\"lease\": \"" LEASE "\"}");
    ASSERT_WRITES(heartbeat_message_write, heartbeat, "{\"lease\":\"" LEASE "\"}");
    heartbeat_message_deinit(&heartbeat);
    ASSERT_REFUSES(heartbeat_message_read, heartbeat_message_deinit, struct heartbeat_message, cases);
}

/* ---- tell ---- */

/* A value alone is a complete trial; a NaN is let through, for the study to judge. */
static void test_tell_value(void **)
{
    struct tell_message tell;

    READ(tell_message_read, tell, "{\"lease\": \"" LEASE "\", \"value\": 0.5}");
    assert_int_equal(tell.state, TRIAL_COMPLETE);
    assert_int_equal(tell.n_values, 1);
    assert_true(tell.values[0] == 0.5);
    tell_message_deinit(&tell);

    READ(tell_message_read, tell, "{\"lease\": \"" LEASE "\", \"state\": \"complete\", \"value\": \"NaN\"}");
    assert_true(isnan(tell.values[0]));
    tell_message_deinit(&tell);
}

/* Every kind of outcome goes through both codecs unchanged. */
static void test_tell_round_trip(void **)
{
    static const char *const texts[] = {
        "{\"lease\":\"" LEASE "\",\"state\":\"complete\",\"values\":[1.0,\"Infinity\"],"
        "\"user_attrs\":{\"best_iteration\":311},\"constraints\":[-1.0,0.0]}",
        "{\"lease\":\"" LEASE "\",\"state\":\"pruned\"}",
        "{\"lease\":\"" LEASE "\",\"state\":\"fail\",\"class\":\"oom\",\"reason\":\"killed by the kernel\"}",
        "{\"lease\":\"" LEASE "\",\"state\":\"waiting\",\"reason\":\"the worker stops\"}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct tell_message tell;

        READ(tell_message_read, tell, texts[i]);
        ASSERT_WRITES(tell_message_write, tell, texts[i]);
        tell_message_deinit(&tell);
    }
}

/* A failure without a class is the objective's. */
static void test_tell_default_class(void **)
{
    struct tell_message tell;

    READ(tell_message_read, tell, "{\"lease\": \"" LEASE "\", \"state\": \"fail\"}");
    assert_int_equal(tell.failure, FAILURE_OBJECTIVE);
    tell_message_deinit(&tell);
}

/* Outcomes that say two things, or half of one, are refused. */
static void test_tell_refuses(void **)
{
#define TELL(members) "{\"lease\": \"" LEASE "\", " members "}"
    static const struct refusal cases[] = {
        {"{\"value\": 1}", "lease", "is missing"},
        {"{\"lease\": \"" LEASE "\"}", "state", "is missing"},
        {TELL("\"state\": \"complete\""), "values", "needs \"value\""},
        {TELL("\"state\": \"running\", \"value\": 1"), "state",
         "\"complete\", \"pruned\", \"fail\", \"waiting\""},
        {TELL("\"value\": 1, \"values\": [1]"), "value", "cannot stand beside"},
        {TELL("\"value\": 1, \"values\": [\"x\"]"), "value", "cannot stand beside"},
        {TELL("\"values\": []"), "values", "array of 1 to 32"},
        {TELL("\"values\": [1, \"x\"]"), "values", "number 2"},
        {TELL("\"value\": \"1\""), "value", "must be a number"},
        {TELL("\"state\": \"fail\", \"value\": 1"), "values", "\"fail\" cannot have values"},
        {TELL("\"state\": \"waiting\", \"value\": 1"), "values", "\"waiting\" cannot have values"},
        {TELL("\"state\": \"pruned\", \"value\": 2.5"), "values",
         "a trial told as \"pruned\" cannot have values; its value is its last report"},
        {TELL("\"state\": \"pruned\", \"class\": \"oom\""), "class", "\"fail\" only"},
        {TELL("\"state\": \"fail\", \"class\": \"bug\""), "class", "\"objective\", \"nan\", \"oom\""},
        {TELL("\"value\": 1, \"user_attrs\": []"), "user_attrs", "must be an object"},
        {TELL("\"value\": 1, \"user_attrs\": {\"\": 1}"), "user_attrs", "1 to 512"},
        {TELL("\"value\": 1, \"constraints\": 1"), "constraints", "array of 0 to 1000"},
        {TELL("\"value\": 1, \"constraints\": [0, \"NaN\"]"), "constraints", "number 2 is NaN"},
        {TELL("\"value\": 1, \"attrs\": {}"), "attrs", "unknown key"},
    };

    ASSERT_REFUSES(tell_message_read, tell_message_deinit, struct tell_message, cases);
#undef TELL
}

/* An attribute has the size of its JSON in ASCII, which is how it may be stored; the limit is exact. */
static void test_tell_attr_size(void **)
{
    for (int extra = 0; extra <= 1; extra++) {
        MEMORY_AUTO char *text = memory_new(100000);
        struct tell_message tell;
        struct problem problem = {};

        /* two quotes, zeros, and one é that becomes six bytes */
        sprintf(text, "{\"lease\": \"" LEASE "\", \"value\": 1, \"user_attrs\": {\"k\": \"é%0*d\"}}",
                60000 - 2 - 6 + extra, 0);
        json_auto_t *json = parse(text);
        assert_int_equal(tell_message_read(&tell, json, &problem), -extra);
        if (extra)
            assert_non_null(strstr(problem.detail, "\"k\" has 60001 bytes"));
        tell_message_deinit(&tell);
    }
}

/* The writer cuts a long reason between two characters, and the reader takes what is left. */
static void test_tell_long_reason(void **)
{
    char reason[3001] = "x";
    struct tell_message tell = {.lease = LEASE, .state = TRIAL_FAIL, .reason = reason}, again;
    BUFFER_AUTO struct buffer out = {};
    struct json_writer writer;

    while (strlen(reason) < 2900)
        strcat(reason, "é");
    json_writer_init(&writer, &out);
    tell_message_write(&tell, &writer);
    READ(tell_message_read, again, buffer_text(&out));
    assert_int_equal(strlen(again.reason), MESSAGE_MAX_REASON - 1);
    tell_message_deinit(&again);
}

/* The answer to a tell goes through both codecs unchanged. */
static void test_tell_reply(void **)
{
    static const char *const texts[] = {
        "{\"number\":7,\"state\":\"waiting\",\"best\":true}",
        "{\"number\":7,\"state\":\"fail\",\"best\":false,\"reason\":\"nan: it is NaN\"}"};

    for (size_t i = 0; i < 2; i++) {
        struct tell_reply_message reply;

        READ(tell_reply_message_read, reply, texts[i]);
        assert_int_equal(reply.state, i ? TRIAL_FAIL : TRIAL_WAITING);
        ASSERT_WRITES(tell_reply_message_write, reply, texts[i]);
        tell_reply_message_deinit(&reply);
    }
}

/* ---- enqueue ---- */

/* params must be there and may be empty. */
static void test_enqueue(void **)
{
    static const struct refusal cases[] = {
        {"{}", "params", "is missing"},
        {"{\"params\": [1]}", "params", "must be an object"},
        {"{\"params\": {}, \"number\": 1}", "number", "the known keys are params, user_attrs, request_id"},
        {"{\"params\": {}, \"user_attrs\": 1}", "user_attrs", "must be an object"},
    };
    struct enqueue_message enqueue;

    READ(enqueue_message_read, enqueue,
         "{\"params\": {}, \"user_attrs\": {\"from\": \"me\"}, \"request_id\": \"e1\"}");
    assert_int_equal(json_object_size(enqueue.params), 0);
    assert_int_equal(json_object_size(enqueue.user_attrs), 1);
    assert_string_equal(enqueue.request_id, "e1");
    enqueue_message_deinit(&enqueue);
    ASSERT_REFUSES(enqueue_message_read, enqueue_message_deinit, struct enqueue_message, cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_defaults),       cmocka_unit_test(test_ask_round_trip),
        cmocka_unit_test(test_ask_refuses),        cmocka_unit_test(test_ask_reply),
        cmocka_unit_test(test_ask_reply_refuses),  cmocka_unit_test(test_report_point),
        cmocka_unit_test(test_report_points),      cmocka_unit_test(test_report_refuses),
        cmocka_unit_test(test_report_reply),       cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_tell_value),         cmocka_unit_test(test_tell_round_trip),
        cmocka_unit_test(test_tell_default_class), cmocka_unit_test(test_tell_refuses),
        cmocka_unit_test(test_tell_attr_size),     cmocka_unit_test(test_tell_long_reason),
        cmocka_unit_test(test_tell_reply),         cmocka_unit_test(test_enqueue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
