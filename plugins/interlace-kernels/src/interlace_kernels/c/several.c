/* Laplace's approximation for several factors, nested or crossed, of some effects each.
 *
 * Rows go by in blocks; what the mode needs of them are sums by level and by pair of levels that
 * meet. All else happens on those: Newton steps, log|H|, the entries of its inverse, the adjoint.
 * Where a factorisation takes longer than some passes over the data, one from elsewhere
 * preconditions conjugate gradients, and only the mode gets one of its own. The formulas are those
 * of interlace_approximations.laplace and interlace_core.engine.
 */
#include "curvature.h"
#include "elimination.h"

#define MOST_PRODUCTS 30 /* of a step, before there is a factorisation instead */
#define MOST_REACH 2.0   /* change of a predictor beyond which the last mode is no start */
#define TOL_REL_FAR 1e-2
#define TOL_REL_NEAR 1e-10

typedef struct {
    ik_model m; /* its factor is not looked at: G, c, starts, z */
    ik_elimination e;
    const int32_t *code[MOST_FACTORS];               /* level of each row */
    const int32_t *pair[MOST_FACTORS][MOST_FACTORS]; /* pair of each row, i < j */
    const double *z[MOST_FACTORS][MOST_COLUMNS];     /* NULL for ones */
    int64_t bargain; /* products with H after which a factorisation was the better bargain */
    int64_t known;   /* whether there is one, of an H near by */
    int64_t last;    /* whether `eta` and what is stored are those of the last mode */
    double *eta;     /* n: of the random predictor at the last mode */
    double *A;       /* entries */
    double *vectors; /* 11 q */
    double *stored;  /* n (2 + slots wanted) */
} ik_several;

enum { EFFECT, GRADIENT, STEP, BEFORE, ADJOINT, DIRECTION, RESIDUAL, SOLVED, SCRATCH };

typedef struct {
    ik_several *s;
    const double *T, *beta;
    int64_t kept, slot[64]; /* slots that are kept by row */
    int begun;              /* whether the fixed parts of the random predictor are kept */
    double f, decrement;
} several;

IK_INLINE double *vector(const several *b, int which)
{
    return b->s->vectors + which * b->s->e.q;
}

IK_INLINE double *kept(const several *b, int64_t k)
{
    return b->s->stored + k * b->s->m.n;
}

static double *kept_slot(const several *b, int64_t slot)
{
    int64_t k;
    for (k = 0; k < b->kept; k++)
        if (b->slot[k] == slot)
            return kept(b, 2 + k);
    return 0;
}

/* out[stride index] += x, for each row. Rows of one level in a row, as of a factor that they are
 * sorted by, are summed first: each would wait for what the one before it stored. */
IK_INLINE void add_by(double *out, int64_t stride, const int32_t *index, const double *x, int64_t n)
{
    int64_t i, end;
    for (i = 0; i < n; i = end) {
        const int32_t at = index[i];
        end = i + 1;
        while (end < n && index[end] == at)
            end++;
        out[stride * at] += end - i > 1 ? sum_of(x, i, end) : x[i];
    }
}

/* x times a covariate; x itself where that is ones. */
IK_INLINE const double *times(const double *x, const double *z, int64_t n, double *out)
{
    int64_t i;
    if (!z)
        return x;
    IK_SIMD for (i = 0; i < n; i++) out[i] = x[i] * z[i];
    return out;
}

IK_INLINE const double *covariate_of(const several *b, int64_t f, int64_t a, int64_t r0)
{
    const double *z = b->s->z[f][a];
    return z ? z + r0 : 0;
}

/* Add Z'x of a block of rows to the factors' sums. */
static void add_sums(const several *b, int64_t r0, int64_t n, const double *x, double *sums,
                     double *spare)
{
    const ik_elimination *e = &b->s->e;
    int64_t f, a;
    for (f = 0; f < e->F; f++)
        for (a = 0; a < e->c[f]; a++)
            add_by(sums + e->start[f] + a * e->L[f], 1, b->s->code[f] + r0,
                   times(x, covariate_of(b, f, a, r0), n, spare), n);
}

