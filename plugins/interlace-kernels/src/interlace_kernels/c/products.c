/* One pass over the rows of a linear model, in whatever order they are: nothing is sorted, and no
 * column is copied but in blocks that stay in cache. What a row adds to its level is one short run
 * of memory, so that levels far apart cost a cache line or two.
 */
#include "products.h"
#include <string.h>

#define RUN 4 /* rows of one level that are added at once */

/* Write m numbers of a column from a row on, each `step` numbers apart. */
static void gather(ik_strided x, int64_t row, int64_t m, double *IK_RESTRICT out, int64_t step)
{
    const double *IK_RESTRICT from = x.at + (x.at ? row * x.stride : 0);
    int64_t i;
    if (!x.at)
        for (i = 0; i < m; i++)
            out[i * step] = 1.0;
    else if (x.stride == 1)
        for (i = 0; i < m; i++)
            out[i * step] = from[i];
    else
        for (i = 0; i < m; i++)
            out[i * step] = from[i * x.stride];
}

/* Write the columns of [X r] of m rows, LINE numbers apart. */
static void columns(const ik_row_products *m, int64_t row, int64_t rows, double *lines)
{
    const int64_t p = m->p1 - 1;
    double *IK_RESTRICT r = lines + p * LINE, *IK_RESTRICT offset = r + LINE;
    int64_t i, j;
    gather(m->y, row, rows, r, 1);
    if (m->offset.at) {
        gather(m->offset, row, rows, offset, 1);
        IK_SIMD for (i = 0; i < rows; i++) r[i] -= offset[i];
    }
    for (j = 0; j < p; j++) {
        const double b = m->beta[j];
        double *IK_RESTRICT x = lines + j * LINE;
        gather(m->X[j], row, rows, x, 1);
        IK_SIMD for (i = 0; i < rows; i++) r[i] -= b * x[i];
    }
}

/* Add the products of a column with `few` others, LINE numbers apart: sums by themselves. */
IK_INLINE void dots(const int few, const double *IK_RESTRICT a, const double *IK_RESTRICT b,
                    int64_t rows, double *out)
{
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
    int64_t i;
    if (few == 4) {
        IK_SIMD_SUM(s0, s1, s2, s3) for (i = 0; i < rows; i++)
        {
            s0 += a[i] * b[i];
            s1 += a[i] * b[i + LINE];
            s2 += a[i] * b[i + 2 * LINE];
            s3 += a[i] * b[i + 3 * LINE];
        }
        out[1] += s1;
        out[2] += s2;
        out[3] += s3;
    } else
        IK_SIMD_SUM(s0) for (i = 0; i < rows; i++) s0 += a[i] * b[i];
    out[0] += s0;
}

/* Add the weighted products of the columns of a block, its lower triangle's by rows of SS. A block
 * by itself: sums of a million terms one by one would lose digits. */
static void squares(const ik_row_products *m, int64_t rows, const double *lines, const double *w,
                    double *IK_RESTRICT weighted)
{
    const int64_t p1 = m->p1;
    int64_t i, j, k;
    for (j = 0; j < p1; j++) {
        const double *IK_RESTRICT x = lines + j * LINE, *one = x;
        if (m->weights.at) {
            IK_SIMD for (i = 0; i < rows; i++) weighted[i] = w[i] * x[i];
            one = weighted;
        }
        for (k = 0; k + 4 <= j + 1; k += 4)
            dots(4, one, lines + k * LINE, rows, m->SS + j * p1 + k);
        for (; k <= j; k++)
            dots(1, one, lines + k * LINE, rows, m->SS + j * p1 + k);
    }
}

/* Add w a b' of one row to a record, a of c numbers, b of `size`, a multiple of LANES. */
IK_INLINE void add(const int64_t c, const double *a, double w, const double *IK_RESTRICT b,
                   int64_t size, double *IK_RESTRICT record)
{
    int64_t k, q;
    for (k = 0; k < c; k++) {
        const double wa = w * a[k];
        double *IK_RESTRICT to = record + k * size;
        for (q = 0; q < size; q += LANES) {
            int64_t l;
            IK_SIMD for (l = 0; l < LANES; l++) to[q + l] += wa * b[q + l];
        }
    }
}

