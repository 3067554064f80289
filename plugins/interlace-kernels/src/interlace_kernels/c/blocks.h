/* Blocks of whole levels: their predictors, what is asked of the rows, coefficients' gradient. */
#ifndef BLOCKS_H
#define BLOCKS_H
#include <string.h>
#include "laplace.h"
#include "small.h"

#define ROUNDING 4.440892098500626e-16 /* of a predictor: twice the machine's epsilon */
#define ROUNDING_LOOKED_AT 1e-3

/* One block of levels: its rows, and where its numbers are. */
typedef struct {
    const ik_model *m;
    const double *T;
    int64_t first, levels, last, r0, rows; /* of the levels up to `last` */
    double *fixed, *eta, *out, *zd, *zzd; /* fixed part of the random predictor; eta; slots */
    double *value, *d1, *d2, *d3;         /* slots of the random predictor */
    double *H, *AT, *inverses, *gradient, *step, *before, *score; /* by level; score is Z'd1 */
    double f, decrement;
} block;

IK_INLINE const double *covariate(const block *b, int a)
{
    return b->m->z[a] + b->r0;
}

IK_INLINE double *u_of(const block *b, int a)
{
    return b->m->u + a * b->m->G + b->first;
}

IK_INLINE int64_t row(const block *b, int64_t level)
{
    return b->m->starts[b->first + level] - b->r0;
}

/* eta = offset + X beta of one predictor. */
static void fixed_part(const block *b, const ik_predictor *p, const double *beta, double *eta)
{
    const int64_t n = b->m->n, rows = b->rows;
    int64_t i, j = 0;
    if (p->constant) {
        double x = p->offset[0];
        for (j = 0; j < p->p; j++)
            x += beta[j] * p->X[j * n + b->r0];
        for (i = 0; i < rows; i++)
            eta[i] = x;
        return;
    }
    if (p->offset_step)
        memcpy(eta, p->offset + b->r0, rows * sizeof(double));
    else
        for (i = 0; i < rows; i++)
            eta[i] = p->offset[0];
    for (; j + 4 <= p->p; j += 4) {
        const double *IK_RESTRICT x0 = p->X + j * n + b->r0, *IK_RESTRICT x1 = x0 + n,
                                  *IK_RESTRICT x2 = x1 + n, *IK_RESTRICT x3 = x2 + n;
        const double b0 = beta[j], b1 = beta[j + 1], b2 = beta[j + 2], b3 = beta[j + 3];
        IK_SIMD for (i = 0; i < rows; i++) eta[i] +=
            (b0 * x0[i] + b1 * x1[i]) + (b2 * x2[i] + b3 * x3[i]);
    }
    for (; j < p->p; j++) {
        const double *IK_RESTRICT x = p->X + j * n + b->r0;
        const double each = beta[j];
        IK_SIMD for (i = 0; i < rows; i++) eta[i] += each * x[i];
    }
}

/* Evaluate the rows at eta, weighted; the sum of the log-density is added to l, unless that is NULL. */
static int32_t evaluate_rows(const block *b, const uint8_t *want, double *l)
{
    const ik_model *m = b->m;
    const int64_t slots = interlace_slots(m->K);
    uint64_t constant = 0;
    int64_t i, s;
    int32_t failed;
    double total = 0.0;
    for (s = 0; s < m->K; s++)
        if (m->predictors[s].constant && s < 64)
            constant |= (uint64_t)1 << s;
    failed = m->rows(m->data, b->rows, m->y + b->r0, m->ldy, b->eta, m->ld, constant, want, b->out);
    if (failed)
        return 100 + failed;
    if (m->weights) {
        const double *IK_RESTRICT w = m->weights + b->r0;
        for (s = 0; s < slots; s++) {
            double *IK_RESTRICT slot = b->out + s * m->ld;
            if (want[s])
                IK_SIMD for (i = 0; i < b->rows; i++) slot[i] *= w[i];
        }
    }
    if (!l)
        return 0;
    IK_SIMD_SUM(total) for (i = 0; i < b->rows; i++) total += b->value[i];
    *l += total;
    return 0;
}

/* Rounding of a row's predictor, of the size of its largest summand. */
IK_INLINE double rounding_of(const block *b, int64_t i)
{
    const ik_predictor *p = b->m->predictors + b->m->random;
    const double offset = fabs(p->offset[p->offset_step * (b->r0 + i)]);
    const double fixed = fabs(b->fixed[i]), eta = fabs(b->eta[b->m->random * b->m->ld + i]);
    double most = offset > fixed ? offset : fixed;
    most = eta > most ? eta : most;
    return ROUNDING * most;
}

/* A decrement that rounding of the predictors alone makes, d' W d. */
static double rounding_decrement(const block *b)
{
    double total = 0.0;
    int64_t i;
    for (i = 0; i < b->rows; i++) {
        const double each = rounding_of(b, i);
        total += fabs(b->d2[i]) * each * each;
    }
    return total;
}

/* What rounding of the predictors changes f by. */
static double value_noise(const block *b)
{
    double total = 0.0;
    int64_t i;
    for (i = 0; i < b->rows; i++) {
        const double each = rounding_of(b, i);
        total += fabs(b->d1[i]) * each + fabs(b->d2[i]) * each * each;
    }
    return total;
}

/* What rounding of all rows' predictors changes f by, from what is kept of them; a decrement of it
 * where d1 is NULL. */
