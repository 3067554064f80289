/* The mode of the effects of a block's levels, by damped Newton steps. */
#ifndef MODE_H
#define MODE_H
#include "blocks.h"

#define MOST_MOVED 1.0 /* of an effect in its own scale: further off its slopes do not tell */
#define STALLED 1e-2   /* share of a decrement that a step leaves where rounding may be all of it */

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

/* The same with one effect, of all levels at once, from rows' first and second derivatives times its
 * covariate. */
IK_INLINE int newton_of_one(block *b, const double *first, const double *second)
{
    const double t = b->T[0], *IK_RESTRICT u = u_of(b, 0);
    double *IK_RESTRICT H = b->H, *IK_RESTRICT AT = b->AT, *IK_RESTRICT score = b->score;
    double *IK_RESTRICT gradient = b->gradient, *IK_RESTRICT step = b->step, decrement = 0.0;
    int64_t level, bad = 0;
    for (level = 0; level < b->levels; level++) {
        score[level] = sum_of(first, row(b, level), row(b, level + 1));
        AT[level] = sum_of(second, row(b, level), row(b, level + 1)) * -t;
    }
    IK_SIMD_SUM(decrement, bad) for (level = 0; level < b->levels; level++)
    {
        const double h = 1.0 + t * AT[level], g = u[level] - t * score[level], s = g / h;
        bad += !(h > 0.0);
        gradient[level] = g;
        step[level] = -s;
        decrement += g * s;
        H[level] = sqrt(h);
    }
    b->decrement = decrement;
    return !bad && decrement < INFINITY;
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
    if (c == 1)
        return newton_of_one(b, one ? b->d1 : b->zd, one ? b->d2 : b->zzd);
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        double A[LARGEST_C * LARGEST_C], pulled[LARGEST_C], *score = b->score + level * c;
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
    double noise = 1e-12 * (1.0 + fabs(f)), length = 1.0;
    int64_t level, halving;
    int32_t failed;
    int a;
    *third = decrement < 1e-2;
    *found = 0;
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
        *found = b->f <= f - 1e-4 * length * decrement + noise;
        if (!*found && decrement <= ROUNDING_LOOKED_AT && length == 1.0) {
            noise += value_noise(b);
            *found = b->f <= f + noise;
        }
        if (*found)
            return 0;
        length *= 0.5;
    }
    return 0;
}

/* Find the mode of the block's levels by damped Newton steps from their last u. */
IK_INLINE int32_t find_mode(const int c, const int one, block *b, int64_t *iterations)
{
    const double tol = b->m->tol * (double)b->levels / (double)b->m->G;
    double last = INFINITY;
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
            (b->decrement <= ROUNDING_LOOKED_AT && b->decrement > STALLED * last &&
             b->decrement <= rounding_decrement(b))) {
            *iterations = iteration > *iterations ? iteration : *iterations;
            return third ? 0 : evaluate(c, one, b, 1);
        }
        last = b->decrement;
        failed = descend(c, one, b, &third, &found);
        if (failed || !found)
            return failed ? failed : 1;
    }
    return 1;
}

/* How many numbers T and beta are. */
static int64_t numbers_of(const ik_model *m)
{
    return m->c * m->c + coefficients(m);
}

/* Write by how much T and beta are not those of the last mode; once for all blocks. */
static void changed(const ik_model *m, const double *T, const double *beta)
{
    const int64_t square = m->c * m->c, all = numbers_of(m);
    int64_t i;
    for (i = 0; i < all && *m->known; i++)
        m->at[all + i] = (i < square ? T[i] : beta[i - square]) - m->at[i];
}

/* The mode of all blocks is found: it is where the next one is looked for from. */
static void arrived(const ik_model *m, const double *T, const double *beta)
{
    const int64_t square = m->c * m->c;
    memcpy(m->at, T, (size_t)square * sizeof(double));
    memcpy(m->at + square, beta, (size_t)coefficients(m) * sizeof(double));
    *m->known = m->slopes != 0;
}

/* Move the u of the block's levels by their slopes, where that is not far. */
IK_INLINE void continue_mode(const int c, block *b)
{
    const ik_model *m = b->m;
    const int64_t all = numbers_of(m);
    int64_t level, k;
    int a;
    if (!*m->known)
        return;
    memset(b->step, 0, (size_t)(b->levels * c) * sizeof(double));
    for (k = 0; k < all; k++) {
        const double change = m->at[all + k];
        for (a = 0; a < c && change != 0.0; a++) {
            const double *IK_RESTRICT slope = m->slopes + (k * c + a) * m->G + b->first;
            double *IK_RESTRICT moved = b->step + a * b->levels;
            IK_SIMD for (level = 0; level < b->levels; level++) moved[level] +=
                change * slope[level];
        }
    }
    for (level = 0; level < b->levels; level++) {
        int near = 1;
        for (a = 0; a < c; a++)
            near &= fabs(b->step[a * b->levels + level]) <= MOST_MOVED;
        for (a = 0; a < c && near; a++)
            u_of(b, a)[level] += b->step[a * b->levels + level];
    }
}

