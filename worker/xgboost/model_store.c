/* SPDX-License-Identifier: MIT */
/* Keeps the best model of each study. */
#include "worker/xgboost/model_store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/json_write.h"

static int fail(struct buffer *error, const char *doing, const char *path)
{
    buffer_printf(error, "cannot %s %s: %s", doing, path, strerror(errno));
    return -1;
}

/* DIR/<study>: a character that means something in a path is written %2F. */
static void put_study_dir(struct buffer *path, const char *dir, const char *study)
{
    buffer_printf(path, "%s/", dir);
    for (const char *p = study; *p; p++) {
        bool is_plain = isalnum((unsigned char)*p) || *p == '_' || *p == '-' || (*p == '.' && p > study);
        buffer_printf(path, is_plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
}

static int make_dir(const char *dir, const char *study_dir, struct buffer *error)
{
    if (mkdir(dir, 0777) < 0 && errno != EEXIST)
        return fail(error, "make", dir);
    if (mkdir(study_dir, 0777) < 0 && errno != EEXIST)
        return fail(error, "make", study_dir);
    struct stat status;
    if (lstat(study_dir, &status) == 0 && !S_ISDIR(status.st_mode)) {
        buffer_printf(error, "%s is no directory, and a link is not followed out of model_dir", study_dir);
        return -1;
    }
    return 0;
}

/* A file system without locks is used without: each file is still replaced whole. */
static int lock_dir(const char *study_dir)
{
    BUFFER_AUTO struct buffer path = {0};
    buffer_printf(&path, "%s/.lock", study_dir);
    int fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    return fd;
}

static bool is_better(const struct model_record *record, const json_t *best)
{
    const json_t *value = json_object_get(best, "value");
    if (!json_is_number(value) ||
        !json_equal(json_object_get(best, "objective"), json_object_get(record->details, "objective")) ||
        !json_equal(json_object_get(best, "data"), json_object_get(record->details, "data")))
        return true;
    double difference = record->value - json_number_value(value);
    return record->is_maximized ? difference > 0 : difference < 0;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return fsync(fd);
}

/* Written beside its place, then renamed: there is never half a file. */
static int replace_file(const char *path, const char *bytes, size_t size, struct buffer *error)
{
    BUFFER_AUTO struct buffer part = {0};
    buffer_printf(&part, "%s.%ld.part", path, (long)getpid());
    int fd = open(part.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return fail(error, "create", part.data);
    int status = write_all(fd, bytes, size);
    close(fd);
    if (status == 0 && rename(part.data, path) == 0)
        return 0;
    fail(error, "write", path);
    unlink(part.data);
    return -1;
}

/* A member a line; numbers read back equal. */
static void put_readable(const json_t *object, struct buffer *out)
{
    const char *key, *separator = "{\n  ";
    json_t *value;
    json_object_foreach ((json_t *)object, key, value) {
        struct json_writer name, content;
        buffer_append_text(out, separator);
        json_writer_init(&name, out);
        json_put_string(&name, key);
        buffer_append_text(out, ": ");
        json_writer_init(&content, out);
        json_put_value(&content, value);
        separator = ",\n  ";
    }
    buffer_append_text(out, "\n}\n");
}

static int write_best(const char *study_dir, const struct model_record *record, const char *model,
                      struct buffer *error)
{
    BUFFER_AUTO struct buffer path = {0};
    buffer_printf(&path, "%s/best.json", study_dir);
    json_t *best = json_pack("{s:s, s:I, s:s, s:f}", "study", record->study, "trial",
                             (json_int_t)record->number, "model", model, "value", record->value);
    json_object_update(best, record->details);
    BUFFER_AUTO struct buffer text = {0};
    put_readable(best, &text);
    int status = replace_file(path.data, text.data, text.size, error);
    json_decref(best);
    return status;
}

static bool is_ours(const char *name)
{
    return (strncmp(name, "trial-", 6) == 0 && strstr(name, ".ubj")) ||
           (strncmp(name, "best.json.", 10) == 0 && strstr(name, ".part"));
}

/* The model before this one, and what runners that were killed have left: nobody else writes here now. */
static void remove_others(const char *study_dir, const char *model)
{
    DIR *dir = opendir(study_dir);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (is_ours(entry->d_name) && strcmp(entry->d_name, model) != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

/* The model first, then best.json that names it, then all others go. */
static int replace_best(const char *study_dir, const struct model_record *record, const char *bytes,
                        size_t size, struct buffer *path, struct buffer *error)
{
    char model[48];
    snprintf(model, sizeof model, "trial-%" PRId64 ".ubj", record->number);
    buffer_printf(path, "%s/%s", study_dir, model);
    if (replace_file(path->data, bytes, size, error) < 0 || write_best(study_dir, record, model, error) < 0) {
        buffer_clear(path);
        return -1;
    }
    remove_others(study_dir, model);
    return 1;
}

int model_store_save(const char *dir, const struct model_record *record, model_bytes_cb *get_bytes,
                     void *context, struct buffer *path, struct buffer *error)
{
    BUFFER_AUTO struct buffer study_dir = {0}, best_path = {0};
    put_study_dir(&study_dir, dir, record->study);
    if (make_dir(dir, study_dir.data, error) < 0)
        return -1;
    int lock_fd = lock_dir(study_dir.data);
    buffer_printf(&best_path, "%s/best.json", study_dir.data);
    json_t *best = json_load_file(best_path.data, 0, NULL);
    int status = 0;
    const char *bytes;
    size_t size;
    if (is_better(record, best)) {
        status = get_bytes(context, &bytes, &size);
        if (status < 0)
            buffer_append_text(error, "the library does not give the model");
        else
            status = replace_best(study_dir.data, record, bytes, size, path, error);
    }
    json_decref(best);
    if (lock_fd >= 0)
        close(lock_fd);
    return status;
}
