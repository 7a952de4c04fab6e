/* What surrounds the seven products that stand for one product of matrices (Strassen 1969): sums of quarters before
   them, sums of products after them, and what follows a product row by row in the same pass.

   Rows i and i + half of a matrix, and columns j and j + width / 2, are worked at together: `half` is half the rows,
   rounded up, and a row that is not there is one of zeros. The factors of x are, in the order of the products,

       x11 + x22, x21 + x22, x11, x22, x11 + x12, x21 - x11, x12 - x22,   each [half][width / 2]

   This and not Winograd's form with fewer sums: its errors are a quarter smaller, and sums are made in registers. The
   error of each number is that of the largest of its company, so rows are brought to the same size before, and columns
   of the product are made of weights of the same size: by powers of two, which changes no bit but the exponent. */

enum { QUARTERS = 4, PRODUCTS = 7, LINE = 2 * N }; /* numbers of one line of the cache, which is written whole */

INLINE void store_factors(lanes x[QUARTERS], float *to, ptrdiff_t apart) {
    store(to, x[0] + x[3]);
    store(to + apart, x[2] + x[3]);
    store(to + 2 * apart, x[0]);
    store(to + 3 * apart, x[3]);
    store(to + 4 * apart, x[0] + x[1]);
    store(to + 5 * apart, x[2] - x[0]);
    store(to + 6 * apart, x[1] - x[3]);
}

INLINE void load_joined(const float *const *products, ptrdiff_t place, lanes y[QUARTERS]) {
    lanes p[PRODUCTS];
    UNROLL for (int i = 0; i < PRODUCTS; i++) p[i] = load(products[i] + place);
    y[0] = (p[0] + p[3]) + (p[6] - p[4]);
    y[1] = p[2] + p[4];
    y[2] = p[1] + p[3];
    y[3] = (p[0] - p[1]) + (p[2] + p[5]);
}

/* x times the normal distribution's share below x, by the error function and not by tanh: within 1.1e-6, as torch's.

   The error function of x / sqrt(2) is x times a quotient of polynomials of x squared, fitted to a relative 2e-8 where
   |x| <= 5.54, and 1 to within half a unit of the last place beyond. What is no number stays none. */
INLINE lanes gelu(lanes x) {
    lanes within = _mm256_min_ps(_mm256_max_ps(x, all(-5.54f)), all(5.54f)), square = within * within;
    lanes over = POLYNOMIAL(square, 4.53483722e-08f, 1.25911474e-05f, 0.000332517375f, 0.00932285283f, 0.0672842562f,
                            0.797884524f);
    lanes under = POLYNOMIAL(square, 1.1910945e-06f, 7.26156286e-05f, 0.00187024171f, 0.0285176728f, 0.250994682f, 1.0f);
    lanes one = _mm256_or_ps(all(1.0f), _mm256_and_ps(all(-0.0f), x));
    lanes erf = _mm256_blendv_ps(within * over / under, one, _mm256_cmp_ps(x, within, _CMP_NEQ_OQ));
    return x * (0.5f * erf + 0.5f);
}

/* Of about the size of a row whose squares add up to that; 1 where that is zero, or no number. */
INLINE float power_of_two(float squares) {
    union { float number; uint32_t bits; } it = {.number = squares};
    uint32_t exponent = it.bits >> 23;
    if (exponent == 0 || exponent == 255) return 1.0f;
    it.bits = (127 + exponent) / 2 << 23;
    return it.number;
}

INLINE float scale_of(const float *row, int64_t width) {
    lanes some[2] = {all(0), all(0)};
    for (int64_t j = 0; j < width; j += LINE)
        UNROLL for (int k = 0; k < 2; k++) {
            lanes x = load(row + j + N * k);
            some[k] += x * x;
        }
    return power_of_two(total(some[0] + some[1]));
}

/* Factor f of two rows, the lower one where it is there, at out + f * apart; their scales. */
INLINE void split_rows(const float *upper, const float *lower, int64_t width, int64_t apart, float *out,
                       float *upper_scale, float *lower_scale) {
    int64_t middle = width / 2;
    *upper_scale = scale_of(upper, width);
    *lower_scale = lower ? scale_of(lower, width) : 1.0f;
    lanes above = all(1.0f / *upper_scale), below = all(1.0f / *lower_scale);
    for (int64_t j = 0; j < middle; j += LINE)
        UNROLL for (int k = 0; k < LINE; k += N) {
            lanes x[QUARTERS] = {load(upper + j + k) * above, load(upper + middle + j + k) * above, all(0), all(0)};
            if (lower) {
                x[2] = load(lower + j + k) * below;
                x[3] = load(lower + middle + j + k) * below;
            }
            store_factors(x, out + j + k, apart);
        }
}

typedef struct {
    const float *const *numbers; /* of each of the seven products */
    const float *sizes, *bias; /* [width]: what columns are multiplied by, and what is added */
    int64_t width;
} product;

/* Two rows of a product, or of its GELU, of factors with these scales; the lower one where there is a place for it. */
INLINE void join_rows(product y, int64_t row, float upper_scale, float lower_scale, int with_gelu, float *upper,
                      float *lower) {
    int64_t middle = y.width / 2;
    lanes scales[2] = {all(upper_scale), all(lower_scale)};
    for (int64_t j = 0; j < middle; j += LINE)
        UNROLL for (int k = 0; k < LINE; k += N) {
            lanes quarters[QUARTERS];
            load_joined(y.numbers, row * middle + j + k, quarters);
            UNROLL for (int q = 0; q < QUARTERS; q++) {
                if (q == 2 && !lower) break;
                int64_t column = q % 2 * middle + j + k;
                lanes sum = quarters[q] * (scales[q / 2] * load(y.sizes + column)) + load(y.bias + column);
                store((q < 2 ? upper : lower) + column, with_gelu ? gelu(sum) : sum);
            }
        }
}

/* The factors of the rows x [rows][width], from `first` to `last` of the half: factor f's row i at
   out + f * apart + i * width / 2, and what row i was divided by at scales[i], half and half. */
void NAMED(split)(const float *x, int64_t rows, int64_t width, int64_t half, int64_t first, int64_t last,
                  int64_t apart, float *out, float *scales) {
    for (int64_t i = first; i < last; i++) {
        const float *upper = x + i * width, *lower = i + half < rows ? upper + half * width : NULL;
        split_rows(upper, lower, width, apart, out + i * (width / 2), scales + i, scales + half + i);
    }
}

/* The rows of the product: out [rows][width]. */
void NAMED(join)(const float *const *products, const float *sizes, const float *bias, const float *scales,
                 int64_t rows, int64_t width, int64_t half, int64_t first, int64_t last, float *out) {
    product y = {products, sizes, bias, width};
    for (int64_t i = first; i < last; i++) {
        float *upper = out + i * width, *lower = i + half < rows ? upper + half * width : NULL;
        join_rows(y, i, scales[i], scales[half + i], 0, upper, lower);
    }
}

/* The factors of the product's GELU, for the next product; they lie as `split` lays them. The room is for two rows. */
void NAMED(join_gelu_split)(const float *const *products, const float *sizes, const float *bias, const float *scales,
                            int64_t rows, int64_t width, int64_t half, int64_t first, int64_t last, int64_t apart,
                            float *out, float *new_scales, float *room) {
    product y = {products, sizes, bias, width};
    for (int64_t i = first; i < last; i++) {
        float *lower = i + half < rows ? room + width : NULL;
        join_rows(y, i, scales[i], scales[half + i], 1, room, lower);
        split_rows(room, lower, width, apart, out + i * (width / 2), new_scales + i, new_scales + half + i);
    }
}
