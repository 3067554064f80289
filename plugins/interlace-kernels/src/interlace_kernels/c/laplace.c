/* Laplace's approximation for c = 1 ... 4 correlated effects of one factor, with exact gradient.
 *
 * Levels are independent given psi, so that blocks of whole levels, of about a thousand rows that
 * stay in the cache, go through everything: predictors, Newton steps to the mode, log|H|, adjoint
 * and gradient. The formulas are those of interlace_approximations.laplace.
 *
 * Sums are those of shares of the levels, in their order, so that they are the same bits for any
 * number of threads.
 */
#include "mode.h"
#include "threads.h"

/* H^-1 of the block's levels, by level, and half of log|H|: with one effect, of many levels at once,
 * since each of its quotients would wait for the one before it. */
IK_INLINE double invert_levels(const int c, const block *b, double *N)
{
    double log_det = 0.0;
    int64_t level;
    int a, d;
    if (c == 1) {
        const double *IK_RESTRICT L = b->H;
        IK_SIMD_SUM(log_det) for (level = 0; level < b->levels; level++)
        {
            N[level] = 1.0 / (L[level] * L[level]);
            log_det += ik_log(L[level]);
        }
        return log_det;
    }
    for (level = 0; level < b->levels; level++) {
        const double *L = b->H + level * c * c;
        double product = 1.0;
        for (a = 0; a < c; a++)
            product *= L[a * c + a];
        log_det += ik_log(product);
        for (a = 0; a < c; a++) {
            double unit[LARGEST_C] = {0.0};
            unit[a] = 1.0;
            solve(c, L, unit);
            for (d = 0; d < c; d++)
                N[level * c * c + d * c + a] = unit[d];
        }
    }
    return log_det;
}

/* Add the block's value, and what its levels add to dT; leaves the score of the random predictor in
 * d1, h = -z'Vz / 2 in eta, and Z T v in `fixed` (both only where there is another predictor). With
 * the sums s = Z'd1 and A = -Z'd2Z that the mode left, those of the scores are
 *     Z'(h d3 - d1 + d2 Z T v) = Z'(h d3) - s - A T v. */
IK_INLINE void gradient_of_levels(const int c, const int one, block *b, double *value, double *dT)
{
    const int64_t ld = b->m->ld;
    const int others = b->m->K > 1;
    double *IK_RESTRICT lever = b->eta + b->m->random * ld, *IK_RESTRICT moved = b->fixed;
    double *IK_RESTRICT d1 = b->d1, *IK_RESTRICT d3 = b->d3;
    const double *IK_RESTRICT d2 = b->d2;
    double total = b->f, *inverses = c == 1 ? b->before : b->inverses;
    int64_t level, i;
    int a, d;
    total += invert_levels(c, b, inverses);
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        const double *step = b->step + level * c, *N = inverses + level * c * c;
        const double *AT = b->AT + level * c * c, *s = b->score + level * c;
        double V[LARGEST_C * LARGEST_C], NT[LARGEST_C * LARGEST_C], ATN[LARGEST_C * LARGEST_C];
        double sensitivity[LARGEST_C], v[LARGEST_C], Tv[LARGEST_C], Zc[LARGEST_C] = {0.0};
        multiply_second_transposed(c, N, b->T, NT);
        multiply(c, b->T, NT, V);
        if (c == 1 && one) {
            const double h = -0.5 * V[0];
            Zc[0] = h * sum_of(d3, low, high);
            for (i = low; i < high; i++)
                lever[i] = h;
        } else
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
                for (a = 0; a < c; a++)
                    Zc[a] += z[a] * each;
            }
        apply_transposed(c, b->T, Zc, sensitivity);
        apply(c, N, sensitivity, v);
        apply(c, b->T, v, Tv);
        for (a = 0; a < c; a++)
            total += (0.5 * b->gradient[level * c + a] + sensitivity[a]) * step[a];
        for (i = low; i < high; i++) {
            double shift = 0.0;
            for (a = 0; a < c; a++)
                shift += (one && a == 0 ? 1.0 : covariate(b, a)[i]) * Tv[a];
            d1[i] = lever[i] * d3[i] - d1[i] + d2[i] * shift;
            if (others)
                moved[i] = shift;
        }
        multiply(c, AT, N, ATN);
        for (a = 0; a < c; a++) {
            double Zs = Zc[a] - s[a];
            for (d = 0; d < c; d++)
                Zs -= AT[a * c + d] * v[d];
            for (d = 0; d < c; d++)
                dT[a * c + d] += Zs * u_of(b, d)[level] + s[a] * v[d] + ATN[a * c + d];
        }
    }
    *value += total;
}

