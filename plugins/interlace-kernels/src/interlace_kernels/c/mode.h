/* The mode of the effects of a block's levels, by damped Newton steps. */
#ifndef MODE_H
#define MODE_H
#include "blocks.h"

/* Evaluate the rows at the u of the block; f is -l + |u|^2 / 2. */
IK_INLINE int32_t evaluate(const int c, const int one, block *b, int third)
{
    const ik_model *m = b->m;
    const uint8_t *want = m->want + (third ? interlace_slots(m->K) : 0);
    double *IK_RESTRICT eta = b->eta + m->random * m->ld, f = 0.0, l = 0.0;
    int64_t level, i;
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
    failed = evaluate_rows(b, want, &l);
    if (failed)
        return failed;
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

#endif