/* Add Z'WZ of a block of rows to A, w the weights less their sign. */
static void add_products(const several *b, int64_t r0, int64_t n, const double *w, double *spare)
{
    const ik_elimination *e = &b->s->e;
    int64_t i, j, a, d;
    for (i = 0; i < e->F; i++)
        for (a = 0; a < e->c[i]; a++) {
            const double *wa = times(w, covariate_of(b, i, a, r0), n, spare);
            for (j = i; j < e->F; j++)
                for (d = i == j ? a : 0; d < e->c[j]; d++) {
                    const int32_t *index = i == j ? b->s->code[i] : b->s->pair[i][j];
                    double *at = b->s->A + e->block[i][j] + d * e->c[i] + a;
                    add_by(at, e->c[i] * e->c[j], index + r0,
                           times(wa, covariate_of(b, j, d, r0), n, spare + b->s->m.ld), n);
                }
        }
}

/* The other halves of the diagonal blocks of A. */
static void mirror(const several *b)
{
    const ik_elimination *e = &b->s->e;
    int64_t f, l, a, d;
    for (f = 0; f < e->F; f++)
        for (l = 0; l < e->L[f] && e->c[f] > 1; l++) {
            double *A = b->s->A + e->block[f][f] + l * e->c[f] * e->c[f];
            for (a = 0; a < e->c[f]; a++)
                for (d = 0; d < a; d++)
                    A[d * e->c[f] + a] = A[a * e->c[f] + d];
        }
}

/* eta += Z b of a block of rows. */
static void add_effects(const several *b, int64_t r0, int64_t n, const double *effect, double *eta)
{
    const ik_elimination *e = &b->s->e;
    int64_t f, a, i;
    for (f = 0; f < e->F; f++)
        for (a = 0; a < e->c[f]; a++) {
            const double *own = effect + e->start[f] + a * e->L[f];
            const double *z = covariate_of(b, f, a, r0);
            const int32_t *code = b->s->code[f] + r0;
            if (z)
                for (i = 0; i < n; i++)
                    eta[i] += z[i] * own[code[i]];
            else
                for (i = 0; i < n; i++)
                    eta[i] += own[code[i]];
        }
}

/* The rows of a block from r0 on. */
static block rows_from(const ik_several *s, int64_t r0)
{
    block rows = prepared(&s->m, 0);
    rows.r0 = r0;
    rows.rows = s->m.n - r0 < s->m.block_rows ? s->m.n - r0 : s->m.block_rows;
    return rows;
}

/* Evaluate all rows at u: f, its gradient, and A; with `third` all slots are kept by row. */
static int32_t evaluate(several *b, int third)
{
    ik_several *s = b->s;
    const ik_model *m = &s->m;
    const int64_t r = m->random, q = s->e.q;
    const uint8_t *want = m->want + (third ? interlace_slots(m->K) : 0);
    double l = 0.0, *sums = vector(b, SCRATCH), *gradient = vector(b, GRADIENT);
    int64_t r0, k, i;
    ik_template(&s->e, b->T, 0, m->u, vector(b, EFFECT));
    memset(sums, 0, q * sizeof(double));
    memset(s->A, 0, s->e.entries * sizeof(double));
    for (r0 = 0; r0 < m->n; r0 += m->block_rows) {
        block rows = rows_from(s, r0);
        double *eta = rows.eta + r * m->ld, *weight = rows.zd;
        int32_t failed;
        rows.fixed = kept(b, 0) + r0;
        if (!b->begun || m->K > 1)
            fixed_parts(&rows, b->beta);
        memcpy(eta, rows.fixed, rows.rows * sizeof(double));
        add_effects(b, r0, rows.rows, vector(b, EFFECT), eta);
        memcpy(kept(b, 1) + r0, eta, rows.rows * sizeof(double));
        failed = evaluate_rows(&rows, want, &l);
        if (failed)
            return failed;
        IK_SIMD for (i = 0; i < rows.rows; i++) weight[i] = -rows.d2[i];
        add_sums(b, r0, rows.rows, rows.d1, sums, weight + m->ld);
        add_products(b, r0, rows.rows, weight, weight + m->ld);
        for (k = 0; k < b->kept; k++)
            if (want[b->slot[k]])
                memcpy(kept(b, 2 + k) + r0, rows.out + b->slot[k] * m->ld,
                       rows.rows * sizeof(double));
    }
    b->begun = 1;
    mirror(b);
    ik_template(&s->e, b->T, 1, sums, gradient);
    IK_SIMD for (i = 0; i < q; i++) gradient[i] = m->u[i] - gradient[i];
    b->f = 0.5 * dot(m->u, m->u, q) - l;
    return 0;
}

