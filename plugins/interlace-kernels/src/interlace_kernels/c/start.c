/* Sums over rows where a fit starts: the model without random effects, and what scales a search. */
#include "mode.h"

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
static void times(const block *b, const ik_predictor *p, int64_t j, const double *w, double *out)
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
                    times(b, p, i, second(b, k, l), product);
                for (j = 0; j < q->p; j++, column++)
                    if (column >= row)
                        information[row * P + column] -=
                            dot(q->X + j * m->n + b->r0, product, b->rows);
            }
    }
}

static void mirror(int64_t P, double *information)
{
    int64_t i, j;
    for (i = 0; i < P; i++)
        for (j = 0; j < i; j++)
            information[i * P + j] = information[j * P + i];
}

/* The largest squared slope of a row in the first predictor, relative to its curvature. */
static double largest_pull(const block *b, double most)
{
    const double *first = b->out + interlace_slot(b->m->K, -1, -1, 0) * b->m->ld;
    const double *curvature = second(b, 0, 0);
    int64_t i;
    for (i = 0; i < b->rows; i++) {
        const double square = first[i] * first[i], size = fabs(curvature[i]);
        if (!(square <= most * size)) {
            most = square / size;
            if (!(most < INFINITY))
                return INFINITY;
        }
    }
    return most;
}

IK_EXPORT int32_t ik_slopes(const ik_model *m, const double *beta, double *value,
                              double *gradient, double *information, double *pull)
{
    const int64_t K = m->K, P = coefficients(m);
    block b = prepared(m, 0);
    int64_t k, j;
    memset(gradient, 0, P * sizeof(double));
    memset(information, 0, P * P * sizeof(double));
    *value = *pull = 0.0;
    want_curvature(m, m->want);
    for (b.r0 = 0; b.r0 < m->n; b.r0 += b.rows) {
        const double *own = beta;
        double *slope = gradient;
        int32_t failed;
        b.rows = m->n - b.r0 < m->block_rows ? m->n - b.r0 : m->block_rows;
        for (k = 0; k < K; k++) {
            fixed_part(&b, m->predictors + k, own, b.eta + k * m->ld);
            own += m->predictors[k].p;
        }
        failed = evaluate_rows(&b, m->want, value);
        if (failed)
            return failed;
        for (k = 0; k < K; k++)
            for (j = 0; j < m->predictors[k].p; j++)
                *slope++ += dot(m->predictors[k].X + j * m->n + b.r0,
                                b.out + interlace_slot(K, -1, -1, k) * m->ld, b.rows);
        add_curvature(&b, P, b.fixed, information);
        if (*pull < INFINITY)
            *pull = largest_pull(&b, *pull);
    }
    mirror(P, information);
    return 0;
}

/* Subtract what the effects of the block's levels take of the information: with H = L L', columns
 * of L^-1 T'Z'd x. `work` holds P x levels x c numbers. */
IK_INLINE void subtract_effects(const int c, const int one, const block *b, int64_t P,
                                double *product, double *work, double *information)
{
    const ik_model *m = b->m;
    const int64_t size = b->levels * c;
    int64_t k, j, level, i, place = 0;
    int a, d;
    for (k = 0; k < m->K; k++)
        for (j = 0; j < m->predictors[k].p; j++, place++) {
            times(b, m->predictors + k, j, second(b, k, m->random), product);
            for (level = 0; level < b->levels; level++) {
                const double *L = b->H + level * c * c;
                double sums[LARGEST_C] = {0.0}, *w = work + place * size + level * c;
                for (i = row(b, level); i < row(b, level + 1); i++)
                    for (a = 0; a < c; a++)
                        sums[a] += (one && a == 0 ? 1.0 : covariate(b, a)[i]) * product[i];
                apply_transposed(c, b->T, sums, w);
                for (a = 0; a < c; a++) {
                    for (d = 0; d < a; d++)
                        w[a] -= L[a * c + d] * w[d];
                    w[a] /= L[a * c + a];
                }
            }
        }
    for (i = 0; i < P; i++)
        for (j = i; j < P; j++)
            information[i * P + j] -= dot(work + i * size, work + j * size, size);
}

IK_INLINE int32_t information_at(const int c, const int one, const ik_model *m, const double *T,
                                 const double *beta, double *work, double *information,
                                 double *effects)
{
    const int64_t P = coefficients(m);
    uint8_t *want = m->want + 2 * interlace_slots(m->K);
    block b = prepared(m, T);
    int64_t steps = 0, level, i;
    memset(information, 0, P * P * sizeof(double));
    what_is_wanted(m);
    want_curvature(m, want);
    while (b.first + b.levels < m->G) {
        double unused = 0.0, *product = b.zd;
        int32_t failed;
        int a;
        next_block(&b);
        fixed_parts(&b, beta);
        failed = find_mode(c, one, &b, &steps);
        if (!failed)
            failed = evaluate_rows(&b, want, &unused);
        if (failed)
            return failed;
        add_curvature(&b, P, product, information);
        subtract_effects(c, one, &b, P, product, work, information);
        for (level = 0; level < b.levels; level++)
            for (a = 0; a < c; a++) {
                double sum = 0.0;
                for (i = row(&b, level); i < row(&b, level + 1); i++) {
                    const double z = one && a == 0 ? 1.0 : covariate(&b, a)[i];
                    sum -= z * z * b.d2[i];
                }
                effects[a * m->G + b.first + level] = sum;
            }
    }
    mirror(P, information);
    return 0;
}

#define WITH(C, ONE)                                                                               \
    if (m->c == C && (m->z[0] == 0) == ONE)                                                        \
        return information_at(C, ONE, m, T, beta, work, information, effects);

IK_EXPORT int32_t ik_information(const ik_model *m, const double *T, const double *beta,
                                 double *work, double *information, double *effects)
{
    WITH(1, 1)
    if (m->c < 1 || m->c > LARGEST_C)
        return 1;
    return information_at((int)m->c, m->z[0] == 0, m, T, beta, work, information, effects);
}
