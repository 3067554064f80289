/* X' d X of the rows' second derivatives d, block by block. */
#ifndef CURVATURE_H
#define CURVATURE_H
#include "blocks.h"

/* The derivatives that are asked for: of first and second order in the predictors with
 * coefficients, and in the first one. */
static void want_curvature(const ik_model *m, uint8_t *want)
{
    const int64_t K = m->K, r = m->random;
    int64_t k, l;
    memset(want, 0, interlace_slots(K));
    want[0] = want[interlace_slot(K, -1, -1, 0)] = want[interlace_slot(K, -1, 0, 0)] = 1;
    for (k = 0; k < K; k++) {
        if (!m->predictors[k].p)
            continue;
        want[interlace_slot(K, -1, -1, k)] = 1;
        want[interlace_slot(K, -1, k < r ? k : r, k < r ? r : k)] = 1;
        for (l = k; l < K; l++)
            if (m->predictors[l].p)
                want[interlace_slot(K, -1, k, l)] = 1;
    }
}

static const double *second(const block *b, int64_t k, int64_t l)
{
    return b->out + interlace_slot(b->m->K, -1, k < l ? k : l, k < l ? l : k) * b->m->ld;
}

/* Write a column of X times a derivative. */
static void column_times(const block *b, const ik_predictor *p, int64_t j, const double *w, double *out)
{
    const double *IK_RESTRICT x = p->X + j * b->m->n + b->r0, *IK_RESTRICT weight = w;
    double *IK_RESTRICT product = out;
    int64_t i;
    IK_SIMD for (i = 0; i < b->rows; i++) product[i] = x[i] * weight[i];
}

/* Add -X_k' d_kl X_l, above the diagonal of what is P x P; `product` holds a number for each row. */
static void add_curvature(const block *b, int64_t P, double *product, double *information)
{
    const ik_model *m = b->m;
    int64_t k, l, i, j, row = 0, column;
    for (k = 0; k < m->K; k++) {
        const ik_predictor *p = m->predictors + k;
        for (i = 0; i < p->p; i++, row++)
            for (l = k, column = row - i; l < m->K; l++) {
                const ik_predictor *q = m->predictors + l;
                if (q->p)
                    column_times(b, p, i, second(b, k, l), product);
                for (j = 0; j < q->p; j++, column++)
                    if (column >= row)
                        information[row * P + column] -=
                            dot(q->X + j * m->n + b->r0, product, b->rows);
            }
    }
}

static void mirror_square(int64_t P, double *information)
{
    int64_t i, j;
    for (i = 0; i < P; i++)
        for (j = 0; j < i; j++)
            information[i * P + j] = information[j * P + i];
}

#endif
