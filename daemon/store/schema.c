/* SPDX-License-Identifier: MIT */
/* Creates and checks the tables. */
#include "daemon/store/schema.h"

#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/memory.h"

/* Optuna's schema has kept this version from 3.2 on. */
#define SCHEMA_VERSION 12
#define ALEMBIC_VERSION "v3.2.0.a"
#define LIBRARY_VERSION "5.0.0"

#define INSERT_SCHEMA                                                                             \
    "INSERT INTO version_info (version_info_id, schema_version, library_version) VALUES (1, %d, " \
    "'" LIBRARY_VERSION "')"
#define INSERT_ALEMBIC "INSERT INTO alembic_version (version_num) VALUES ('" ALEMBIC_VERSION "')"

/* Words that the two databases spell differently; a longer word stands before its beginning. */
static const struct {
    const char *word, *mysql, *sqlite;
} words[] = {
    {"$ID", "INTEGER NOT NULL AUTO_INCREMENT", "INTEGER NOT NULL"},
    {"$DOUBLE", "FLOAT(53)", "FLOAT"},
    {"$DIRECTION", "ENUM('NOT_SET','MINIMIZE','MAXIMIZE')", "VARCHAR(8)"},
    {"$STATE", "ENUM('RUNNING','COMPLETE','PRUNED','FAIL','WAITING')", "VARCHAR(8)"},
    {"$VALUE_TYPE", "ENUM('FINITE','INF_POS','INF_NEG')", "VARCHAR(7)"},
    {"$STEP_TYPE", "ENUM('FINITE','INF_POS','INF_NEG','NAN')", "VARCHAR(7)"},
    {"$UNIQUE_NAME", ", UNIQUE INDEX ix_studies_study_name (study_name)", ""},
    {"$INDEX_STUDY", ", INDEX ix_trials_study_id (study_id)", ""},
    {"$BYTES16", "BINARY(16)", "BLOB"},
    {"$BYTES32", "BINARY(32)", "BLOB"},
    {"$END_CLUSTERED", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", ") WITHOUT ROWID"},
    {"$END", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin", ")"},
};

/* A statement runs where its table is missing. MySQL makes a table with its indexes in one step, or not at
 * all (and an index of its own would need a right of its own); SQLite has no words for that, but
 * transactions. */
