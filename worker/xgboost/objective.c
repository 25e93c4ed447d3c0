/* SPDX-License-Identifier: MIT */
/* Reads the objective of a study that names the runner xgboost. */
#include "worker/xgboost/objective.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proto/json_read.h"
#include "proto/memory.h"
#include "worker/xgboost/parameters.h"

#define DEFAULT_TEST_SIZE 0.2
#define DEFAULT_SPLIT_SEED 42
#define DEFAULT_REPORT_EVERY 10

void objective_put_help(struct buffer *out)
{
    buffer_append_text(
        out, "  data          path of a CSV file of numbers with a line of names (required)\n"
             "  label         name of the column to predict, or its index from 0 (required)\n"
             "  delimiter     one character; default \",\"\n"
             "  test_size     share of the rows that validate; default 0.2\n"
             "  split_seed    which rows those are; default 42\n"
             "  metric        one of XGBoost's evaluation metrics; default: that of its objective\n"
             "  report_every  rounds between two reports; default 10, the last round is always reported\n"
             "  params        XGBoost's parameters that are not searched; tree_method is hist where none is "
             "given\n");
}

static void read_delimiter(struct json_reader *reader, struct objective *objective)
{
    const char *text = json_read_string(reader, "delimiter", ",");
    unsigned char c = (unsigned char)text[0];
    if (c == '\0' || text[1] != '\0' || c >= 0x80 || isalnum(c) || strchr("\"+-.\r\n", c))
        json_read_fail(reader, "delimiter", "must be one character such as \",\", \";\", \"|\" or \"\\t\"");
    else
        objective->delimiter = text[0];
}

static void read_label(struct json_reader *reader, struct objective *objective)
{
    json_t *label = json_read_any(reader, "label");
    if (json_is_string(label))
        objective->label_name = memory_strdup(json_string_value(label));
    else if (json_is_integer(label) && json_integer_value(label) >= 0)
        objective->label_index = (size_t)json_integer_value(label);
    else
        json_read_fail(reader, "label", "must be the name of a column of the data, or its index from 0");
}

static void read_params(struct json_reader *reader, struct objective *objective)
{
    json_t *params = json_read_any(reader, "params");
    if (params && !json_is_object(params))
        json_read_fail(reader, "params", "must be an object of XGBoost's parameters: {\"nthread\": 2}");
    else
        objective->params = params ? json_incref(params) : json_object();
}

/* `eval_metric` among the parameters is a second name of `metric`. */
static int take_eval_metric(struct objective *objective, struct failure *failure)
{
    json_t *named = json_object_get(objective->params, "eval_metric");
    if (!named)
        return 0;
    if (objective->metric || !json_is_string(named))
        return failure_set(
            failure, FAILURE_OBJECTIVE,
            "objective.params.eval_metric: say \"metric\": \"%s\" in the objective; one metric is used",
            objective->metric ? objective->metric : "rmse");
    objective->metric = memory_strdup(json_string_value(named));
    json_t *rest = json_copy(objective->params);
    json_object_del(rest, "eval_metric");
    json_decref(objective->params);
    objective->params = rest;
    return 0;
}

int objective_read(struct objective *objective, json_t *json, struct failure *failure)
{
    *objective = (struct objective){0};
    struct problem problem = {0};
    struct json_reader reader;
    json_reader_open(&reader, json, "objective", &problem);
    json_read_has(&reader, "runner");
    objective->data = memory_strdup(json_read_required_string(&reader, "data"));
    read_label(&reader, objective);
    read_delimiter(&reader, objective);
    objective->test_size = json_read_number(&reader, "test_size", 0, 1, DEFAULT_TEST_SIZE);
    objective->split_seed = (uint64_t)json_read_int(&reader, "split_seed", 0, INT64_MAX, DEFAULT_SPLIT_SEED);
    objective->metric = memory_strdup(json_read_string(&reader, "metric", NULL));
    objective->report_every =
        (int)json_read_int(&reader, "report_every", 1, PARAMETERS_MAX_ROUNDS, DEFAULT_REPORT_EVERY);
    read_params(&reader, objective);
    if (json_reader_close(&reader) < 0)
        return failure_set(failure, FAILURE_OBJECTIVE, "%s", problem.detail);
    return take_eval_metric(objective, failure);
}

void objective_deinit(struct objective *objective)
{
    free(objective->data);
    free(objective->label_name);
    free(objective->metric);
    json_decref(objective->params);
    *objective = (struct objective){0};
}