/* What rounding of the predictors makes: a decrement, or a change of f. */
static double rounding(const several *b, int decrement)
{
    const ik_model *m = &b->s->m;
    return rounding_of_rows(m, kept(b, 0), kept(b, 1),
                            decrement ? 0 : kept_slot(b, interlace_slot(m->K, -1, -1, m->random)),
                            kept_slot(b, interlace_slot(m->K, -1, m->random, m->random)));
}

/* Continue the last mode to this psi: where to start, never what to answer. To first order the slope
 * of f there changes by what psi does to the random predictor; the step that this calls for needs
 * no look at the density. As far off as a search from 0 is shorter, u is 0. */
static int32_t predict(several *b)
{
    ik_several *s = b->s;
    const ik_model *m = &s->m;
    const int64_t q = s->e.q, r = m->random;
    const double *d1 = kept_slot(b, interlace_slot(m->K, -1, -1, r));
    const double *d2 = kept_slot(b, interlace_slot(m->K, -1, r, r));
    double *sums = vector(b, SCRATCH), *slope = vector(b, SOLVED), reach = 0.0;
    int64_t r0, i;
    ik_template(&s->e, b->T, 0, m->u, vector(b, EFFECT));
    memset(sums, 0, q * sizeof(double));
    for (r0 = 0; r0 < m->n; r0 += m->block_rows) {
        block rows = rows_from(s, r0);
        double *IK_RESTRICT score = rows.zd;
        const double *IK_RESTRICT before = s->eta + r0, *IK_RESTRICT first = d1 + r0;
        const double *IK_RESTRICT second = d2 + r0;
        rows.fixed = kept(b, 0) + r0;
        fixed_parts(&rows, b->beta);
        memcpy(score, rows.fixed, rows.rows * sizeof(double));
        add_effects(b, r0, rows.rows, vector(b, EFFECT), score);
        for (i = 0; i < rows.rows; i++) {
            const double change = score[i] - before[i];
            reach = fabs(change) <= reach ? reach : fabs(change);
            score[i] = first[i] + second[i] * change;
        }
        add_sums(b, r0, rows.rows, score, sums, score + m->ld);
    }
    b->begun = 1;
    if (!(reach <= MOST_REACH)) {
        memset(m->u, 0, q * sizeof(double));
        return 0;
    }
    ik_template(&s->e, b->T, 1, sums, slope);
    IK_SIMD for (i = 0; i < q; i++) slope[i] = m->u[i] - slope[i];
    if (ik_solve(&s->e, slope))
        return 1;
    IK_SIMD for (i = 0; i < q; i++) m->u[i] -= slope[i];
    return 0;
}

/* A step by conjugate gradients, preconditioned by the factorisation that is known; 0 where H is
 * not positive definite or the factorisation is of an H too far off. */
