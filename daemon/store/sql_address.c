/* SPDX-License-Identifier: MIT */
/* Takes Optuna's storage URLs apart. */
#include "daemon/store/sql_address.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/sql.h"
#include "proto/memory.h"

#define DEFAULT_PORT 3306

static const struct {
    const char *scheme;
    const struct sql_driver *driver;
} schemes[] = {
    {"mysql", &sql_mysql},   {"mysql+pymysql", &sql_mysql}, {"mysql+mysqldb", &sql_mysql},
    {"mariadb", &sql_mysql}, {"sqlite", &sql_sqlite},
};

/* Decodes %XX. NULL for text that is not valid or holds a NUL. */
static char *percent_decode(const char *text, size_t size)
{
    char *out = memory_new(size + 1);
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '%') {
            out[n++] = text[i];
            continue;
        }
        char hex[3] = {i + 1 < size ? text[i + 1] : 0, i + 2 < size ? text[i + 2] : 0, 0};
        int c = isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])
                    ? (int)strtol(hex, NULL, 16)
                    : 0;
        if (c == 0) {
            free(out);
            return NULL;
        }
        out[n++] = (char)c;
        i += 2;
    }
    return out;
}

/* Stores the decoded part where it is not empty. 0 or -1. */
static int set_part(char **member, const char *text, size_t size)
{
    if (size == 0)
        return 0;
    *member = percent_decode(text, size);
    return *member ? 0 : -1;
}

static int read_port(struct sql_address *address, const char *text, size_t size)
{
    MEMORY_AUTO char *digits = memory_strndup(text, size);
    char *end;
    unsigned long port = strtoul(digits, &end, 10);
    if (*end || port < 1 || port > 65535 || !isdigit((unsigned char)digits[0]))
        return -1;
    address->port = (unsigned)port;
    return 0;
}

/* user:password@host:port */
static int read_authority(struct sql_address *address, const char *text, size_t size)
{
    const char *at = memrchr(text, '@', size);
    if (at) {
        size_t login_size = (size_t)(at - text);
        const char *colon = memchr(text, ':', login_size);
        size_t user_size = colon ? (size_t)(colon - text) : login_size;
        if (set_part(&address->user, text, user_size) < 0 ||
            (colon && set_part(&address->password, colon + 1, login_size - user_size - 1) < 0))
            return -1;
        size -= login_size + 1;
        text = at + 1;
    }
    const char *bracket = size && text[0] == '[' ? memchr(text, ']', size) : NULL; /* [::1] */
    const char *tail = bracket ? bracket + 1 : memchr(text, ':', size);
    size_t host_size = tail ? (size_t)(tail - text) : size;
    size_t skip = bracket ? 1 : 0;
    if (set_part(&address->host, text + skip, host_size - 2 * skip) < 0)
        return -1;
    if (!tail || host_size == size)
        return 0;
    return *tail == ':' ? read_port(address, tail + 1, size - host_size - 1) : -1;
}

static int refuse_no_database(struct problem *problem)
{
    return problem_set(problem, PROBLEM_INVALID, "store",
                       "The store's URL names no database; write mysql://user@host/DATABASE or "
                       "mysql://user@host/DATABASE?unix_socket=PATH.");
}

/* database?unix_socket=PATH&charset=... (the charset is ours to choose, and so ignored). */
static int read_database(struct sql_address *address, const char *text, struct problem *problem)
{
    size_t size = strcspn(text, "?");
    if (size == 0)
        return refuse_no_database(problem);
    if (set_part(&address->database, text, size) < 0)
        return problem_set(problem, PROBLEM_INVALID, "store",
                           "The database's name in the store's URL is not valid.");
    for (const char *key = text + size; *key; key += strcspn(key, "&")) {
        key++;
        size_t key_size = strcspn(key, "=&");
        const char *value = key + key_size + (key[key_size] == '=');
        if (strncmp(key, "unix_socket", key_size) == 0 && key_size == strlen("unix_socket")) {
            if (set_part(&address->socket, value, strcspn(value, "&")) < 0)
                return problem_set(problem, PROBLEM_INVALID, "store",
                                   "unix_socket in the store's URL is not valid.");
        } else if (strncmp(key, "charset", key_size) != 0 || key_size != strlen("charset")) {
            return problem_set(
                problem, PROBLEM_INVALID, "store",
                "The store's URL has an unknown option '%.*s'; known are unix_socket and charset.",
                (int)key_size, key);
        }
    }
    return 0;
}

static int read_server(struct sql_address *address, const char *rest, struct problem *problem)
{
    size_t size = strcspn(rest, "/?");
    if (read_authority(address, rest, size) < 0)
        return problem_set(problem, PROBLEM_INVALID, "store",
                           "The store's URL is not of the form mysql://user:password@host:port/database.");
    if (rest[size] != '/')
        return refuse_no_database(problem);
    return read_database(address, rest + size + 1, problem);
}

/* sqlite:////absolute, sqlite:///relative */
static int read_file(struct sql_address *address, const char *rest, struct problem *problem)
{
    const char *path = rest + 1;
    if (rest[0] != '/' || path[0] == '\0' || strcmp(path, ":memory:") == 0 || strchr(path, '?'))
        return problem_set(
            problem, PROBLEM_INVALID, "store",
            "The store's URL names no file: sqlite:////absolute/path.db or sqlite:///relative/path.db.");
    address->path = memory_strdup(path);
    return 0;
}

static void put_server(struct buffer *name, const struct sql_address *address)
{
    const char *host = address->host ? address->host : "localhost";
    buffer_append_text(name, "mysql://");
    if (address->user)
        buffer_printf(name, "%s@", address->user);
    buffer_printf(name, strchr(host, ':') ? "[%s]" : "%s", host);
    if (address->port && address->port != DEFAULT_PORT)
        buffer_printf(name, ":%u", address->port);
    buffer_printf(name, "/%s", address->database);
    if (address->socket)
        buffer_printf(name, "?unix_socket=%s", address->socket);
}

static void name_address(struct sql_address *address)
{
    struct buffer name = {0};
    if (address->path)
        buffer_printf(&name, "sqlite:///%s", address->path);
    else
        put_server(&name, address);
    address->name = buffer_take(&name);
}

int sql_address_read(struct sql_address *address, const char *url, const char *password,
                     struct problem *problem)
{
    *address = (struct sql_address){0};
    const char *separator = strstr(url, "://");
    for (size_t i = 0; separator && i < sizeof schemes / sizeof *schemes; i++)
        if (strlen(schemes[i].scheme) == (size_t)(separator - url) &&
            strncmp(url, schemes[i].scheme, (size_t)(separator - url)) == 0)
            address->driver = schemes[i].driver;
    if (!address->driver)
        return problem_set(problem, PROBLEM_INVALID, "store",
                           "The store's URL must begin with mysql:// or sqlite:// "
                           "(mysql://user@host/database, sqlite:////path/to/file.db).");
    const char *rest = separator + strlen("://");
    int result = address->driver == &sql_sqlite ? read_file(address, rest, problem)
                                                : read_server(address, rest, problem);
    if (result < 0)
        return -1;
    if (password) {
        free(address->password);
        address->password = memory_strdup(password);
    }
    name_address(address);
    return 0;
}

void sql_address_deinit(struct sql_address *address)
{
    free(address->path);
    free(address->user);
    if (address->password)
        explicit_bzero(address->password, strlen(address->password));
    free(address->password);
    free(address->host);
    free(address->database);
    free(address->socket);
    free(address->name);
    *address = (struct sql_address){0};
}
