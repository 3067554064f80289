/* Laplace's approximation for c = 1 ... 4 correlated effects of one factor, with exact gradient.
 *
 * Levels are independent given psi, so that blocks of whole levels, of about a thousand rows that
 * stay in the cache, go through everything: predictors, Newton steps to the mode, log|H|, adjoint
 * and gradient. The formulas are those of interlace_approximations.laplace.
 */
#include <string.h>
#include "laplace.h"
#include "small.h"

#define BLOCK_ROWS 1024
#define ROUNDING 4.440892098500626e-16 /* of a predictor: twice the machine's epsilon */
#define ROUNDING_LOOKED_AT 1e-3

/* One block of levels: its rows, and where its numbers are. */
typedef struct {
    const ik_model *m;
    const double *T;
    int64_t first, levels, r0, rows;
    double *fixed, *eta, *out, *zd, *zzd; /* fixed part of the random predictor; eta; slots */
    double *value, *d1, *d2, *d3;         /* slots of the random predictor */
    double *H, *AT, *gradient, *step, *before;
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

/* Evaluate the rows at the u of the block; f is -l + |u|^2 / 2. */
IK_INLINE int32_t evaluate(const int c, const int one, block *b, int third)
{
    const ik_model *m = b->m;
    const int64_t slots = interlace_slots(m->K);
    const uint8_t *want = m->want + (third ? slots : 0);
    double *IK_RESTRICT eta = b->eta + m->random * m->ld, f = 0.0, l = 0.0;
    uint64_t constant = 0;
    int64_t level, i, s;
    int32_t failed;
    int a, d;
    for (level = 0; level < b->levels; level++) {
        double effect[LARGEST_C];
        const int64_t low = row(b, level), high = row(b, level + 1);
        for (a = 0; a < c; a++) {
            const double u = u_of(b, a)[level];
            f += 0.5 * u * u;
            effect[a] = 0.0;
            for (d = 0; d < c; d++)
                effect[a] += b->T[a * c + d] * u_of(b, d)[level];
        }
        for (i = low; i < high; i++) {
            double x = b->fixed[i];
            for (a = 0; a < c; a++)
                x += one && a == 0 ? effect[a] : effect[a] * covariate(b, a)[i];
            eta[i] = x;
        }
    }
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
    IK_SIMD_SUM(l) for (i = 0; i < b->rows; i++) l += b->value[i];
    b->f = f - l;
    return 0;
}

/* Gradient of f, Cholesky factor of H and Newton step of every level; 0 if some H is not positive
 * definite. */
IK_INLINE int newton(const int c, const int one, block *b)
{
    const int64_t ld = b->m->ld;
    double decrement = 0.0;
    int64_t level, i;
    int a, d, place;
    for (a = one; a < c; a++) {
        /* products first, in loops over all rows of the block, then sums of short stretches */
        const double *IK_RESTRICT za = covariate(b, a);
        double *IK_RESTRICT first = b->zd + a * ld;
        IK_SIMD for (i = 0; i < b->rows; i++) first[i] = za[i] * b->d1[i];
        for (d = 0; d <= a; d++) {
            double *IK_RESTRICT second = b->zzd + (a * (a + 1) / 2 + d) * ld;
            if (one && d == 0)
                IK_SIMD for (i = 0; i < b->rows; i++) second[i] = za[i] * b->d2[i];
            else {
                const double *IK_RESTRICT zd = covariate(b, d);
                IK_SIMD for (i = 0; i < b->rows; i++) second[i] = za[i] * zd[i] * b->d2[i];
            }
        }
    }
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        double score[LARGEST_C], A[LARGEST_C * LARGEST_C], pulled[LARGEST_C];
        double *H = b->H + level * c * c, *AT = b->AT + level * c * c;
        double *gradient = b->gradient + level * c, *step = b->step + level * c;
        for (a = 0; a < c; a++) {
            score[a] = sum_of(one && a == 0 ? b->d1 : b->zd + a * ld, low, high);
            for (d = 0; d <= a; d++) {
                place = a * (a + 1) / 2 + d;
                A[a * c + d] = A[d * c + a] =
                    -sum_of(one && a == 0 ? b->d2 : b->zzd + place * ld, low, high);
            }
        }
        multiply(c, A, b->T, AT);
        multiply_first_transposed(c, b->T, AT, H);
        for (a = 0; a < c; a++)
            H[a * c + a] += 1.0;
        if (!cholesky(c, H))
            return 0;
        apply_transposed(c, b->T, score, pulled);
        for (a = 0; a < c; a++) {
            gradient[a] = u_of(b, a)[level] - pulled[a];
            step[a] = -gradient[a];
        }
        solve(c, H, step);
        for (a = 0; a < c; a++)
            decrement -= gradient[a] * step[a];
    }
    b->decrement = decrement;
    return decrement < INFINITY;
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

/* Move u along the step until f is sufficiently lower; 0 if no length does. */
IK_INLINE int32_t descend(const int c, const int one, block *b, int *third, int *found)
{
    const double f = b->f, decrement = b->decrement;
    double noise = 1e-12 * (1.0 + fabs(f)), length = 1.0, more = 0.0;
    int64_t level, halving;
    int32_t failed;
    int a;
    *third = decrement < 1e-2;
    *found = 0;
    if (decrement <= ROUNDING_LOOKED_AT)
        more = value_noise(b);
    for (level = 0; level < b->levels; level++)
        for (a = 0; a < c; a++)
            b->before[level * c + a] = u_of(b, a)[level];
    for (halving = 0; halving < b->m->max_halvings; halving++) {
        for (level = 0; level < b->levels; level++)
            for (a = 0; a < c; a++)
                u_of(b, a)[level] =
                    b->before[level * c + a] + length * b->step[level * c + a];
        failed = evaluate(c, one, b, *third);
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

/* Find the mode of the block's levels by damped Newton steps from their last u. */
IK_INLINE int32_t find_mode(const int c, const int one, block *b, int64_t *iterations)
{
    const double tol = b->m->tol * (double)b->levels / (double)b->m->G;
    int64_t iteration, level;
    int32_t failed = evaluate(c, one, b, 1);
    int third = 1, found, a, moved = 0;
    if (failed)
        return failed;
    if (!(fabs(b->f) < INFINITY)) { /* a warm start can be useless at a distant psi */
        for (level = 0; level < b->levels; level++)
            for (a = 0; a < c; a++) {
                moved |= u_of(b, a)[level] != 0.0;
                u_of(b, a)[level] = 0.0;
            }
        failed = moved ? evaluate(c, one, b, 1) : 1;
        if (failed || !(fabs(b->f) < INFINITY))
            return failed ? failed : 1;
    }
    for (iteration = 1; iteration <= b->m->max_iterations; iteration++) {
        if (!newton(c, one, b))
            return 1;
        if (b->decrement <= tol ||
            (b->decrement <= ROUNDING_LOOKED_AT && b->decrement <= rounding_decrement(b))) {
            *iterations = iteration > *iterations ? iteration : *iterations;
            return third ? 0 : evaluate(c, one, b, 1);
        }
        failed = descend(c, one, b, &third, &found);
        if (failed || !found)
            return failed ? failed : 1;
    }
    return 1;
}

/* Add the block's value, and what its levels add to dT; leaves the score of the random predictor in
 * d1, h = -z'Vz / 2 in eta, and Z T v in `fixed`. */
IK_INLINE void gradient_of_levels(const int c, const int one, block *b, double *value, double *dT)
{
    const int64_t ld = b->m->ld;
    double *IK_RESTRICT lever = b->eta + b->m->random * ld, *IK_RESTRICT moved = b->fixed;
    double *IK_RESTRICT d1 = b->d1, *IK_RESTRICT d3 = b->d3;
    const double *IK_RESTRICT d2 = b->d2;
    double total = b->f, log_det = 0.0;
    int64_t level, i;
    int a, d;
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        const double *L = b->H + level * c * c, *step = b->step + level * c;
        double N[LARGEST_C * LARGEST_C], V[LARGEST_C * LARGEST_C], NT[LARGEST_C * LARGEST_C];
        double ATN[LARGEST_C * LARGEST_C], sensitivity[LARGEST_C], v[LARGEST_C], Tv[LARGEST_C];
        double Zc[LARGEST_C] = {0.0}, Zl[LARGEST_C] = {0.0}, Zs[LARGEST_C] = {0.0}, product = 1.0;
        for (a = 0; a < c; a++) {
            product *= L[a * c + a];
            for (d = 0; d < c; d++)
                N[d * c + a] = 0.0;
        }
        log_det += ik_log(product); /* half of log|H| */
        for (a = 0; a < c; a++) {
            double unit[LARGEST_C] = {0.0};
            unit[a] = 1.0;
            solve(c, L, unit);
            for (d = 0; d < c; d++)
                N[d * c + a] = unit[d];
        }
        multiply_second_transposed(c, N, b->T, NT);
        multiply(c, b->T, NT, V);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], h = 0.0, each;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                h += V[a * c + a] * z[a] * z[a];
                for (d = 0; d < a; d++)
                    h += 2.0 * V[a * c + d] * z[a] * z[d];
            }
            lever[i] = -0.5 * h;
            each = -0.5 * h * d3[i];
            d3[i] = each;
            for (a = 0; a < c; a++) {
                Zc[a] += z[a] * each;
                Zl[a] += z[a] * d1[i];
            }
        }
        apply_transposed(c, b->T, Zc, sensitivity);
        for (a = 0; a < c; a++) {
            v[a] = sensitivity[a];
            total += (0.5 * b->gradient[level * c + a] + sensitivity[a]) * step[a];
        }
        solve(c, L, v);
        apply(c, b->T, v, Tv);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], shift = 0.0, score;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                shift += z[a] * Tv[a];
            }
            score = d3[i] - d1[i] + d2[i] * shift;
            moved[i] = shift;
            d1[i] = score;
            for (a = 0; a < c; a++)
                Zs[a] += z[a] * score;
        }
        multiply(c, b->AT + level * c * c, N, ATN);
        for (a = 0; a < c; a++)
            for (d = 0; d < c; d++)
                dT[a * c + d] += Zs[a] * u_of(b, d)[level] + Zl[a] * v[d] + ATN[a * c + d];
    }
    *value += total + log_det;
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
    while (b->first + b->levels < b->m->G &&
           starts[b->first + b->levels + 1] - b->r0 <= BLOCK_ROWS)
        b->levels++;
    b->rows = starts[b->first + b->levels] - b->r0;
}