static int step_by_products(several *b)
{
    const ik_elimination *e = &b->s->e;
    const int64_t q = e->q;
    double *step = vector(b, STEP), *direction = vector(b, DIRECTION), first, size, relative;
    double *residual = vector(b, RESIDUAL), *solved = vector(b, SOLVED), *scratch = vector(b, SCRATCH);
    int64_t i, round;
    memset(step, 0, q * sizeof(double));
    IK_SIMD for (i = 0; i < q; i++) residual[i] = -vector(b, GRADIENT)[i];
    memcpy(solved, residual, q * sizeof(double));
    if (ik_solve(e, solved))
        return 0;
    memcpy(direction, solved, q * sizeof(double));
    size = first = dot(residual, solved, q);
    if (!(first >= 0.0 && first < INFINITY))
        return 0;
    relative = first / (double)(q > 1 ? q : 1);
    relative = relative > TOL_REL_NEAR ? relative : TOL_REL_NEAR;
    relative = relative < TOL_REL_FAR ? relative : TOL_REL_FAR;
    for (round = 0; round < MOST_PRODUCTS; round++) {
        double length, curvature, before = size;
        if (size <= relative * first || size <= 1e-3 * b->s->m.tol) {
            if (round == 0)
                memcpy(step, solved, q * sizeof(double));
            b->decrement = -dot(vector(b, GRADIENT), step, q);
            b->s->known = round <= b->s->bargain;
            return 1;
        }
        ik_times(e, b->s->A, b->T, direction, scratch, scratch + q);
        curvature = dot(direction, scratch, q);
        if (!(curvature > 0.0))
            return 0;
        length = size / curvature;
        IK_SIMD for (i = 0; i < q; i++) step[i] += length * direction[i];
        IK_SIMD for (i = 0; i < q; i++) residual[i] -= length * scratch[i];
        memcpy(solved, residual, q * sizeof(double));
        if (ik_solve(e, solved))
            return 0;
        size = dot(residual, solved, q);
        length = size / before;
        IK_SIMD for (i = 0; i < q; i++) direction[i] = solved[i] + length * direction[i];
    }
    return 0;
}

/* Factorise H at u, and solve for the Newton step; 0 where H is not positive definite. */
static int newton(several *b, double *log_det)
{
    const ik_elimination *e = &b->s->e;
    double *step = vector(b, STEP);
    int64_t i;
    b->s->known = 0;
    ik_weigh(e, b->s->A, b->T, 1.0);
    if (ik_factorise(e, log_det))
        return 0;
    b->s->known = 1;
    IK_SIMD for (i = 0; i < e->q; i++) step[i] = -vector(b, GRADIENT)[i];
    if (ik_solve(e, step))
        return 0;
    b->decrement = -dot(vector(b, GRADIENT), step, e->q);
    return fabs(b->decrement) < INFINITY;
}

/* Move u along the step until f is sufficiently lower; found is 0 if no length does. */
static int32_t descend(several *b, int *third, int *found)
{
    const ik_model *m = &b->s->m;
    const int64_t q = b->s->e.q;
    const double f = b->f, decrement = b->decrement, *step = vector(b, STEP);
    double *before = vector(b, BEFORE), length = 1.0, more = 0.0, noise = 1e-12 * (1.0 + fabs(f));
    int64_t halving, i;
    int32_t failed;
    *found = 0;
    *third = decrement < 1e-2;
    if (decrement <= ROUNDING_LOOKED_AT)
        more = rounding(b, 0);
    memcpy(before, m->u, q * sizeof(double));
    for (halving = 0; halving < m->max_halvings; halving++) {
        IK_SIMD for (i = 0; i < q; i++) m->u[i] = before[i] + length * step[i];
        failed = evaluate(b, *third);
        if (failed)
            return failed;
        if (b->f <= f - 1e-4 * length * decrement + noise ||
            (decrement <= ROUNDING_LOOKED_AT && length == 1.0 && b->f <= f + noise + more)) {
            *found = 1;
            return 0;
        }
        noise += length == 1.0 ? more : 0.0;
        length *= 0.5;
    }
    return 0;
}

