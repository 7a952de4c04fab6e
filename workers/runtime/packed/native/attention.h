/* Attention of packed examples, each with itself alone, with DeBERTa's relative positions or without:

       softmax over j of  q[i].k[j] + q[i].PK[i - j] + k[j].PQ[i - j],  times v[j]

   One head of one example at a time, all of it in the cache. The lanes of a vector are queries, so that softmax needs
   no sum across lanes. The rows of a tile are keys j, j + 8, j + 16, ...: query i + 8 and key j + 8 are as far apart as
   i and j, so a tile of 4 by 4 vectors reads 7 vectors of each table and not 16. The position products that no pair of
   an example reaches are never made.
 */

enum { DEPTH = 32 }; /* dimensions at once, so that what a tile reads of the tables stays in the first-level cache */

typedef struct {
    const float *keys, *queries; /* PK and PQ of one head: [size][stride], the column of distance 0 first; or NULL */
    ptrdiff_t stride;
} positions;

typedef struct {
    float *queries; /* [size][padded]: transposed */
    float *keys, *values; /* [length][size] */
    float *scores; /* [length][padded]: by key, then query */
    float *scale; /* [padded]: what each query's sum of values is multiplied by */
} room;

INLINE int padded_to_lanes(int length) { return (length + N - 1) / N * N; }

/* ------------------------------------------------------------------------------------------------------ scores */

/* Add to the scores of `rows` keys, 8 apart, and `columns` vectors of queries what `depth` dimensions give. */
INLINE void add_scores(int rows, int columns, int with_positions, const float *keys, ptrdiff_t key_stride,
                       const float *queries, ptrdiff_t query_stride, positions near, int depth, float *scores,
                       int first) {
    lanes sum[MOST_ROWS][MOST_COLUMNS];
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < columns; c++)
            sum[r][c] = first ? all(0) : load(scores + N * r * query_stride + N * c);
    for (int d = 0; d < depth; d++) {
        lanes query[MOST_COLUMNS], key[MOST_ROWS];
        UNROLL for (int c = 0; c < columns; c++) { query[c] = load(queries + N * c); HELD(query[c]); }
        UNROLL for (int r = 0; r < rows; r++) { key[r] = all(keys[N * r * key_stride]); HELD(key[r]); }
        if (!with_positions) {
            UNROLL for (int r = 0; r < rows; r++)
                UNROLL for (int c = 0; c < columns; c++) sum[r][c] += key[r] * query[c];
        } else {
            UNROLL for (int apart = 1 - rows; apart < columns; apart++) {
                lanes to = load(near.keys + N * apart), from = load(near.queries + N * apart);
                HELD(to);
                HELD(from);
                UNROLL for (int r = 0; r < rows; r++) {
                    int c = apart + r;
                    if (c >= 0 && c < columns) {
                        sum[r][c] += key[r] * (query[c] + from);
                        sum[r][c] += query[c] * to;
                    }
                }
            }
            near.keys += near.stride;
            near.queries += near.stride;
        }
        keys++;
        queries += query_stride;
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < columns; c++) store(scores + N * r * query_stride + N * c, sum[r][c]);
}

#define TILE(ROWS, COLUMNS)                                                                                            \
    case 8 * ROWS + COLUMNS:                                                                                           \
        add_scores(ROWS, COLUMNS, POSITIONS, keys, key_stride, queries, query_stride, near, depth, scores, first);     \
        break;
#define TILES_OF(ROWS) TILE(ROWS, 1) TILE(ROWS, 2) TILE(ROWS, 3) TILE(ROWS, 4)

#define POSITIONS 1
APART void NAMED(tile)(int rows, int columns, const float *keys, ptrdiff_t key_stride, const float *queries,
                       ptrdiff_t query_stride, positions near, int depth, float *scores, int first) {
    switch (8 * rows + columns) { EVERY_TILE }
}
#undef POSITIONS
#define POSITIONS 0
APART void NAMED(plain_tile)(int rows, int columns, const float *keys, ptrdiff_t key_stride, const float *queries,
                             ptrdiff_t query_stride, positions near, int depth, float *scores, int first) {
    switch (8 * rows + columns) { EVERY_TILE }
}
#undef POSITIONS

