/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: bearer tokens and their roles.
 *
 * The token file holds a line per token: role, SHA-256 of the token in hex, where it is held to some studies
 * studies=LIST, and a comment. So whoever reads the file cannot act; a token itself has 256 random bits,
 * which is why a plain hash is enough.
 */
#pragma once

#include <stddef.h>

#include "daemon/http/scope.h"
#include "proto/problem.h"

/* Each may what those before it may. */
enum role { ROLE_NONE, ROLE_READER, ROLE_WORKER, ROLE_ADMIN };
extern const char *const role_names[]; /* "none", "reader", "worker", "admin", NULL */

#define AUTH_TOKEN_SIZE 65 /* 64 hex digits and NUL */
#define AUTH_HASH_SIZE 32

/* What somebody may. */
struct access {
    enum role role;            /* ROLE_NONE: no token, or none that we know */
    const struct scope *scope; /* of the auth; NULL: all studies */
};

struct auth; /* counts who holds it: requests outlive a reload */

/* NULL with `problem` where the file cannot be read, a line is not valid, or there is no token in it. */
[[nodiscard]] struct auth *auth_load(const char *path, struct problem *problem);
struct auth *auth_ref(struct auth *auth); /* NULL is fine, here and below */
void auth_unref(struct auth *auth);
/* What an Authorization header (or NULL) gives. Without tokens (`auth` NULL) everybody is admin. */
struct access auth_access(const struct auth *auth, const char *authorization);
/* Draws a token, and appends its hash to the file, which is created where absent. `role` is reader, worker or
 * admin; `studies` as scope_read() takes it, or NULL. 0, or -1 with `problem`. */
[[nodiscard]] int auth_add_token(const char *path, const char *role, const char *studies,
                                 char token[AUTH_TOKEN_SIZE], struct problem *problem);
/* SHA-256. */
void auth_hash(const void *data, size_t size, unsigned char hash[AUTH_HASH_SIZE]);
