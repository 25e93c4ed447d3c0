/* SPDX-License-Identifier: MIT */
/* Unit tests of the counter-based random numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/sampler/philox.h"

/* The known answers of Random123 (kat_vectors, philox4x32 with 10 rounds). */
static void test_known_answers(void **)
{
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];

        philox4x32(cases[i].key, cases[i].counter, out);
        assert_memory_equal(out, cases[i].answer, sizeof out);
    }
}

/* Each coordinate matters, in its high bits too; the same coordinates give the same draw. */
static void test_coordinates(void **)
{
    const struct draw_key key = {.seed = 1, .number = 2, .name_hash = 3, .purpose = DRAW_RANDOM};
    struct draw_key others[] = {key, key, key, key, key, key};
    double draw = draw_uniform(&key, 4);

    others[0].seed ^= 1;
    others[1].seed ^= (uint64_t)1 << 63;
    others[2].number = UINT32_MAX;
    others[3].name_hash ^= (uint64_t)1 << 63;
    others[4].name_hash ^= 1;
    others[5].purpose = DRAW_TPE_KERNEL;
    assert_true(draw == draw_uniform(&key, 4));
    assert_true(draw != draw_uniform(&key, 5));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(draw != draw_uniform(&others[i], 4));
}

/* Draws fill [0, 1) evenly: chi-square over 64 cells, 99.99 % point of 63 degrees of freedom. */
static void test_uniform(void **)
{
    const struct draw_key key = {.seed = 42, .number = 7, .name_hash = 99, .purpose = DRAW_RANDOM};
    const uint32_t n = 64000;
    int counts[64] = {};
    double chi_square = 0;

    for (uint32_t i = 0; i < n; i++) {
        double draw = draw_uniform(&key, i);

        assert_true(draw >= 0 && draw < 1);
        counts[(int)(draw * 64)]++;
    }
    for (int i = 0; i < 64; i++)
        chi_square += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000;
    assert_true(chi_square < 112);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_coordinates),
        cmocka_unit_test(test_uniform),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
