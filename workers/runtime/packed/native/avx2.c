/* The kernels for processors with AVX2 and FMA: 16 registers, so smaller tiles. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#define SUFFIX avx2
#define REGISTER "x"
#define MOST_ROWS 2
#define MOST_COLUMNS 4
#define EVERY_TILE TILES_OF(1) TILES_OF(2)
#define WIDE_MIX 2
#include "lanes.h"
#include "attention.h"
#include "norm.h"
#include "strassen.h"
#endif