static const struct {
    const char *table, *text;
    bool is_sqlite_only;
} statements[] = {
    {"studies", "CREATE TABLE studies (study_id $ID, study_name VARCHAR(512) NOT NULL, PRIMARY KEY "
                "(study_id)$UNIQUE_NAME$END"},
    {"studies", "CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name)", .is_sqlite_only = true},
    {"version_info",
     "CREATE TABLE version_info (version_info_id INTEGER NOT NULL, schema_version INTEGER, "
     "library_version VARCHAR(256), PRIMARY KEY (version_info_id), CHECK (version_info_id=1)$END"},
    {"study_directions",
     "CREATE TABLE study_directions (study_direction_id $ID, direction $DIRECTION NOT NULL, study_id INTEGER "
     "NOT NULL, "
     "objective INTEGER NOT NULL, PRIMARY KEY (study_direction_id), UNIQUE (study_id, objective), "
     "FOREIGN KEY(study_id) REFERENCES studies (study_id)$END"},
    {"study_user_attributes",
     "CREATE TABLE study_user_attributes (study_user_attribute_id $ID, study_id INTEGER, `key` VARCHAR(512), "
     "value_json TEXT, PRIMARY KEY (study_user_attribute_id), UNIQUE (study_id, `key`), "
     "FOREIGN KEY(study_id) REFERENCES studies (study_id)$END"},
    {"study_system_attributes",
     "CREATE TABLE study_system_attributes (study_system_attribute_id $ID, study_id INTEGER, `key` "
     "VARCHAR(512), "
     "value_json TEXT, PRIMARY KEY (study_system_attribute_id), UNIQUE (study_id, `key`), "
     "FOREIGN KEY(study_id) REFERENCES studies (study_id)$END"},
    {"trials", "CREATE TABLE trials (trial_id $ID, number INTEGER, study_id INTEGER, state $STATE NOT NULL, "
               "datetime_start DATETIME, datetime_complete DATETIME, PRIMARY KEY (trial_id)$INDEX_STUDY, "
               "FOREIGN KEY(study_id) REFERENCES studies (study_id)$END"},
    {"trials", "CREATE INDEX ix_trials_study_id ON trials (study_id)", .is_sqlite_only = true},
    {"trial_user_attributes",
     "CREATE TABLE trial_user_attributes (trial_user_attribute_id $ID, trial_id INTEGER, `key` VARCHAR(512), "
     "value_json TEXT, PRIMARY KEY (trial_user_attribute_id), UNIQUE (trial_id, `key`), "
     "FOREIGN KEY(trial_id) REFERENCES trials (trial_id)$END"},
    {"trial_system_attributes",
     "CREATE TABLE trial_system_attributes (trial_system_attribute_id $ID, trial_id INTEGER, `key` "
     "VARCHAR(512), "
     "value_json TEXT, PRIMARY KEY (trial_system_attribute_id), UNIQUE (trial_id, `key`), "
     "FOREIGN KEY(trial_id) REFERENCES trials (trial_id)$END"},
    {"trial_params", "CREATE TABLE trial_params (param_id $ID, trial_id INTEGER, param_name VARCHAR(512), "
                     "param_value $DOUBLE, "
                     "distribution_json TEXT, PRIMARY KEY (param_id), UNIQUE (trial_id, param_name), "
                     "FOREIGN KEY(trial_id) REFERENCES trials (trial_id)$END"},
    {"trial_values",
     "CREATE TABLE trial_values (trial_value_id $ID, trial_id INTEGER NOT NULL, objective INTEGER NOT NULL, "
     "value $DOUBLE, value_type $VALUE_TYPE NOT NULL, PRIMARY KEY (trial_value_id), UNIQUE (trial_id, "
     "objective), "
     "FOREIGN KEY(trial_id) REFERENCES trials (trial_id)$END"},
    {"trial_intermediate_values",
     "CREATE TABLE trial_intermediate_values (trial_intermediate_value_id $ID, trial_id INTEGER NOT NULL, "
     "step INTEGER NOT NULL, intermediate_value $DOUBLE, intermediate_value_type $STEP_TYPE NOT NULL, "
     "PRIMARY KEY (trial_intermediate_value_id), UNIQUE (trial_id, step), "
     "FOREIGN KEY(trial_id) REFERENCES trials (trial_id)$END"},
    {"trial_heartbeats", "CREATE TABLE trial_heartbeats (trial_heartbeat_id $ID, trial_id INTEGER NOT NULL, "
                         "heartbeat DATETIME NOT NULL, "
                         "PRIMARY KEY (trial_heartbeat_id), UNIQUE (trial_id), FOREIGN KEY(trial_id) "
                         "REFERENCES trials (trial_id)$END"},
    {"alembic_version", "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)$END"},

    /* Ours, by the study's uid, without foreign keys: one into Optuna's tables would make its delete_study()
       do nothing. */
    {"studyd_owner",
     "CREATE TABLE studyd_owner (id INTEGER NOT NULL, epoch BIGINT NOT NULL, batch BIGINT NOT NULL, "
     "host VARCHAR(255) NOT NULL, pid BIGINT NOT NULL, PRIMARY KEY (id)$END"},
    {"studyd_studies",
     "CREATE TABLE studyd_studies (uid $BYTES16 NOT NULL, study_id INTEGER NOT NULL, "
     "state VARCHAR(16) NOT NULL, reason TEXT, seq BIGINT NOT NULL, PRIMARY KEY (uid)$END_CLUSTERED"},
    {"studyd_trials",
     "CREATE TABLE studyd_trials (uid $BYTES16 NOT NULL, trial_id INTEGER NOT NULL, attempt INTEGER NOT "
     "NULL, "
     "retries INTEGER NOT NULL, lease $BYTES16, worker VARCHAR(128), request $BYTES32, sampled_seq BIGINT, "
     "asked_seq BIGINT, finished_seq BIGINT, outcome $BYTES16, params BLOB, PRIMARY KEY (uid, "
     "trial_id)$END_CLUSTERED"},
};

struct names {
    size_t n;
    char **names;
};

static void names_deinit(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
}

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcasecmp(names->names[i], name) == 0)
            return true;
    return false;
}

static void read_tables(struct sql *sql, struct names *names)
{
    sql_query(sql, "%s", sql->driver->tables);
    while (sql_next(sql)) {
        names->names = memory_resize(names->names, names->n + 1, sizeof *names->names);
        names->names[names->n++] = memory_strdup(sql_text(sql, 0));
    }
}

static void put_statement(const struct sql_driver *driver, struct buffer *out, const char *text)
{
    for (const char *dollar; (dollar = strchr(text, '$'));) {
        buffer_append(out, text, (size_t)(dollar - text));
        size_t i = 0;
        while (strncmp(dollar, words[i].word, strlen(words[i].word)) != 0)
            i++;
        buffer_append_text(out, driver == &sql_mysql ? words[i].mysql : words[i].sqlite);
        text = dollar + strlen(words[i].word);
    }
    buffer_append_text(out, text);
}

/* Does it run on this kind of database? */
static bool is_for(const struct sql_driver *driver, size_t statement)
{
    return driver == &sql_sqlite || !statements[statement].is_sqlite_only;
}

static void create_missing(struct sql *sql, const struct names *tables)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        BUFFER_AUTO struct buffer text = {0};
        if (has_name(tables, statements[i].table) || !is_for(sql->driver, i))
            continue;
        put_statement(sql->driver, &text, statements[i].text);
        sql_run_buffer(sql, &text);
    }
}

/* What the database says of itself. An empty text or 0: nothing. */
struct versions {
    char alembic[64];
    int64_t schema;
};

