/* SPDX-License-Identifier: MIT */
/* The token file, and behind a NUL an Authorization header: only who has a token of the file has a role. */
#include <string.h>
#include <strings.h>

#include "daemon/http/auth.h"
#include "proto/memory.h"
#include "proto/require.h"
#include "tests/fuzz/fuzz.h"

static struct auth *load(const struct buffer *file)
{
    struct problem problem = {};
    char path[FUZZ_PATH_SIZE];

    fuzz_put_file(buffer_text(file), file->size, path);

    struct auth *auth = auth_load(path, &problem);

    if (!auth)
        fuzz_check_problem(&problem);
    return auth;
}

/* One more token, and it opens. */
static void check_token(struct buffer *file)
{
    unsigned char hash[AUTH_HASH_SIZE];

    auth_hash("sesame", 6, hash);
    buffer_append_text(file, "\nadmin ");
    for (size_t i = 0; i < sizeof hash; i++)
        buffer_printf(file, "%02x", hash[i]);
    buffer_append_char(file, '\n');

    struct auth *auth = load(file);

    require(auth && auth_access(auth, "Bearer sesame").role == ROLE_ADMIN);
    auth_unref(auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    BUFFER_AUTO struct buffer file = {};
    size_t file_size = strnlen((const char *)data, size);
    MEMORY_AUTO char *header =
        file_size < size ? memory_strndup((const char *)data + file_size + 1, size - file_size - 1) : NULL;

    buffer_append(&file, data, file_size);

    struct auth *auth = load(&file);

    if (auth) {
        require(auth_access(auth, NULL).role == ROLE_NONE);
        require(auth_access(auth, header).role == ROLE_NONE || strncasecmp(header, "Bearer ", 7) == 0);
        check_token(&file);
    }
    auth_unref(auth);
    return 0;
}
