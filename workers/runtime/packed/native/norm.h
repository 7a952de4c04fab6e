/* A residual and its layer normalisation in one pass over the rows, each of them in the first-level cache. */

void NAMED(norm_of_sum)(const void *added, int halves, const float *rows, const float *weight, const float *bias,
                        float epsilon, int64_t width, int64_t first, int64_t last, float *out) {
    int64_t whole = width / (4 * N) * (4 * N);
    for (int64_t row = first; row < last; row++) {
        numbers y = moved((numbers){added, width, halves}, row, 0);
        const float *x = rows + row * width;
        float *to = out + row * width;
        /* Four sums at once: one alone would wait for itself. */
        lanes some[4] = {all(0), all(0), all(0), all(0)};
        for (int64_t d = 0; d < whole; d += 4 * N)
            UNROLL for (int i = 0; i < 4; i++) {
                lanes sum = at(y, 0, d + N * i) + load(x + d + N * i);
                store(to + d + N * i, sum);
                some[i] += sum;
            }
        for (int64_t d = whole; d < width; d += N) {
            lanes sum = at(y, 0, d) + load(x + d);
            store(to + d, sum);
            some[0] += sum;
        }
        lanes mean = all(total((some[0] + some[1]) + (some[2] + some[3])) / (float)width);
        /* Of differences from the mean: the sum of squares less the squared mean would cancel. */
        UNROLL for (int i = 0; i < 4; i++) some[i] = all(0);
        for (int64_t d = 0; d < whole; d += 4 * N)
            UNROLL for (int i = 0; i < 4; i++) {
                lanes apart = load(to + d + N * i) - mean;
                some[i] += apart * apart;
            }
        for (int64_t d = whole; d < width; d += N) {
            lanes apart = load(to + d) - mean;
            some[0] += apart * apart;
        }
        float variance = total((some[0] + some[1]) + (some[2] + some[3])) / (float)width;
        lanes scale = all(1.0f / __builtin_sqrtf(variance + epsilon));
        for (int64_t d = 0; d < width; d += N)
            store(to + d, (load(to + d) - mean) * scale * load(weight + d) + load(bias + d));
    }
}