static block prepared(const ik_model *m, const double *T)
{
    const int64_t K = m->K, r = m->random, ld = m->ld, c = m->c, slots = interlace_slots(K);
    block b;
    memset(&b, 0, sizeof b);
    b.m = m;
    b.T = T;
    b.fixed = m->rows_at;
    b.eta = b.fixed + ld;
    b.out = b.eta + K * ld;
    b.zd = b.out + slots * ld;
    b.zzd = b.zd + c * ld;
    b.value = b.out;
    b.d1 = b.out + interlace_slot(K, -1, -1, r) * ld;
    b.d2 = b.out + interlace_slot(K, -1, r, r) * ld;
    b.d3 = b.out + interlace_slot(K, r, r, r) * ld;
    b.H = m->levels_at;
    b.AT = b.H + c * c * ld;
    b.gradient = b.AT + c * c * ld;
    b.step = b.gradient + c * ld;
    b.before = b.step + c * ld;
    return b;
}

IK_INLINE int32_t laplace(const int c, const int one, const ik_model *m, const double *T,
                          const double *beta, double *value, double *dT, double *dbeta,
                          int64_t *iterations)
{
    block b = prepared(m, T);
    int64_t k, p = 0;
    int32_t failed;
    for (k = 0; k < m->K; k++)
        p += m->predictors[k].p;
    memset(dbeta, 0, p * sizeof(double));
    memset(dT, 0, c * c * sizeof(double));
    *value = 0.0;
    *iterations = 0;
    what_is_wanted(m);
    while (b.first + b.levels < m->G) {
        const double *each = beta;
        next_block(&b);
        for (k = 0; k < m->K; k++) {
            fixed_part(&b, m->predictors + k, each, k == m->random ? b.fixed : b.eta + k * m->ld);
            each += m->predictors[k].p;
        }
        failed = find_mode(c, one, &b, iterations);
        if (failed)
            return failed;
        gradient_of_levels(c, one, &b, value, dT);
        gradient_of_coefficients(&b, dbeta);
    }
    return fabs(*value) < INFINITY ? 0 : 2;
}

#define WITH(C, ONE)                                                                               \
    if (m->c == C && (m->z[0] == 0) == ONE)                                                        \
        return laplace(C, ONE, m, T, beta, value, dT, dbeta, iterations);

IK_EXPORT int32_t ik_laplace(const ik_model *m, const double *T, const double *beta, double *value,
                             double *dT, double *dbeta, int64_t *iterations)
{
    WITH(1, 1)
    WITH(1, 0)
    WITH(2, 1)
    WITH(2, 0)
    WITH(3, 1)
    WITH(3, 0)
    WITH(4, 1)
    WITH(4, 0)
    return 1;
}
