/* SPDX-License-Identifier: MIT */
/* Reads and writes times as databases write them. */
#include "daemon/store/sql_time.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

/* Days from 1970-01-01 to a date of the Gregorian calendar (years from March, so that the leap day comes
 * last). */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* The digits behind the point as microseconds. */
static int64_t read_fraction(const char *text)
{
    int64_t fraction = 0;
    if (*text++ != '.')
        return 0;
    for (int64_t unit = 100000; unit && *text >= '0' && *text <= '9'; unit /= 10)
        fraction += (*text++ - '0') * unit;
    return fraction;
}

int64_t sql_time_read(const char *text)
{
    static const char pattern[] = "dddd-dd-dd dd:dd:dd";
    int64_t parts[6] = {0}; /* year, month, day, hour, minute, second */
    size_t part = 0;
    for (size_t i = 0; pattern[i]; i++) {
        if (pattern[i] == 'd') {
            if (text[i] < '0' || text[i] > '9')
                return 0;
            parts[part] = parts[part] * 10 + (text[i] - '0');
        } else if (text[i] == pattern[i] || (pattern[i] == ' ' && text[i] == 'T')) {
            part++;
        } else {
            return 0;
        }
    }
    if (parts[0] == 0)
        return 0;
    int64_t seconds =
        days_from_date(parts[0], parts[1], parts[2]) * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5];
    return seconds * 1000000 + read_fraction(text + sizeof pattern - 1);
}

void sql_time_format(char text[SQL_TIME_SIZE], int64_t time_us, bool has_fraction)
{
    time_t seconds = time_us / 1000000;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, SQL_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &parts);
    if (has_fraction)
        snprintf(text + size, SQL_TIME_SIZE - size, ".%06d", (int)(time_us % 1000000));
}
