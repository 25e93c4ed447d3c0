/* SPDX-License-Identifier: MIT */
/* The routes that read trials: one, pages of them, the best. */
#pragma once

#include "daemon/http/request.h"

void handle_list_trials(struct request *request);
void handle_show_trial(struct request *request);
void handle_best_trials(struct request *request);