/* H x = T' y of a level; x goes to the k-th slopes. */
IK_INLINE void keep_slope(const int c, const block *b, int64_t level, int64_t k, const double *y)
{
    double x[LARGEST_C];
    int a;
    apply_transposed(c, b->T, y, x);
    solve(c, b->H + level * c * c, x);
    for (a = 0; a < c; a++)
        b->m->slopes[(k * c + a) * b->m->G + b->first + level] = x[a];
}

/* Sums of w times four columns over short stretches. */
IK_INLINE void four_sums(const double *IK_RESTRICT w, const double *IK_RESTRICT x, int64_t n,
                         int64_t low, int64_t high, double *out)
{
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
    int64_t i;
    for (i = low; i < high; i++) {
        s0 += w[i] * x[i];
        s1 += w[i] * x[n + i];
        s2 += w[i] * x[2 * n + i];
        s3 += w[i] * x[3 * n + i];
    }
    out[0] = s0;
    out[1] = s1;
    out[2] = s2;
    out[3] = s3;
}

/* Slopes of u at the mode, by the theorem of implicit functions: with s = Z'd1 and A = -Z'd2Z
 *     H du = dT's - T'A dT u + T'Z'(d2 x dbeta),
 * d2 the derivatives in the random predictor and in that of beta. The rows are those at the mode. */
IK_INLINE void slopes_of_mode(const int c, const int one, block *b)
{
    const ik_model *m = b->m;
    int64_t level, k, i, j, place = c * c;
    int a, d, e;
    for (level = 0; level < b->levels; level++) {
        const double *AT = b->AT + level * c * c;
        const double *s = b->score + level * c;
        double x[LARGEST_C];
        for (a = 0; a < c; a++)
            for (d = 0; d < c; d++) {
                for (e = 0; e < c; e++)
                    x[e] = (e == d ? s[a] : 0.0) - AT[a * c + e] * u_of(b, d)[level];
                solve(c, b->H + level * c * c, x);
                for (e = 0; e < c; e++)
                    m->slopes[((a * c + d) * c + e) * m->G + b->first + level] = x[e];
            }
    }
    for (k = 0; k < m->K; k++) {
        const ik_predictor *p = m->predictors + k;
        const int64_t low = k < m->random ? k : m->random, high = k < m->random ? m->random : k;
        const double *IK_RESTRICT w = b->out + interlace_slot(m->K, -1, low, high) * m->ld;
        if (!p->p)
            continue;
        for (a = one; a < c; a++) {
            const double *IK_RESTRICT z = covariate(b, a);
            double *IK_RESTRICT zw = b->zd + a * m->ld;
            IK_SIMD for (i = 0; i < b->rows; i++) zw[i] = z[i] * w[i];
        }
        for (j = 0; j < p->p; j += 4) {
            const int some = p->p - j < 4 ? (int)(p->p - j) : 4;
            const double *x = p->X + j * m->n + b->r0;
            for (level = 0; level < b->levels; level++) {
                double sums[LARGEST_C][4], y[LARGEST_C];
                for (a = 0; a < c; a++) {
                    const double *wa = one && a == 0 ? w : b->zd + a * m->ld;
                    if (some == 4)
                        four_sums(wa, x, m->n, row(b, level), row(b, level + 1), sums[a]);
                    else
                        for (e = 0; e < some; e++) {
                            sums[a][e] = 0.0;
                            for (i = row(b, level); i < row(b, level + 1); i++)
                                sums[a][e] += wa[i] * x[e * m->n + i];
                        }
                }
                for (e = 0; e < some; e++) {
                    for (a = 0; a < c; a++)
                        y[a] = sums[a][e];
                    keep_slope(c, b, level, place + j + e, y);
                }
            }
        }
        place += p->p;
    }
}

/* The mode of the block's levels, from where the last one leads; slopes are made anew where they did
 * not lead there. */
IK_INLINE int32_t next_mode(const int c, const int one, block *b, int64_t *iterations)
{
    int64_t own = 0;
    int32_t failed;
    continue_mode(c, b);
    failed = find_mode(c, one, b, &own);
    *iterations = own > *iterations ? own : *iterations;
    if (!failed && b->m->slopes && (own > 1 || !*b->m->known))
        slopes_of_mode(c, one, b);
    return failed;
}

#endif