static int32_t find_mode(several *b, double *log_det, int64_t *iterations)
{
    const ik_model *m = &b->s->m;
    int third = 1, found;
    int64_t iteration, i, moved = 0;
    int32_t failed = evaluate(b, third);
    if (failed)
        return failed;
    if (!(fabs(b->f) < INFINITY)) { /* a warm start can be useless at a distant psi */
        for (i = 0; i < b->s->e.q; i++) {
            moved |= m->u[i] != 0.0;
            m->u[i] = 0.0;
        }
        failed = moved ? evaluate(b, third) : 1;
        if (failed || !(fabs(b->f) < INFINITY))
            return failed ? failed : 1;
    }
    for (iteration = 1; iteration <= m->max_iterations; iteration++) {
        const int near = b->s->bargain && b->s->known && step_by_products(b);
        if (!near || b->decrement <= 0.1 * m->tol) {
            if (!newton(b, log_det))
                return 1;
            if (b->decrement <= m->tol ||
                (b->decrement <= ROUNDING_LOOKED_AT && b->decrement <= rounding(b, 1))) {
                *iterations = iteration;
                return third ? 0 : evaluate(b, 1);
            }
        }
        failed = descend(b, &third, &found);
        if (failed || !found)
            return failed ? failed : 1;
    }
    return 1;
}

/* Leverages of the rows of a block, half of z'T H^-1 T'z: `half` has T N T' in the layout of N. */
static void add_leverages(const several *b, int64_t r0, int64_t n, const double *V, double *out,
                          double *spare)
{
    const ik_elimination *e = &b->s->e;
    int64_t i, j, a, d, k;
    memset(out, 0, n * sizeof(double));
    for (i = 0; i < e->F; i++)
        for (j = i; j < e->F; j++) {
            const int32_t *index = (i == j ? b->s->code[i] : b->s->pair[i][j]) + r0;
            const int64_t size = e->c[i] * e->c[j];
            for (a = 0; a < e->c[i]; a++)
                for (d = i == j ? a : 0; d < e->c[j]; d++) {
                    const double *from = V + e->block[i][j] + d * e->c[i] + a;
                    const double each = i == j && a == d ? 0.5 : 1.0, *zi, *zj;
                    for (k = 0; k < n; k++)
                        spare[k] = each * from[size * index[k]];
                    zi = covariate_of(b, i, a, r0);
                    zj = covariate_of(b, j, d, r0);
                    times(spare, zi, n, spare);
                    times(spare, zj, n, spare);
                    IK_SIMD for (k = 0; k < n; k++) out[k] += spare[k];
                }
        }
}

/* V = T N T' of every pair, in the layout of N. */
static void spread_inverse(const several *b, double *V)
{
    const ik_elimination *e = &b->s->e;
    const double *Ti = b->T, *Tj;
    int64_t i, j, p, a, d, k;
    for (i = 0; i < e->F; Ti += e->c[i] * e->c[i], i++)
        for (j = i, Tj = Ti; j < e->F; Tj += e->c[j] * e->c[j], j++) {
            const int64_t ci = e->c[i], cj = e->c[j];
            for (p = 0; p < e->P[i][j]; p++) {
                const double *N = e->N + e->block[i][j] + p * ci * cj;
                double *out = V + e->block[i][j] + p * ci * cj;
                double half[MOST_COLUMNS * MOST_COLUMNS];
                for (d = 0; d < cj; d++)
                    for (a = 0; a < ci; a++) {
                        half[d * ci + a] = 0.0;
                        for (k = 0; k < ci; k++)
                            half[d * ci + a] += N[d * ci + k] * Ti[a * ci + k];
                    }
                for (d = 0; d < cj; d++)
                    for (a = 0; a < ci; a++) {
                        double total = 0.0;
                        for (k = 0; k < cj; k++)
                            total += Tj[d * cj + k] * half[k * ci + a];
                        out[d * ci + a] = total;
                    }
            }
        }
}

/* dT += sum over levels of x u', x and u by factor, c x L. */
static void add_outer(const several *b, const double *x, const double *u, double *dT)
{
    const ik_elimination *e = &b->s->e;
    int64_t f, a, d;
    for (f = 0; f < e->F; f++)
        for (a = 0; a < e->c[f]; a++)
            for (d = 0; d < e->c[f]; d++)
                *dT++ += dot(x + e->start[f] + a * e->L[f], u + e->start[f] + d * e->L[f],
                                 e->L[f]);
}

/* What `rows` need of the slots that are kept, and what the adjoint moves each row by. */
static void take_slots(const several *b, block *rows)
{
    const ik_model *m = &b->s->m;
    int64_t k;
    for (k = 0; k < b->kept; k++)
        memcpy(rows->out + b->slot[k] * m->ld, kept(b, 2 + k) + rows->r0,
               rows->rows * sizeof(double));
}