/* The same of RUN rows of one level: the record is read and written once for them. */
IK_INLINE void add_run(const int64_t c, const double *a, const double *w,
                       const double *IK_RESTRICT b, int64_t size, double *IK_RESTRICT record)
{
    int64_t k, q;
    for (k = 0; k < c; k++) {
        const double w0 = w[0] * a[k], w1 = w[1] * a[size + k], w2 = w[2] * a[2 * size + k],
                     w3 = w[3] * a[3 * size + k];
        double *IK_RESTRICT to = record + k * size;
        for (q = 0; q < size; q += LANES) {
            const double *IK_RESTRICT x = b + q;
            int64_t l;
            IK_SIMD for (l = 0; l < LANES; l++) to[q + l] +=
                (w0 * x[l] + w1 * x[size + l]) + (w2 * x[2 * size + l] + w3 * x[3 * size + l]);
        }
    }
}

/* The rows of one factor in a block. */
IK_INLINE void level_rows(const int64_t c, const int64_t size, const int64_t *codes, int64_t p1,
                          int64_t rows, const double *t, const double *w, double *records)
{
    int64_t i = 0;
    while (i < rows) {
        const double *b = t + i * size;
        double *record = records + codes[i] * c * size;
        if (i + RUN <= rows && codes[i] == codes[i + 1] && codes[i] == codes[i + 2] &&
            codes[i] == codes[i + 3]) {
            add_run(c, b + p1, w + i, b, size, record);
            i += RUN;
        } else {
            add(c, b + p1, w[i], b, size, record);
            i++;
        }
    }
}

/* The same: few effects and short runs are told when compiled. */
static void by_level(const ik_level_sums *f, int64_t p1, int64_t row, int64_t rows,
                     const double *t, int64_t size, const double *w)
{
    const int64_t *codes = f->codes + row;
    if (size != LANES)
        level_rows(f->c, size, codes, p1, rows, t, w, f->records);
    else if (f->c == 1)
        level_rows(1, LANES, codes, p1, rows, t, w, f->records);
    else if (f->c == 2)
        level_rows(2, LANES, codes, p1, rows, t, w, f->records);
    else
        level_rows(f->c, LANES, codes, p1, rows, t, w, f->records);
}

/* Write what the records hold, levels last. */
static void unpack(const ik_level_sums *f, int64_t p1, int64_t size)
{
    const int64_t c = f->c, L = f->L;
    int64_t g, k, q, from;
    for (from = 0; from < L; from += ROWS) {
        const int64_t end = L - from < ROWS ? L : from + ROWS;
        for (k = 0; k < c; k++) {
            const double *records = f->records + k * size;
            for (q = 0; q < p1; q++)
                for (g = from; g < end; g++)
                    f->Zs[(k * p1 + q) * L + g] = records[g * c * size + q];
            for (q = 0; q < c; q++)
                for (g = from; g < end; g++)
                    f->A[(k * c + q) * L + g] = records[g * c * size + p1 + q];
        }
    }
}

int32_t ik_products(const ik_row_products *m)
{
    const int64_t p1 = m->p1, size = m->size;
    double *w = m->work, *weighted = w + LINE, *lines = weighted + LINE;
    double *t = lines + (p1 + 1) * LINE;
    int64_t row, i, j, k, f;
    memset(m->SS, 0, (size_t)(p1 * p1) * sizeof(double));
    memset(t, 0, (size_t)(ROWS * size) * sizeof(double)); /* what no column fills is summed too */
    gather(m->weights, 0, m->n < ROWS ? m->n : ROWS, w, 1);
    for (row = 0; row < m->n; row += ROWS) {
        const int64_t rows = m->n - row < ROWS ? m->n - row : ROWS;
        if (m->weights.at)
            gather(m->weights, row, rows, w, 1);
        columns(m, row, rows, lines);
        squares(m, rows, lines, w, weighted);
        for (i = 0; i < rows && m->F; i += LANES) {
            const int64_t end = rows - i < LANES ? rows : i + LANES;
            for (j = 0; j < p1; j++)
                for (k = i; k < end; k++)
                    t[k * size + j] = lines[j * LINE + k];
        }
        for (f = 0; f < m->F; f++) {
            const ik_level_sums *each = m->factors + f;
            for (j = 0; j < each->c; j++)
                gather(each->z[j], row, rows, t + p1 + j, size);
            by_level(each, p1, row, rows, t, size, w);
        }
    }
    for (i = 0; i < p1; i++)
        for (j = 0; j < i; j++)
            m->SS[j * p1 + i] = m->SS[i * p1 + j];
    for (f = 0; f < m->F; f++)
        unpack(m->factors + f, p1, size);
    return 0;
}
