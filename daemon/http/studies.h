/* SPDX-License-Identifier: MIT */
/* The routes of studies: create, list, show, change, delete. */
#pragma once

#include "daemon/http/request.h"

void handle_create_study(struct request *request);
void handle_list_studies(struct request *request);
void handle_show_study(struct request *request);
void handle_change_study(struct request *request);
void handle_delete_study(struct request *request);
