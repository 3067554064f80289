/* What this library is, and which of its builds this processor can run. */
#include "../include/interlace_kernel.h"
#include "../include/interlace_math.h"

IK_EXPORT int32_t ik_abi(void) { return IK_ABI; }

/* What these sources are, by the build that compiled them. */
#ifndef IK_SOURCES
#define IK_SOURCES 0
#endif
IK_EXPORT uint64_t ik_sources(void) { return IK_SOURCES; }

/* 0 for the baseline, 3 for x86-64-v3 (AVX2, FMA), 4 for x86-64-v4 (AVX-512). The system is asked
 * too, since it has to save the wider registers. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
IK_EXPORT int32_t ik_level(void)
{
    int v3, v4;
    __builtin_cpu_init();
    v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi2");
    v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
    return v4 ? 4 : (v3 ? 3 : 0);
}
#elif defined(_M_X64)
#include <intrin.h>
IK_EXPORT int32_t ik_level(void)
{
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    int one[4], seven[4];
    unsigned long long saved;
    int v3;
    __cpuid(seven, 0);
    if (seven[0] < 7)
        return 0;
    __cpuid(one, 1);
    __cpuidex(seven, 7, 0);
    if (!(one[2] >> 27 & 1))
        return 0;
    saved = _xgetbv(0);
    v3 = (one[2] >> 12 & 1) && (seven[1] >> 5 & 1) && (seven[1] >> 8 & 1) && (saved & 6) == 6;
    if (!v3)
        return 0;
    return ((unsigned)seven[1] & avx512) == avx512 && (saved & 0xe6) == 0xe6 ? 4 : 3;
}
#else
IK_EXPORT int32_t ik_level(void) { return 0; }
#endif
