/* SPDX-License-Identifier: MIT */
/* Which builds of the inner loop run on this CPU. */
#include "daemon/sampler/mixture_sum.h"

size_t mixture_functions_list(const struct mixture_functions *list[MIXTURE_MAX_BUILDS])
{
    size_t n = 0;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        list[n++] = &mixture_avx512;
    if (__builtin_cpu_supports("avx2"))
        list[n++] = &mixture_avx2;
#endif
    list[n++] = &mixture_baseline;
    return n;
}

const struct mixture_functions *mixture_functions_choose(void)
{
    const struct mixture_functions *list[MIXTURE_MAX_BUILDS];
    mixture_functions_list(list);
    return list[0];
}
