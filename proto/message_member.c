/* SPDX-License-Identifier: MIT */
/* Members that several messages have. */
#include "proto/message_member.h"

#include <string.h>

#include "proto/memory.h"
#include "proto/message.h"
#include "proto/spec.h"

#define MAX_ATTR_BYTES 60000
#define MAX_ATTR_KEY 512 /* Optuna's column */

char *message_read_lease(struct json_reader *reader)
{
    const char *lease = json_read_required_string(reader, "lease");

    if (strlen(lease) != MESSAGE_LEASE_SIZE - 1 ||
        strspn(lease, "0123456789abcdef") != MESSAGE_LEASE_SIZE - 1)
        json_read_fail(reader, "lease", "must be the %d hex digits that ask gave", MESSAGE_LEASE_SIZE - 1);
    return memory_strdup(lease);
}

double message_read_lease_s(struct json_reader *reader)
{
    return json_read_required_number(reader, "lease_s", 0, SPEC_MAX_LEASE_S);
}

char *message_read_request_id(struct json_reader *reader)
{
    const char *id = json_read_string(reader, "request_id", NULL);

    if (!id)
        return NULL;

    size_t length = strlen(id);
    bool is_printable = true;

    for (const char *c = id; *c; c++)
        is_printable &= *c >= 0x20 && *c < 0x7f;
    if (length < 1 || length > MESSAGE_MAX_REQUEST_ID || !is_printable)
        json_read_fail(reader, "request_id", "must be 1 to %d printable ASCII characters",
                       MESSAGE_MAX_REQUEST_ID);
    return memory_strdup(id);
}

json_t *message_read_object(struct json_reader *reader, const char *key)
{
    json_t *object = json_read_any(reader, key);

    if (object && !json_is_object(object))
        json_read_fail(reader, key, "must be an object, {...}");
    return json_incref(object);
}

/* Each attribute becomes a row of its own; what counts is its size with ASCII escapes, as Optuna writes. */
json_t *message_read_user_attrs(struct json_reader *reader)
{
    json_t *attrs = message_read_object(reader, "user_attrs"), *value;
    const char *key;

    json_object_foreach (attrs, key, value) {
        size_t size = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

        if (!*key || strlen(key) > MAX_ATTR_KEY)
            json_read_fail(reader, "user_attrs", "a key has %zu bytes; it must have 1 to %d", strlen(key),
                           MAX_ATTR_KEY);
        else if (size > MAX_ATTR_BYTES)
            json_read_fail(reader, "user_attrs", "\"%.80s\" has %zu bytes as JSON; %d are the limit", key,
                           size, MAX_ATTR_BYTES);
    }
    return attrs;
}

void message_read_number(struct json_reader *reader, const char *key, double *number)
{
    if (json_to_double(json_read_any(reader, key), number))
        json_read_fail(reader, key, "must be " MESSAGE_A_NUMBER);
}

void message_put_optional_value(struct json_writer *writer, const char *key, const json_t *value)
{
    if (value)
        json_member_value(writer, key, value);
}
