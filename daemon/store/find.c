/* SPDX-License-Identifier: MIT */
/* Which studies there are now: those that the loop does not know are read whole, and it is told which are
 * gone. */
#include "daemon/store/find.h"

#include <stdlib.h>
#include <string.h>

static int compare_name(const void *name, const void *known)
{
    return strcmp(name, ((const struct store_found *)known)->name);
}

/* Does the row say what is known of the study? Where the database has a uid of ours, it must be the same:
 * SQLite gives the ids of deleted studies away again. */
static bool is_same(struct sql *sql, const struct store_found *known)
{
    const char *uid = sql_text(sql, 2);
    return sql_int(sql, 0) == known->study_id && (!known->uid[0] || (uid && strstr(uid, known->uid)));
}

/* What studyd itself deletes has such a name until its rows are removed. */
static bool is_being_deleted(const char *name)
{
    static const char prefix[] = "studyd:deleted:";
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

/* Says of each known study whether it is gone, and puts the ids of those that are to be read. */
static void read_ids(struct sql *sql, const struct store_find *find, struct buffer *ids)
{
    for (size_t i = 0; i < find->n_known; i++)
        find->known[i].is_gone = true;
    sql_query(sql, "SELECT s.study_id, s.study_name, a.value_json FROM studies s LEFT JOIN "
                   "study_system_attributes a ON a.study_id = s.study_id AND a.`key` = 'studyd:uid'");
    while (sql_next(sql)) {
        const char *name = sql_text(sql, 1);
        struct store_found *known =
            find->n_known ? bsearch(name, find->known, find->n_known, sizeof *find->known, compare_name)
                          : NULL; /* then there is no array either */
        if (known)
            known->is_gone = !is_same(sql, known);
        if (known ? known->is_wanted && !known->is_gone : !is_being_deleted(name))
            buffer_printf(ids, "%s%lld", ids->size ? "," : "", (long long)sql_int(sql, 0));
    }
}

static void read_trials(struct sql *sql, struct loaded_study *loaded)
{
    struct trial_list *list = &loaded->trials;
    size_t n_before;
    do {
        n_before = list->n;
        load_next_trials(sql, loaded->known, list->n ? list->trials[list->n - 1].trial_id : 0, list);
    } while (sql->status == SQL_OK && list->n > n_before);
}

void find_studies(struct sql *sql, const struct store_find *find, struct study_list *list)
{
    BUFFER_AUTO struct buffer ids = {0};
    *list = (struct study_list){0};
    read_ids(sql, find, &ids);
    if (!ids.size)
        return;
    load_studies(sql, buffer_text(&ids), list);
    for (size_t i = 0; i < list->n; i++)
        read_trials(sql, &list->studies[i]);
}
