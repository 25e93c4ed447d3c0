/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/json_read.h"
#include "proto/json_write.h"
#include "proto/require.h"

void fuzz_check_problem(const struct problem *problem)
{
    json_auto_t *detail = json_string(problem->detail), *field = json_string(problem->field);

    require(problem->type > PROBLEM_NONE && problem->type < PROBLEM_N_TYPES);
    require(problem->detail[0]);
    require(detail && field); /* json_string() takes UTF-8 alone */
}

void fuzz_put_json(struct buffer *out, const json_t *value)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_put_value(&writer, value);
    require(writer.depth == 0);
}

json_t *fuzz_parse_own(const struct buffer *text)
{
    struct problem problem = {};
    json_t *value = json_parse(buffer_text(text), text->size, &problem);

    require(value);
    return value;
}

/* A file in memory, where there is one; study-xgboost follows no link, as one of /proc would be. */
void fuzz_put_file(const void *data, size_t size, char path[FUZZ_PATH_SIZE])
{
    static char name[FUZZ_PATH_SIZE];
    static int file = -1;

    if (file < 0) {
        const char *parent = getenv("TMPDIR");

        snprintf(name, sizeof name, "%s/fuzz-file-XXXXXX", parent ? parent : "/dev/shm");
        file = mkostemp(name, O_CLOEXEC);
    }
    require(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    memcpy(path, name, FUZZ_PATH_SIZE);
}