static void read_versions(struct sql *sql, const struct names *tables, struct versions *versions)
{
    *versions = (struct versions){0};
    if (has_name(tables, "version_info")) {
        sql_query(sql, "SELECT schema_version FROM version_info");
        while (sql_next(sql))
            versions->schema = sql_int(sql, 0);
    }
    if (has_name(tables, "alembic_version")) {
        sql_query(sql, "SELECT version_num FROM alembic_version");
        while (sql_next(sql))
            strncpy(versions->alembic, sql_text(sql, 0), sizeof versions->alembic - 1);
    }
}

/* What to do about a schema of another version. */
static const char *advise(bool is_newer)
{
    return is_newer ? "it was made by a newer Optuna; use a newer studyd, or a database of its own"
                    : "upgrade it with `optuna storage upgrade --storage URL`";
}

static void check_versions(struct sql *sql, const struct names *tables, const struct versions *versions)
{
    if (versions->alembic[0] && !has_name(tables, "studies"))
        sql_fail(
            sql, SQL_FATAL,
            "the database belongs to another program (alembic_version is '%s', there is no table studies): "
            "give studyd a database of its own",
            versions->alembic);
    else if (versions->alembic[0] && strcmp(versions->alembic, ALEMBIC_VERSION) != 0)
        sql_fail(
            sql, SQL_FATAL, "the database has Optuna's schema %s, studyd needs %s (Optuna 3.2 to 5.0): %s",
            versions->alembic, ALEMBIC_VERSION, advise(strverscmp(versions->alembic, ALEMBIC_VERSION) > 0));
    else if (versions->schema && versions->schema != SCHEMA_VERSION)
        sql_fail(sql, SQL_FATAL,
                 "the database has Optuna's schema version %lld, studyd needs %d (Optuna 3.2 to 5.0): %s",
                 (long long)versions->schema, SCHEMA_VERSION, advise(versions->schema > SCHEMA_VERSION));
}

/* How many tables are neither Optuna's nor ours. */
static size_t count_others(const struct names *tables)
{
    size_t n_known = 0;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        bool is_next = i == 0 || strcmp(statements[i].table, statements[i - 1].table) != 0;
        n_known += is_next && has_name(tables, statements[i].table);
    }
    return tables->n - n_known;
}

/* They may well share one: but more often it is a slip in the URL. */
static void warn_of_others(const struct names *tables)
{
    if (count_others(tables) > 0 && !has_name(tables, "studies"))
        log_warning(
            "the database is another program's too, it gets studyd's tables beside the other ones "
            "others=%zu reason=\"there was no table studies; a database of its own is easier to keep\"",
            count_others(tables));
}

/* What the four rights are needed for may come late, a deleted study say: these change nothing, and tell now.
 */
static void check_rights(struct sql *sql)
{
    sql_run(sql, "INSERT INTO studyd_owner (id, epoch, batch, host, pid) SELECT id, epoch, batch, host, pid "
                 "FROM studyd_owner WHERE id = 0");
    sql_run(sql, "UPDATE studyd_owner SET batch = batch WHERE id = 0");
    sql_run(sql, "DELETE FROM studyd_owner WHERE id = 0");
}

void schema_ensure(struct sql *sql)
{
    struct names tables = {0};
    struct versions versions;
    read_tables(sql, &tables);
    read_versions(sql, &tables, &versions);
    check_versions(sql, &tables, &versions);
    if (sql->status == SQL_OK)
        warn_of_others(&tables);
    sql_begin(sql);
    create_missing(sql, &tables);
    if (!versions.schema)
        sql_run(sql, INSERT_SCHEMA, SCHEMA_VERSION);
    if (!versions.alembic[0])
        sql_run(sql, INSERT_ALEMBIC);
    check_rights(sql);
    sql_commit(sql);
    if (sql->status == SQL_REFUSED) /* no right to create tables, say: it will not get better */
        sql->status = SQL_FATAL;
    names_deinit(&tables);
}

/* For an administrator: what is there stays as it is, also another version of Optuna's, which the start
 * refuses. */
#define CREATE "CREATE TABLE "
#define INSERT_WHERE_NONE(table, columns, values)                                                            \
    "INSERT INTO " table " (" columns ") SELECT " values " FROM DUAL WHERE NOT EXISTS (SELECT * FROM " table \
    ");\n"

void schema_put(struct buffer *out)
{
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!is_for(&sql_mysql, i))
            continue;
        buffer_append_text(out, CREATE "IF NOT EXISTS ");
        put_statement(&sql_mysql, out, statements[i].text + strlen(CREATE));
        buffer_append_text(out, ";\n");
    }
    buffer_printf(out,
                  INSERT_WHERE_NONE("version_info", "version_info_id, schema_version, library_version",
                                    "1, %d, '" LIBRARY_VERSION "'"),
                  SCHEMA_VERSION);
    buffer_append_text(out, INSERT_WHERE_NONE("alembic_version", "version_num", "'" ALEMBIC_VERSION "'"));
}
