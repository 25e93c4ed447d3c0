/* SPDX-License-Identifier: MIT */
/* Where a database is: Optuna's storage URL, taken apart. */
#pragma once

#include "proto/problem.h"

struct sql_driver;

/* Members are owned, NULL where the URL has none. */
struct sql_address {
    const struct sql_driver *driver;
    char *path; /* SQLite's file */
    char *user, *password, *host, *database, *socket;
    unsigned port; /* 0: the default */
    char *name;    /* the URL without password, for people */
};

/* 0; or -1 with `problem`. `password` replaces the URL's where not NULL. Deinit it either way. */
[[nodiscard]] int sql_address_read(struct sql_address *address, const char *url, const char *password,
                                   struct problem *problem);
void sql_address_deinit(struct sql_address *address);
