/* SPDX-License-Identifier: MIT */
/* Reads, extends and asks the token file. */
#include "daemon/http/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "proto/buffer.h"
#include "proto/memory.h"
#include "proto/require.h"

#define MAX_LINE 1024
#define MAX_STUDIES 900 /* bytes of a list, so that its line is no longer than that */

const char *const role_names[] = {"none", "reader", "worker", "admin", NULL};

struct auth {
    size_t n_refs;
    size_t n_tokens;
    struct token {
        enum role role;
        unsigned char hash[AUTH_HASH_SIZE];
        struct scope *scope; /* owned; or NULL */
    } * tokens;              /* owned */
};

void auth_hash(const void *data, size_t size, unsigned char hash[AUTH_HASH_SIZE])
{
    require(gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, hash) == 0);
}

/* ROLE_NONE for a name that is no role. */
static enum role role_from_name(const char *name)
{
    for (enum role role = ROLE_READER; role <= ROLE_ADMIN; role++)
        if (strcmp(role_names[role], name) == 0)
            return role;
    return ROLE_NONE;
}

static bool hash_from_hex(const char *hex, unsigned char hash[AUTH_HASH_SIZE])
{
    if (strlen(hex) != 2 * AUTH_HASH_SIZE || strspn(hex, "0123456789abcdefABCDEF") != 2 * AUTH_HASH_SIZE)
        return false;
    for (size_t i = 0; i < AUTH_HASH_SIZE; i++)
        sscanf(hex + 2 * i, "%2hhx", &hash[i]);
    return true;
}

/* ---- the file ---- */

/* The next word, behind which `rest` goes on; "" where there is none. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    char *end = word + strcspn(word, " \t");

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static bool is_known(const struct auth *auth, const struct token *token)
{
    for (size_t i = 0; i < auth->n_tokens; i++)
        if (memcmp(auth->tokens[i].hash, token->hash, sizeof token->hash) == 0)
            return true;
    return false;
}

/* What stands behind the hash. A slip of the pen there must not make a token that may see everything: a
 * comment holds no '='. */
static int read_scope(struct token *token, char *rest, struct problem *problem, const char *path, int number)
{
    static const char key[] = "studies=";
    struct problem reason = {};

    for (char *word; *(word = next_word(&rest));) {
        if (strncmp(word, key, strlen(key)) == 0 && !token->scope)
            token->scope = scope_read(word + strlen(key), &reason);
        else if (strchr(word, '='))
            problem_set(&reason, PROBLEM_INVALID, "",
                        "\"%.40s\" is not understood: behind the hash may stand studies=LIST once, and a "
                        "comment without =",
                        word);
        if (reason.type != PROBLEM_NONE)
            return problem_set(problem, PROBLEM_INVALID, "token_file", "%s:%d: %s", path, number,
                               reason.detail);
    }
    return 0;
}

static int read_line(struct auth *auth, char *line, struct problem *problem, const char *path, int number)
{
    struct token token = {};
    char *rest = line, *name, *hash;

    line[strcspn(line, "\r\n")] = '\0';
    name = next_word(&rest);
    if (!*name || *name == '#')
        return 0;
    hash = next_word(&rest);
    token.role = role_from_name(name);
    if (token.role == ROLE_NONE)
        return problem_set(problem, PROBLEM_INVALID, "token_file",
                           "%s:%d: a line begins with reader, worker or admin, not with \"%.40s\"", path,
                           number, name);
    if (!hash_from_hex(hash, token.hash))
        return problem_set(
            problem, PROBLEM_INVALID, "token_file",
            "%s:%d: behind the role stands the SHA-256 of the token, 64 hexadecimal digits; studyd "
            "--new-token ROLE writes such a line",
            path, number);
    if (is_known(auth, &token))
        return problem_set(problem, PROBLEM_INVALID, "token_file",
                           "%s:%d: this token stands on an earlier line; it has one role, and one line", path,
                           number);
    if (read_scope(&token, rest, problem, path, number)) {
        scope_free(token.scope);
        return -1;
    }
    auth->tokens = memory_resize(auth->tokens, auth->n_tokens + 1, sizeof auth->tokens[0]);
    auth->tokens[auth->n_tokens++] = token;
    return 0;
}

static int read_lines(struct auth *auth, FILE *file, const char *path, struct problem *problem)
{
    char line[MAX_LINE];

    for (int number = 1; fgets(line, sizeof line, file); number++) {
        if (!strchr(line, '\n') && !feof(file))
            return problem_set(problem, PROBLEM_INVALID, "token_file",
                               "%s:%d: the line is longer than %d bytes", path, number, MAX_LINE - 2);
        if (read_line(auth, line, problem, path, number))
            return -1;
    }
    if (auth->n_tokens == 0)
        return problem_set(
            problem, PROBLEM_INVALID, "token_file",
            "%s holds no token, so nobody could enter; studyd --token-file %s --new-token admin makes one",
            path, path);
    return 0;
}

