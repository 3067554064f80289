/* Sums over rows where a fit starts: the model without random effects, and what scales a search. */
#include "curvature.h"
#include "mode.h"

/* The largest squared slope of a row in the first predictor, relative to its curvature. */
static double largest_pull(const block *b, double most)
{
    const double *first = b->out + interlace_slot(b->m->K, -1, -1, 0) * b->m->ld;
    const double *curvature = second(b, 0, 0);
    int64_t i, larger = 0;
    IK_SIMD_SUM(larger) for (i = 0; i < b->rows; i++) larger +=
        !(first[i] * first[i] <= most * fabs(curvature[i]));
    for (i = 0; i < b->rows && larger; i++) {
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
    mirror_square(P, information);
    return 0;
}

/* Where a climb is: the sums of `ik_slopes` at some coefficients. */
typedef struct {
    double *value, *gradient, *information;
    double pull;
} slopes;

/* Replace x by A^-1 x, and the lower triangle of A by its Cholesky factor; 0 if it is not positive
 * definite. */
static int solved(int64_t P, double *A, double *x)
{
    int64_t i, j;
    for (i = 0; i < P; i++) {
        double *row = A + i * P, left;
        for (j = 0; j < i; j++)
            row[j] = (row[j] - dot(row, A + j * P, j)) / A[j * P + j];
        left = row[i] - dot(row, row, i);
        if (!(left > 0.0 && left < INFINITY))
            return 0;
        row[i] = sqrt(left);
        x[i] = (x[i] - dot(row, x, i)) / row[i];
    }
    for (i = P - 1; i >= 0; i--) {
        x[i] /= A[i * P + i];
        for (j = 0; j < i; j++)
            x[j] -= x[i] * A[i * P + j];
    }
    return 1;
}

/* An ascent step, damped until the information is positive definite, and half its predicted gain. */
static double ascent(int64_t P, const double *gradient, const double *information, double damping,
                     double *A, double *step)
{
    int64_t i;
    for (; damping < 1e12; damping = fmax(10.0 * damping, 1e-3)) {
        memcpy(A, information, (size_t)(P * P) * sizeof(double));
        memcpy(step, gradient, (size_t)P * sizeof(double));
        for (i = 0; i < P && damping > 0.0; i++)
            A[i * P + i] += damping * (fabs(A[i * P + i]) + 1e-10);
        if (solved(P, A, step))
            return 0.5 * dot(gradient, step, P);
    }
    memset(step, 0, (size_t)P * sizeof(double));
    return 0.0;
}

/* Add the curvature that holds coefficients near the first ones to gradient and information; returns
 * what it takes from the value. */
static double held(int64_t P, const double *holding, const double *beta, const double *first,
                   double *gradient, double *information)
{
    double taken = 0.0;
    int64_t i, j;
    for (i = 0; i < P; i++) {
        double pull = 0.0;
        for (j = 0; j < P; j++) {
            pull += holding[i * P + j] * (beta[j] - first[j]);
            information[i * P + j] += holding[i * P + j];
        }
        gradient[i] -= pull;
        taken += 0.5 * (beta[i] - first[i]) * pull;
    }
    return taken;
}

IK_EXPORT int32_t ik_climb(const ik_model *m, const ik_climb_rule *rule, double *beta, double *work)
{
    const int64_t P = coefficients(m);
    double *first = work + 2, *step = first + P, *A = step + P, damping = 0.0, begun, value;
    slopes here = {work, A + P * P, A + P * P + P, 0.0}, there = here;
    int64_t iteration, i;
    there.value = work + 1;
    there.gradient = here.information + P * P;
    there.information = there.gradient + P;
    memcpy(first, beta, (size_t)P * sizeof(double));
    if (ik_slopes(m, beta, here.value, here.gradient, here.information, &here.pull))
        return 1;
    begun = value = *here.value - held(P, rule->holding, beta, first, here.gradient,
                                       here.information);
    if (!(fabs(value) < INFINITY))
        return 1;
    for (iteration = 0; iteration < rule->most; iteration++) {
        double gain = ascent(P, here.gradient, here.information, damping, A, step), found = 0.0;
        int64_t halving;
        slopes spare = here;
        if (value > begun + rule->rise)
            return 1;
        if (gain < rule->tol * (rule->per_gain ? fmax(value - begun, 1.0) : 1.0)) {
            if (here.pull <= rule->no_pull)
                return 1;
            for (i = 0; i < P && damping == 0.0; i++)
                beta[i] += step[i];
            return 0;
        }
        for (halving = 0; halving < rule->most_halvings; halving++) {
            for (i = 0; i < P; i++)
                step[i] += beta[i]; /* the point that it leads to */
            if (ik_slopes(m, step, there.value, there.gradient, there.information, &there.pull))
                return 1;
            found = *there.value - held(P, rule->holding, step, first, there.gradient,
                                        there.information);
            if (found < INFINITY && found >= value)
                break;
            damping = fmax(4.0 * damping, 1e-3);
            ascent(P, here.gradient, here.information, damping, A, step);
        }
        if (halving == rule->most_halvings)
            return 0;
        memcpy(beta, step, (size_t)P * sizeof(double));
        value = found;
        here = there;
        there = spare;
        damping = damping > 1e-4 ? damping / 4.0 : 0.0;
    }
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
            column_times(b, m->predictors + k, j, second(b, k, m->random), product);
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
        double *product = b.zd;
        int32_t failed;
        int a;
        next_block(&b);
        fixed_parts(&b, beta);
        failed = find_mode(c, one, &b, &steps);
        if (!failed && m->K > 1) /* of one predictor, the mode asked for the same */
            failed = evaluate_rows(&b, want, 0);
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
    mirror_square(P, information);
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
