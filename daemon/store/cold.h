/* SPDX-License-Identifier: MIT */
/* Cold reads: what is not kept in memory of trials. */
#pragma once

#include "daemon/store/sql.h"
#include "daemon/store/store.h"

/* Fills read->trials. Check sql->status; free them either way. */
void cold_read(struct sql *sql, struct store_read *read);
void cold_free(struct store_cold_trial *trials, size_t n);
