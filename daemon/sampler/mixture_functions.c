/* SPDX-License-Identifier: MIT */
/* Which build of the inner loop runs on this CPU. */
#include "daemon/sampler/mixture_sum.h"

const struct mixture_functions *mixture_functions_choose(void)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return &mixture_avx2;
#endif
    return &mixture_baseline;
}