/* The levels from `first` to before `last`: their value, steps, dT and dbeta are added to `sums`. */
IK_INLINE int32_t share(const int c, const int one, const ik_model *m, const double *T,
                        const double *beta, int64_t thread, int64_t first, int64_t last,
                        double *sums)
{
    block b = prepared_for(m, T, thread);
    int64_t iterations = 0;
    int32_t failed;
    b.first = first;
    b.last = last;
    while (b.first + b.levels < last) {
        next_block(&b);
        fixed_parts(&b, beta);
        failed = next_mode(c, one, &b, &iterations);
        if (failed)
            return failed;
        gradient_of_levels(c, one, &b, sums, sums + 3);
        gradient_of_coefficients(&b, sums + 3 + c * c);
    }
    sums[1] = (double)iterations;
    return 0;
}

/* The first level that begins at a row or after it. */
static int64_t level_at(const ik_model *m, int64_t row)
{
    int64_t low = 0, high = m->G;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (m->starts[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* All that is asked of the threads of one evaluation. */
typedef struct {
    const ik_model *m;
    const double *T, *beta;
    int64_t shares, size; /* and the numbers of each */
    atomic_int next, threads;
} task;

#define WITH(C, ONE)                                                                               \
    if (m->c == C && (m->z[0] == 0) == ONE)                                                        \
        return share(C, ONE, m, t->T, t->beta, thread, first, last, sums);

static int32_t share_of(const task *t, int64_t s, int64_t thread, double *sums)
{
    const ik_model *m = t->m;
    const int64_t first = level_at(m, s * SHARE_ROWS), last = level_at(m, (s + 1) * SHARE_ROWS);
    /* the usual sizes with loops over effects unrolled, others with loops */
    WITH(1, 1)
    WITH(2, 1)
    return share((int)m->c, m->z[0] == 0, m, t->T, t->beta, thread, first, last, sums);
}

/* Take shares until none is left. Each has sums of its own, which do not depend on who makes them. */
static void *work(void *given)
{
    task *t = given;
    const int64_t thread = atomic_fetch_add(&t->threads, 1);
    for (;;) {
        const int64_t s = atomic_fetch_add(&t->next, 1);
        double *sums = t->m->shares_at + s * t->size;
        if (s >= t->shares)
            return 0;
        memset(sums, 0, (size_t)t->size * sizeof(double));
        sums[2] = (double)share_of(t, s, thread, sums);
        if (sums[2] != 0.0)
            atomic_store(&t->next, (int)t->shares); /* those before it are in somebody's hands */
    }
}

IK_EXPORT int32_t ik_laplace(const ik_model *m, const double *T, const double *beta, double *value,
                             double *dT, double *dbeta, int64_t *iterations)
{
    const int64_t c = m->c, p = coefficients(m);
    task t = {m, T, beta, m->n / SHARE_ROWS + 1, 3 + c * c + p, 0, 0};
    int64_t s, i;
    if (c < 1 || c > LARGEST_C)
        return 1;
    what_is_wanted(m);
    changed(m, T, beta);
    for (s = 0; s < t.shares; s++)
        m->shares_at[s * t.size + 2] = 0.0;
    together(work, &t, m->threads < t.shares ? m->threads : t.shares);
    memset(dbeta, 0, (size_t)p * sizeof(double));
    memset(dT, 0, (size_t)(c * c) * sizeof(double));
    *value = 0.0;
    *iterations = 0;
    for (s = 0; s < t.shares; s++) { /* in their order */
        const double *sums = m->shares_at + s * t.size;
        if (sums[2] != 0.0)
            return (int32_t)sums[2];
        *value += sums[0];
        *iterations = (int64_t)sums[1] > *iterations ? (int64_t)sums[1] : *iterations;
        for (i = 0; i < c * c; i++)
            dT[i] += sums[3 + i];
        for (i = 0; i < p; i++)
            dbeta[i] += sums[3 + c * c + i];
    }
    if (!(fabs(*value) < INFINITY))
        return 2;
    arrived(m, T, beta);
    return 0;
}