static double rounding_of_rows(const ik_model *m, const double *fixed, const double *eta,
                               const double *d1, const double *d2)
{
    const ik_predictor *p = m->predictors + m->random;
    double total = 0.0;
    int64_t i;
    for (i = 0; i < m->n; i++) {
        double most = fabs(p->offset[p->offset_step * i]), each;
        most = fabs(fixed[i]) > most ? fabs(fixed[i]) : most;
        most = fabs(eta[i]) > most ? fabs(eta[i]) : most;
        each = ROUNDING * most;
        total += fabs(d2[i]) * each * each + (d1 ? fabs(d1[i]) * each : 0.0);
    }
    return total;
}

/* Add X' score of every predictor. */
static void gradient_of_coefficients(const block *b, double *dbeta)
{
    const ik_model *m = b->m;
    const int64_t K = m->K, r = m->random, ld = m->ld, rows = b->rows;
    const double *IK_RESTRICT lever = b->eta + r * ld, *IK_RESTRICT moved = b->fixed;
    int64_t k, i, j;
    for (k = 0; k < K; k++) {
        const ik_predictor *p = m->predictors + k;
        double *score = b->d1, total = 0.0;
        if (!p->p)
            continue;
        if (k != r) {
            const int64_t low = k < r ? k : r, high = k < r ? r : k;
            const double *IK_RESTRICT cross = b->out + interlace_slot(K, -1, low, high) * ld;
            const double *IK_RESTRICT third =
                b->out + (k < r ? interlace_slot(K, k, r, r) : interlace_slot(K, r, r, k)) * ld;
            double *IK_RESTRICT own = b->out + interlace_slot(K, -1, -1, k) * ld;
            IK_SIMD for (i = 0; i < rows; i++) own[i] =
                lever[i] * third[i] + cross[i] * moved[i] - own[i];
            score = own;
        }
        if (p->constant) {
            IK_SIMD_SUM(total) for (i = 0; i < rows; i++) total += score[i];
            for (j = 0; j < p->p; j++)
                dbeta[j] += total * p->X[j * m->n + b->r0];
        } else
            for (j = 0; j < p->p; j++)
                dbeta[j] += dot(p->X + j * m->n + b->r0, score, rows);
        dbeta += p->p;
    }
}

/* The slots that a search for the mode asks for, and those of the gradient. */
static void what_is_wanted(const ik_model *m)
{
    const int64_t K = m->K, r = m->random, slots = interlace_slots(K);
    uint8_t *mode = m->want, *all = m->want + slots;
    int64_t k;
    memset(m->want, 0, 2 * slots);
    mode[0] = mode[interlace_slot(K, -1, -1, r)] = mode[interlace_slot(K, -1, r, r)] = 1;
    memcpy(all, mode, slots);
    all[interlace_slot(K, r, r, r)] = 1;
    for (k = 0; k < K; k++)
        if (m->predictors[k].p && k != r) {
            all[interlace_slot(K, -1, -1, k)] = 1;
            all[interlace_slot(K, -1, k < r ? k : r, k < r ? r : k)] = 1;
            all[k < r ? interlace_slot(K, k, r, r) : interlace_slot(K, r, r, k)] = 1;
        }
}

/* Take whole levels from `first` on, as many as a block of rows holds. */
static void next_block(block *b)
{
    const int64_t *starts = b->m->starts;
    b->first += b->levels;
    b->r0 = starts[b->first];
    b->levels = 1;
    while (b->first + b->levels < b->last &&
           starts[b->first + b->levels + 1] - b->r0 <= b->m->block_rows)
        b->levels++;
    b->rows = starts[b->first + b->levels] - b->r0;
}

/* A block before the first level, whose numbers are where a thread has them. */
static block prepared_for(const ik_model *m, const double *T, int64_t thread)
{
    const int64_t K = m->K, r = m->random, ld = m->ld, c = m->c, slots = interlace_slots(K);
    block b;
    memset(&b, 0, sizeof b);
    b.m = m;
    b.T = T;
    b.last = m->G;
    b.fixed = m->rows_at + thread * ld * (K + 1 + slots + c * (c + 3));
    b.eta = b.fixed + ld;
    b.out = b.eta + K * ld;
    b.zd = b.out + slots * ld;
    b.zzd = b.zd + c * ld;
    b.value = b.out;
    b.d1 = b.out + interlace_slot(K, -1, -1, r) * ld;
    b.d2 = b.out + interlace_slot(K, -1, r, r) * ld;
    b.d3 = b.out + interlace_slot(K, r, r, r) * ld;
    b.H = m->levels_at + thread * ld * (3 * c * c + 4 * c);
    b.AT = b.H + c * c * ld;
    b.inverses = b.AT + c * c * ld;
    b.gradient = b.inverses + c * c * ld;
    b.step = b.gradient + c * ld;
    b.before = b.step + c * ld;
    b.score = b.before + c * ld;
    return b;
}

static block prepared(const ik_model *m, const double *T)
{
    return prepared_for(m, T, 0);
}

/* The fixed parts of all predictors; the random one's goes to `fixed`. */
static void fixed_parts(const block *b, const double *beta)
{
    int64_t k;
    for (k = 0; k < b->m->K; k++) {
        double *eta = k == b->m->random ? b->fixed : b->eta + k * b->m->ld;
        fixed_part(b, b->m->predictors + k, beta, eta);
        beta += b->m->predictors[k].p;
    }
}

static int64_t coefficients(const ik_model *m)
{
    int64_t k, p = 0;
    for (k = 0; k < m->K; k++)
        p += m->predictors[k].p;
    return p;
}

#endif
