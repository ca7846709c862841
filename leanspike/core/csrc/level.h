/* What a library was built from, and which of the libraries this processor and operating system run. */
#ifndef LEANSPIKE_LEVEL_H
#define LEANSPIKE_LEVEL_H

/* A hash of the sources, core/native.py: who loads the library refuses one of other sources. */
#ifndef LEANSPIKE_SOURCES
#define LEANSPIKE_SOURCES ""
#endif

__attribute__((visibility("default"))) const char *leanspike_sources(void) { return LEANSPIKE_SOURCES; }

/* The best of 0 plain, 1 AVX2, 2 AVX-512. */
__attribute__((visibility("default"))) int leanspike_level(void) {
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

#endif
