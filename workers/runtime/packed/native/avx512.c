/* The kernels for processors with AVX-512: vectors of eight floats all the same, but 32 registers for them. Of sixteen,
   every load at an odd place would cross a line of the cache, and short examples would leave more lanes empty. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")
#define SUFFIX avx512
#define REGISTER "v"
#define MOST_ROWS 4
#define MOST_COLUMNS 4
#define EVERY_TILE TILES_OF(1) TILES_OF(2) TILES_OF(3) TILES_OF(4)
#define WIDE_MIX 4
#include "lanes.h"
#include "attention.h"
#include "norm.h"
#include "strassen.h"
#endif
