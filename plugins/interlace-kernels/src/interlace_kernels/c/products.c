/* One pass over the rows of a linear model, in whatever order they are: nothing is sorted, and no
 * column is copied but in blocks that stay in cache. What a row adds to its level is one short run
 * of memory, so that levels far apart cost a cache line or two.
 */
#include "products.h"
#include <string.h>

#define LANES 8  /* numbers that a row's run is a multiple of */

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

/* Write [X r] of m rows, a row of `step` numbers each; r by way of `line`. */
static void columns(const ik_row_products *m, int64_t row, int64_t rows, double *t, int64_t step,
                    double *IK_RESTRICT line)
{
    const int64_t p = m->p1 - 1;
    int64_t i, j;
    double *IK_RESTRICT r = line + ROWS;
    gather(m->y, row, rows, r, 1);
    if (m->offset.at) {
        gather(m->offset, row, rows, line, 1);
        IK_SIMD for (i = 0; i < rows; i++) r[i] -= line[i];
    }
    for (j = 0; j < p; j++) {
        const double b = m->beta[j];
        gather(m->X[j], row, rows, line, 1);
        IK_SIMD for (i = 0; i < rows; i++) r[i] -= b * line[i];
        for (i = 0; i < rows; i++)
            t[i * step + j] = line[i];
    }
    for (i = 0; i < rows; i++)
        t[i * step + p] = r[i];
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

/* The rows of one factor in a block: the size of a row's run is told when compiled where short. */
static void by_level(const ik_level_sums *f, int64_t p1, int64_t row, int64_t rows,
                     const double *t, int64_t size, const double *w)
{
    const int64_t c = f->c, *codes = f->codes + row;
    int64_t i;
    if (size == LANES)
        for (i = 0; i < rows; i++)
            add(c, t + i * LANES + p1, w[i], t + i * LANES, LANES,
                f->records + codes[i] * c * LANES);
    else
        for (i = 0; i < rows; i++)
            add(c, t + i * size + p1, w[i], t + i * size, size, f->records + codes[i] * c * size);
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
    double *w = m->work, *line = w + ROWS, *t = line + 2 * ROWS, *sums = t + size * ROWS;
    int64_t row, i, j, f;
    memset(m->SS, 0, (size_t)(p1 * p1) * sizeof(double));
    for (row = 0; row < m->n; row += ROWS) {
        const int64_t rows = m->n - row < ROWS ? m->n - row : ROWS;
        memset(t, 0, (size_t)(rows * size) * sizeof(double));
        columns(m, row, rows, t, size, line);
        gather(m->weights, row, rows, w, 1);
        /* a block by itself: sums of a million terms one by one would lose digits */
        memset(sums, 0, (size_t)(p1 * size) * sizeof(double));
        for (i = 0; i < rows; i++)
            add(p1, t + i * size, w[i], t + i * size, size, sums);
        for (i = 0; i < p1; i++)
            for (j = 0; j < p1; j++)
                m->SS[i * p1 + j] += sums[i * size + j];
        for (f = 0; f < m->F; f++) {
            const ik_level_sums *each = m->factors + f;
            for (j = 0; j < each->c; j++)
                gather(each->z[j], row, rows, t + p1 + j, size);
            by_level(each, p1, row, rows, t, size, w);
        }
    }
    for (f = 0; f < m->F; f++)
        unpack(m->factors + f, p1, size);
    return 0;
}
