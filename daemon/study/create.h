/* SPDX-License-Identifier: MIT */
/* Names of studies that are being created. */
#pragma once

#include "daemon/study/state.h"

bool create_is_under_way(const struct studies *studies, const char *name);
