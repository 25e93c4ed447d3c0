/* SPDX-License-Identifier: MIT */
/* Which studies there are now, beside those that the loop knows. */
#pragma once

#include "daemon/store/load.h"

/* Fills in which of the known ones are gone, and reads the others and those that are wanted, with their
 * trials. Check sql->status; the list is sound either way. */
void find_studies(struct sql *sql, const struct store_find *find, struct study_list *list);
