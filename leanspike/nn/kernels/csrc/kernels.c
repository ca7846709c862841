/* leanspike's hot loops as one translation unit, built once for each instruction set and loaded with ctypes.
   No dependency but libc; threads are the OpenMP runtime that torch has loaded already (see build.py). */
#include "bits.h"
#include "conv.h"
#include "conv_backward.h"
#include "gather.h"
#include "gemm.h"
#include "lif.h"
#include "spiking.h"
#include "spiking_backward.h"

/* The best of 0 plain, 1 AVX2, 2 AVX-512 that this processor and operating system run. */
EXPORT int leanspike_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return avx512 ? 2 : avx2 ? 1 : 0;
#else
    return 0;
#endif
}
