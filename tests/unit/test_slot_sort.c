/* SPDX-License-Identifier: MIT */
/* Unit tests of the sort of slots: as the doubles and numbers are ordered, equal ones as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/sampler/slot_sort.h"

/* Keys of doubles are ordered as they are, from infinity to infinity; both zeros are equal. */
static void test_keys_of_doubles(void **)
{
    static const double ascending[] = {-HUGE_VAL, -1e300, -1,        -0x1p-1074, 0,       0x1p-1074,
                                       1e-9,      1,      1.0000001, 1e300,      HUGE_VAL};

    for (size_t i = 1; i < sizeof ascending / sizeof ascending[0]; i++)
        assert_true(slot_key_of_double(ascending[i - 1]) < slot_key_of_double(ascending[i]));
    assert_true(slot_key_of_double(-0.0) == slot_key_of_double(0.0));
}

/* As many as a study has and as few as none; equal keys stay in their order. */
static void test_sort(void **)
{
    enum { MOST = 3000 };
    static struct slot_key keys[MOST], spare[MOST];
    uint64_t noise = 1;

    for (size_t n = 0; n <= MOST; n = 3 * n + 1) {
        for (int n_values = 1; n_values <= 100000; n_values *= 10) {
            for (size_t i = 0; i < n; i++) {
                noise = noise * 6364136223846793005u + 1442695040888963407u;
                keys[i] = (struct slot_key){(noise >> 33) % (uint64_t)n_values << n_values % 41, (uint32_t)i};
            }
            slot_sort(keys, spare, n);
            for (size_t i = 1; i < n; i++)
                assert_true(keys[i - 1].key < keys[i].key ||
                            (keys[i - 1].key == keys[i].key && keys[i - 1].slot < keys[i].slot));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_doubles),
        cmocka_unit_test(test_sort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
