/* Eight floats at a time, and the numbers that rows are made of: float32, or bfloat16 that is computed with in float32.

   Included once for each instruction set; SUFFIX names the set in every function that is not inlined. */

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define JOINED_(a, b) a##_##b
#define JOINED(a, b) JOINED_(a, b)
#define NAMED(name) JOINED(name, SUFFIX)
#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline)) /* with registers of its own */
#define UNROLL _Pragma("GCC unroll 16")
#define HELD(x) __asm__("" : "+" REGISTER(x)) /* keep x in a register: loading it again at every use costs more */

enum { N = 8 };
typedef __m256 lanes;

INLINE lanes all(float x) { return _mm256_set1_ps(x); }
INLINE lanes load(const float *from) { return _mm256_loadu_ps(from); }
INLINE void store(float *to, lanes x) { _mm256_storeu_ps(to, x); }

INLINE lanes load_halves(const uint16_t *from) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

/* Rounded to the nearest bfloat16, ties to even, as torch does; what is no number stays none. */
INLINE void store_halves(uint16_t *to, lanes x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(even, _mm256_set1_epi32(0x7fff)));
    __m256i none = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    rounded = _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc00000), none);
    rounded = _mm256_srli_epi32(rounded, 16);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(packed));
}

/* A matrix of either kind of number. */
typedef struct {
    const void *first;
    ptrdiff_t stride; /* numbers from row to row */
    int halves;
} numbers;

INLINE lanes at(numbers x, ptrdiff_t row, ptrdiff_t column) {
    ptrdiff_t place = row * x.stride + column;
    return x.halves ? load_halves((const uint16_t *)x.first + place) : load((const float *)x.first + place);
}

INLINE numbers moved(numbers x, ptrdiff_t row, ptrdiff_t column) {
    x.first = (const char *)x.first + (row * x.stride + column) * (x.halves ? 2 : 4);
    return x;
}

INLINE void put(numbers x, ptrdiff_t row, ptrdiff_t column, lanes value) {
    ptrdiff_t place = row * x.stride + column;
    if (x.halves) store_halves((uint16_t *)x.first + place, value);
    else store((float *)x.first + place, value);
}

/* A polynomial of x, the highest power's coefficient first. */
#define POLYNOMIAL(x, ...) \
    polynomial(x, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float))
INLINE lanes polynomial(lanes x, const float *coefficients, int count) {
    lanes sum = all(coefficients[0]);
    UNROLL for (int i = 1; i < count; i++) sum = sum * x + coefficients[i];
    return sum;
}

/* e to the power of x for x <= 0, within two units of the last place; 1.6e-38 instead of anything less.

   Coefficients: Cephes' expf (S. Moshier), whose range reduction this is. What is no number stays none. */
INLINE lanes exponential(lanes x) {
    x = _mm256_max_ps(all(-87.0f), x); /* in this order: the second is given where one is no number */
    lanes whole = _mm256_round_ps(x * 1.44269504088896341f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    lanes rest = x - whole * 0.693359375f;
    rest = rest - whole * -2.12194440e-4f;
    lanes sum = POLYNOMIAL(rest, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f);
    sum = sum * (rest * rest) + rest + 1.0f;
    __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
    return sum * _mm256_castsi256_ps(_mm256_slli_epi32(power, 23));
}

INLINE float total(lanes x) {
    __m128 sum = _mm256_castps256_ps128(x) + _mm256_extractf128_ps(x, 1);
    sum += _mm_movehl_ps(sum, sum);
    return _mm_cvtss_f32(sum) + _mm_cvtss_f32(_mm_movehdup_ps(sum));
}

/* Eight rows of eight become eight columns. */
INLINE void transpose(lanes *rows) {
    lanes pairs[N], fours[N];
    UNROLL for (int i = 0; i < N; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    UNROLL for (int i = 0; i < N; i += 4) {
        fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
        fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}