/* Value and gradient at the mode. */
static int32_t gradient(several *b, double log_det, double *value, double *dT, double *dbeta)
{
    ik_several *s = b->s;
    const ik_model *m = &s->m;
    const ik_elimination *e = &s->e;
    const int64_t q = e->q, ld = m->ld;
    double *sums = vector(b, SCRATCH), *v = vector(b, ADJOINT), *V = e->H;
    double *levers = kept(b, 1);
    int64_t r0, i;
    memcpy(s->eta, kept(b, 1), m->n * sizeof(double));
    if (ik_select(e))
        return 1;
    ik_template_slopes(e, s->A, b->T, dT);
    spread_inverse(b, V);
    /* how log|H| / 2 moves with eta, and its sums by level */
    memset(sums, 0, q * sizeof(double));
    for (r0 = 0; r0 < m->n; r0 += m->block_rows) {
        block rows = rows_from(s, r0);
        double *IK_RESTRICT moves = rows.zd, *IK_RESTRICT lever = levers + r0;
        const double *IK_RESTRICT third =
            kept_slot(b, interlace_slot(m->K, m->random, m->random, m->random)) + r0;
        add_leverages(b, r0, rows.rows, V, lever, moves);
        IK_SIMD for (i = 0; i < rows.rows; i++) lever[i] = -lever[i];
        IK_SIMD for (i = 0; i < rows.rows; i++) moves[i] = lever[i] * third[i];
        add_sums(b, r0, rows.rows, moves, sums, moves + ld);
    }
    ik_template(e, b->T, 1, sums, v);
    *value = b->f + 0.5 * log_det + 0.5 * dot(vector(b, GRADIENT), vector(b, STEP), q) +
             dot(v, vector(b, STEP), q);
    if (ik_solve(e, v))
        return 1;
    ik_template(e, b->T, 0, v, vector(b, EFFECT));
    /* effective scores; sums of them, and of the scores */
    memset(sums, 0, 2 * q * sizeof(double));
    for (r0 = 0; r0 < m->n; r0 += m->block_rows) {
        block rows = rows_from(s, r0);
        double *IK_RESTRICT lever = rows.eta + m->random * ld, *IK_RESTRICT moved = rows.fixed;
        double *IK_RESTRICT d1 = rows.d1;
        const double *IK_RESTRICT d2 = rows.d2, *IK_RESTRICT d3 = rows.d3;
        take_slots(b, &rows);
        memcpy(lever, levers + r0, rows.rows * sizeof(double));
        memset(moved, 0, rows.rows * sizeof(double));
        add_effects(b, r0, rows.rows, vector(b, EFFECT), moved);
        add_sums(b, r0, rows.rows, d1, sums + q, rows.zd);
        IK_SIMD for (i = 0; i < rows.rows; i++) d1[i] =
            lever[i] * d3[i] - d1[i] + d2[i] * moved[i];
        add_sums(b, r0, rows.rows, d1, sums, rows.zd);
        gradient_of_coefficients(&rows, dbeta);
    }
    add_outer(b, sums, m->u, dT);
    add_outer(b, sums + q, v, dT);
    return 0;
}

static several several_of(ik_several *s, const double *T, const double *beta)
{
    const int64_t slots = interlace_slots(s->m.K);
    several b;
    int64_t k;
    memset(&b, 0, sizeof b);
    b.s = s;
    b.T = T;
    b.beta = beta;
    what_is_wanted(&s->m);
    for (k = 1; k < slots && b.kept < 64; k++)
        if (s->m.want[slots + k])
            b.slot[b.kept++] = k;
    return b;
}

/* 0, or why there is no value, as for ik_laplace. Templates are c x c by factor, one after the
 * other. */