/* --new-token has made it for its own user, who often is root. */
static void refuse_file(const char *path, int error, struct problem *problem)
{
    const char *remedy = error == EACCES   ? "; chgrp it to studyd's group, and chmod 640"
                         : error == ENOENT ? "; studyd --token-file FILE --new-token admin makes it"
                                           : "";

    problem_set(problem, PROBLEM_INVALID, "token_file", "cannot read the token file %s: %s%s", path,
                strerror(error), remedy);
}

struct auth *auth_load(const char *path, struct problem *problem)
{
    FILE *file = fopen(path, "re");

    if (!file) {
        refuse_file(path, errno, problem);
        return NULL;
    }

    struct auth *auth = memory_new(sizeof *auth);

    auth->n_refs = 1;
    if (read_lines(auth, file, path, problem)) {
        auth_unref(auth);
        auth = NULL;
    }
    fclose(file);
    return auth;
}

struct auth *auth_ref(struct auth *auth)
{
    if (auth)
        auth->n_refs++;
    return auth;
}

void auth_unref(struct auth *auth)
{
    if (!auth || --auth->n_refs > 0)
        return;
    for (size_t i = 0; i < auth->n_tokens; i++)
        scope_free(auth->tokens[i].scope);
    free(auth->tokens);
    free(auth);
}

/* ---- a request ---- */

struct access auth_access(const struct auth *auth, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    unsigned char hash[AUTH_HASH_SIZE];
    struct access access = {.role = ROLE_NONE};

    if (!auth)
        return (struct access){.role = ROLE_ADMIN};
    if (!authorization || strncasecmp(authorization, scheme, strlen(scheme)) != 0)
        return access;
    authorization += strlen(scheme);
    auth_hash(authorization, strlen(authorization), hash);
    /* All are compared, each in constant time: how long it takes tells nothing. */
    for (size_t i = 0; i < auth->n_tokens; i++)
        if (gnutls_memcmp(auth->tokens[i].hash, hash, sizeof hash) == 0)
            access = (struct access){.role = auth->tokens[i].role, .scope = auth->tokens[i].scope};
    return access;
}

/* ---- a new token ---- */

static void put_hex(const unsigned char *bytes, size_t size, char *hex)
{
    for (size_t i = 0; i < size; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
}

/* Ends the last line first, where an editor left it open. */
static bool append(int file, const char *line)
{
    char last = '\n';
    off_t end = lseek(file, 0, SEEK_END);

    if (end > 0 && pread(file, &last, 1, end - 1) != 1)
        return false;
    if (last != '\n' && write(file, "\n", 1) != 1)
        return false;
    return write(file, line, strlen(line)) == (ssize_t)strlen(line) && fsync(file) == 0;
}

static bool is_scope(const char *studies, struct problem *problem)
{
    struct scope *scope = scope_read(studies, problem);

    scope_free(scope);
    return scope;
}

int auth_add_token(const char *path, const char *role, const char *studies, char token[AUTH_TOKEN_SIZE],
                   struct problem *problem)
{
    unsigned char bytes[(AUTH_TOKEN_SIZE - 1) / 2], hash[AUTH_HASH_SIZE];
    char hex[2 * AUTH_HASH_SIZE + 1];
    BUFFER_AUTO struct buffer line = {};

    if (role_from_name(role) == ROLE_NONE)
        return problem_set(problem, PROBLEM_INVALID, "new_token",
                           "--new-token must be reader, worker or admin, and is \"%.40s\"", role);
    if (studies && !is_scope(studies, problem))
        return -1;
    if (studies && strlen(studies) > MAX_STUDIES)
        return problem_set(problem, PROBLEM_INVALID, "for_studies",
                           "--for-studies has more than %d bytes; make several tokens", MAX_STUDIES);

    int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0)
        return problem_set(problem, PROBLEM_INVALID, "token_file", "cannot open the token file %s: %s", path,
                           strerror(errno));
    require(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
    put_hex(bytes, sizeof bytes, token);
    auth_hash(token, strlen(token), hash);
    put_hex(hash, sizeof hash, hex);
    buffer_printf(&line, "%s %s%s%s\n", role, hex, studies ? " studies=" : "", studies ? studies : "");

    bool is_written = append(file, buffer_text(&line));
    int error = errno;

    close(file);
    return is_written ? 0
                      : problem_set(problem, PROBLEM_INVALID, "token_file",
                                    "cannot write to the token file %s: %s", path, strerror(error));
}
