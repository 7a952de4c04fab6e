/* Which of the kernels this processor can run. */

#if defined(__x86_64__)
const char *level(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return "";
    int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    return wide ? "avx512" : "avx2";
}
#else
const char *level(void) { return ""; }
#endif