IK_EXPORT int32_t ik_laplace_several(ik_several *s, const double *T, const double *beta,
                                     double *value, double *dT, double *dbeta, int64_t *iterations)
{
    const ik_model *m = &s->m;
    several b = several_of(s, T, beta);
    double log_det = 0.0;
    int64_t f;
    int32_t failed;
    *iterations = 0;
    failed = s->known && s->last ? predict(&b) : 0;
    s->last = 0;
    if (!failed)
        failed = find_mode(&b, &log_det, iterations);
    if (failed)
        return failed;
    for (f = 0; f < s->e.F; f++) {
        memset(dT, 0, s->e.c[f] * s->e.c[f] * sizeof(double));
        dT += s->e.c[f] * s->e.c[f];
    }
    for (f = 0; f < s->e.F; f++)
        dT -= s->e.c[f] * s->e.c[f];
    memset(dbeta, 0, coefficients(m) * sizeof(double));
    failed = gradient(&b, log_det, value, dT, dbeta);
    if (failed)
        return failed;
    s->last = 1;
    return fabs(*value) < INFINITY ? 0 : 2;
}

/* Add X'WX of all rows at the mode, and Z'Wx of each column to what is P x q. */
static int32_t curvature_of_rows(const several *b, double *sums, double *information)
{
    const ik_model *m = &b->s->m;
    const int64_t q = b->s->e.q, P = coefficients(m);
    uint8_t *want = m->want + 2 * interlace_slots(m->K);
    double unused = 0.0;
    int64_t r0, k, j, i, place;
    want_curvature(m, want);
    for (r0 = 0; r0 < m->n; r0 += m->block_rows) {
        block rows = rows_from(b->s, r0);
        double *product = rows.zd;
        int32_t failed;
        fixed_parts(&rows, b->beta);
        memcpy(rows.eta + m->random * m->ld, kept(b, 1) + r0, rows.rows * sizeof(double));
        failed = evaluate_rows(&rows, want, &unused);
        if (failed)
            return failed;
        add_curvature(&rows, P, product, information);
        for (k = place = 0; k < m->K; k++)
            for (j = 0; j < m->predictors[k].p; j++, place++) {
                column_times(&rows, m->predictors + k, j, second(&rows, k, m->random), product);
                IK_SIMD for (i = 0; i < rows.rows; i++) product[i] = -product[i];
                add_sums(b, r0, rows.rows, product, sums + place * q, product + m->ld);
            }
    }
    return 0;
}

/* Information at the mode, as `ik_information`; effects by factor, c x L each. `work` has 2 P q
 * numbers. */
IK_EXPORT int32_t ik_several_information(ik_several *s, const double *T, const double *beta,
                                         double *work, double *information, double *effects)
{
    const ik_elimination *e = &s->e;
    const int64_t q = e->q, P = coefficients(&s->m);
    double log_det = 0.0, *pulled = work + P * q;
    several b = several_of(s, T, beta);
    int64_t steps = 0, f, l, a, i, j;
    int32_t failed;
    s->last = 0;
    failed = find_mode(&b, &log_det, &steps);
    if (failed)
        return failed;
    memcpy(s->eta, kept(&b, 1), (size_t)s->m.n * sizeof(double));
    s->last = 1;
    for (f = 0; f < e->F; f++)
        for (a = 0; a < e->c[f]; a++)
            for (l = 0; l < e->L[f]; l++)
                effects[e->start[f] + a * e->L[f] + l] =
                    s->A[e->block[f][f] + l * e->c[f] * e->c[f] + a * (e->c[f] + 1)];
    memset(work, 0, (size_t)(P * q) * sizeof(double));
    memset(information, 0, (size_t)(P * P) * sizeof(double));
    failed = curvature_of_rows(&b, work, information);
    if (failed)
        return failed;
    for (j = 0; j < P; j++)
        ik_template(e, T, 1, work + j * q, pulled + j * q);
    for (j = 0; j < P; j++) {
        memcpy(work, pulled + j * q, (size_t)q * sizeof(double));
        if (ik_solve(e, work))
            return 1;
        for (i = 0; i <= j; i++)
            information[i * P + j] -= dot(pulled + i * q, work, q);
    }
    mirror_square(P, information);
    return 0;
}