/* Parts of nearly the same size, none above `most`. */
INLINE int parts(int count, int most) { return (count + most - 1) / most; }
INLINE int part(int count, int of, int number) { return count / of + (number < count % of); }

INLINE void score(room own, int length, int size, positions near) {
    int padded = padded_to_lanes(length), vectors = padded / N, short_of = length % N;
    int high = parts(vectors, MOST_ROWS), wide = parts(vectors, MOST_COLUMNS);
    for (int g = 0, row = 0; g < high; row += part(vectors, high, g), g++) {
        int tall = part(vectors, high, g);
        for (int h = 0, column = 0; h < wide; column += part(vectors, wide, h), h++) {
            int columns = part(vectors, wide, h);
            for (int d = 0; d < size; d += DEPTH) {
                int depth = size - d < DEPTH ? size - d : DEPTH;
                for (int i = 0; i < N; i++) {
                    int key = i + row * N, rows = tall - (short_of && i >= short_of && row + tall == vectors);
                    const float *keys = own.keys + key * size + d, *queries = own.queries + d * padded + column * N;
                    float *scores = own.scores + key * padded + column * N;
                    if (!rows) continue;
                    if (near.keys) {
                        ptrdiff_t place = d * near.stride + column * N - key;
                        positions here = {near.keys + place, near.queries + place, near.stride};
                        NAMED(tile)(rows, columns, keys, size, queries, padded, here, depth, scores, d == 0);
                    } else {
                        NAMED(plain_tile)(rows, columns, keys, size, queries, padded, near, depth, scores, d == 0);
                    }
                }
            }
        }
    }
}

/* ----------------------------------------------------------------------------------------------------- softmax */

APART void NAMED(exponentials)(room own, int length) {
    int padded = padded_to_lanes(length);
    for (int i = 0; i < padded; i += N) {
        float *scores = own.scores + i;
        lanes most = load(scores), sum = all(0);
        /* In this order: where one is no number, the second is given. What is none in the first row stays; in any
           other it is in the sum. */
        for (int j = 1; j < length; j++) most = _mm256_max_ps(load(scores + j * padded), most);
        for (int j = 0; j < length; j++) {
            lanes power = exponential(load(scores + j * padded) - most);
            store(scores + j * padded, power);
            sum += power;
        }
        store(own.scale + i, 1.0f / sum);
    }
}

/* ------------------------------------------------------------------------------------------------------ values */

/* The mixed values of `rows` queries from `query`, in `columns` vectors of dimensions from `d`. */
INLINE void mix(int rows, int columns, room own, int length, int size, int query, int d, numbers out) {
    lanes sum[4][4];
    int padded = padded_to_lanes(length);
    const float *weights = own.scores + query, *values = own.values + d;
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < columns; c++) sum[r][c] = all(0);
    for (int j = 0; j < length; j++, weights += padded, values += size) {
        lanes value[4];
        UNROLL for (int c = 0; c < columns; c++) { value[c] = load(values + N * c); HELD(value[c]); }
        UNROLL for (int r = 0; r < rows; r++) {
            lanes weight = all(weights[r]);
            HELD(weight);
            UNROLL for (int c = 0; c < columns; c++) sum[r][c] += weight * value[c];
        }
    }
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int c = 0; c < columns; c++) put(out, query + r, d + N * c, sum[r][c] * own.scale[query + r]);
}

#define MIXES(ROWS)                                                                                                    \
    APART void NAMED(mix_##ROWS)(room own, int length, int size, int query, numbers out) {                             \
        int d = 0;                                                                                                     \
        for (; d + WIDE_MIX * N <= size; d += WIDE_MIX * N) mix(ROWS, WIDE_MIX, own, length, size, query, d, out);     \
        for (; d < size; d += N) mix(ROWS, 1, own, length, size, query, d, out);                                       \
    }
