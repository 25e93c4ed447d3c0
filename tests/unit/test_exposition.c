/* SPDX-License-Identifier: MIT */
/* Unit tests of Prometheus' text format and of histograms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/http/exposition.h"

static void test_single(void **)
{
    BUFFER_AUTO struct buffer out = {};

    exposition_single(&out, "a_total", "counter", "How many.", 12345678901.0);
    assert_string_equal(buffer_text(&out), "# HELP a_total How many.\n# TYPE a_total counter\n"
                                           "a_total 12345678901.0\n");
}

/* Whatever a study is called, it stays inside its quotes and on its line. */
static void test_labels_are_escaped(void **)
{
    BUFFER_AUTO struct buffer out = {};
    const struct metric_label labels[] = {{"study", "a\"b\\c\nd ü"}, {"state", "running"}};

    exposition_sample(&out, "m", labels, 2, 0.1);
    assert_string_equal(buffer_text(&out), "m{study=\"a\\\"b\\\\c\\nd ü\",state=\"running\"} 0.1\n");
}

static void test_not_finite(void **)
{
    BUFFER_AUTO struct buffer out = {};

    exposition_sample(&out, "m", NULL, 0, NAN);
    exposition_sample(&out, "m", NULL, 0, INFINITY);
    exposition_sample(&out, "m", NULL, 0, -INFINITY);
    assert_string_equal(buffer_text(&out), "m NaN\nm +Inf\nm -Inf\n");
}

/* A bound belongs to its own bucket, what is above all bounds to the count alone; lines add up. */
static void test_histogram(void **)
{
    BUFFER_AUTO struct buffer out = {};
    const struct metric_label label = {"route", "/"};
    struct histogram histogram = {};

    histogram_add(&histogram, 0);
    histogram_add(&histogram, 1000000);
    histogram_add(&histogram, 1000001);
    histogram_add(&histogram, UINT64_C(60000000001));
    assert_int_equal(histogram.buckets[0], 1);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[2], 1);
    exposition_histogram(&out, "h", &label, 1, &histogram);

    const char *text = buffer_text(&out);

    assert_non_null(strstr(text, "h_bucket{route=\"/\",le=\"0.0005\"} 1.0\n"));
    assert_non_null(strstr(text, "h_bucket{route=\"/\",le=\"0.001\"} 2.0\n"));
    assert_non_null(strstr(text, "h_bucket{route=\"/\",le=\"60\"} 3.0\n"));
    assert_non_null(strstr(text, "h_bucket{route=\"/\",le=\"+Inf\"} 4.0\n"));
    assert_non_null(strstr(text, "h_count{route=\"/\"} 4.0\n"));
    assert_non_null(strstr(text, "h_sum{route=\"/\"} 60.002000002\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_histogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