MIXES(1) MIXES(2) MIXES(3) MIXES(4)

INLINE void mix_all(room own, int length, int size, numbers out) {
    int query = 0;
    for (; query + 4 <= length; query += 4) NAMED(mix_4)(own, length, size, query, out);
    switch (length - query) {
        case 3: NAMED(mix_3)(own, length, size, query, out); break;
        case 2: NAMED(mix_2)(own, length, size, query, out); break;
        case 1: NAMED(mix_1)(own, length, size, query, out); break;
    }
}

/* ------------------------------------------------------------------------------------------------- the whole */

APART void NAMED(transposed)(numbers rows, int length, int size, float *out) {
    int padded = padded_to_lanes(length);
    for (int i = 0; i < padded; i += N)
        for (int d = 0; d < size; d += N) {
            lanes block[N];
            UNROLL for (int r = 0; r < N; r++) block[r] = i + r < length ? at(rows, i + r, d) : all(0);
            transpose(block);
            UNROLL for (int r = 0; r < N; r++) store(out + (ptrdiff_t)(d + r) * padded + i, block[r]);
        }
}

/* Together: rows of a batch are whole pages apart, and would all fall into the same few lines of the cache. */
APART void NAMED(copied)(numbers rows, int length, int size, float *out) {
    for (int i = 0; i < length; i++)
        for (int d = 0; d < size; d += N) store(out + (ptrdiff_t)i * size + d, at(rows, i, d));
}

/* Have queries, keys and values of a head in the second-level cache when it comes to them. */
INLINE void call_for(numbers rows, ptrdiff_t width, int length, int size) {
    for (int i = 0; i < length; i++)
        for (int part = 0; part < 3; part++)
            for (int d = 0; d < size; d += rows.halves ? 32 : 16)
                __builtin_prefetch(moved(rows, i, part * width + d).first, 0, 2);
}

static room room_in(float *scratch, int longest, int size) {
    ptrdiff_t padded = padded_to_lanes(longest), rows = padded * size;
    float *scores = scratch + 3 * rows;
    return (room){scratch, scratch + rows, scratch + 2 * rows, scores, scores + padded * padded};
}

void NAMED(attend)(const void *qkv, void *out, int halves, int heads, int size, const float *table, ptrdiff_t stride,
                   ptrdiff_t centre, const int64_t *starts, const int64_t *lengths, int64_t first, int64_t last,
                   float *scratch, int64_t longest) {
    room own = room_in(scratch, (int)longest, size);
    ptrdiff_t width = (ptrdiff_t)heads * size;
    numbers all_rows = {qkv, 3 * width, halves};
    for (int64_t example = first; example < last; example++) {
        int length = (int)lengths[example];
        numbers rows = moved(all_rows, starts[example], 0);
        numbers mixed = moved((numbers){out, width, halves}, starts[example], 0);
        for (int head = 0; head < heads; head++) {
            numbers q = moved(rows, 0, head * size), k = moved(q, 0, width), v = moved(k, 0, width);
            positions near = {0};
            if (table) {
                near.keys = table + (ptrdiff_t)head * 2 * size * stride + centre;
                near.queries = near.keys + size * stride;
                near.stride = stride;
            }
            NAMED(transposed)(q, length, size, own.queries);
            NAMED(copied)(k, length, size, own.keys);
            NAMED(copied)(v, length, size, own.values);
            if (head + 1 < heads)
                call_for(moved(q, 0, size), width, length, size);
            else if (example + 1 < last)
                call_for(moved(all_rows, starts[example + 1], 0), width, (int)lengths[example + 1], size);
            score(own, length, size, near);
            NAMED(exponentials)(own, length);
            mix_all(own, length, size, moved(mixed, 0, head * size));
        }
    }
}
