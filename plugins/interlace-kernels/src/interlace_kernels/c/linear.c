/* Linear mixed models with c = 1 ... 4 correlated effects of one factor: the likelihood, or the
 * restricted one, with its exact gradient. The formulas are those of
 * interlace_approximations.linear_point; nothing here looks at rows.
 */
#include "linear.h"
#include "small.h"
#include <string.h>

#define MAX_CONDITION 1e6 /* of a template by whose transpose u is divided */
#define LEAST_LEFT 1e-13  /* of the sum of squares without random effects; as in reduced.py */
#define NO_MATTER 1e-6    /* log-likelihood that is none, there too */
#define FEW_PRODUCTS 16   /* numbers U of a level whose products with each other are all summed */

#define WIDE 8            /* sums over levels that run beside each other, whatever the processor */

/* Where the work of one evaluation lies. */
typedef struct {
    double *M, *root, *inverse, *columns; /* p1 x p1 */
    double *pulled, *solved;              /* p1 x c x LANES */
    double *sums;                         /* p1 x p1 x WIDE, of M */
} parts;

static parts parts_of(const ik_linear *m)
{
    const int64_t square = m->p1 * m->p1, block = m->p1 * m->c * LANES;
    parts w;
    w.M = m->work;
    w.root = w.M + square;
    w.inverse = w.root + square;
    w.columns = w.inverse + square;
    w.pulled = w.columns + square;
    w.solved = w.pulled + block;
    w.sums = w.solved + block;
    return w;
}

/* Add x'y to sums that run beside each other: one is made of them at the end. */
IK_INLINE void add_dot(const double *IK_RESTRICT x, const double *IK_RESTRICT y, int64_t lanes,
                       double *IK_RESTRICT sums)
{
    double s[WIDE];
    int64_t l;
    int k;
    memcpy(s, sums, sizeof s);
    for (l = 0; l < lanes; l += WIDE)
        IK_SIMD for (k = 0; k < WIDE; k++) s[k] = IK_FMA(x[l + k], y[l + k], s[k]);
    memcpy(sums, s, sizeof s);
}

static double total_of(const double *s)
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Write `start` and what c columns add to it, each times a number. */
IK_INLINE void combine(const int c, double start, const double *t, const double *const *x,
                       int64_t k, double *IK_RESTRICT out)
{
    int64_t l;
    const double t0 = t[0], t1 = c > 1 ? t[1] : 0.0, t2 = c > 2 ? t[2] : 0.0,
                 t3 = c > 3 ? t[3] : 0.0;
    const double *IK_RESTRICT x0 = x[0], *IK_RESTRICT x1 = x[c > 1 ? 1 : 0],
                              *IK_RESTRICT x2 = x[c > 2 ? 2 : 0],
                              *IK_RESTRICT x3 = x[c > 3 ? 3 : 0];
    IK_SIMD for (l = 0; l < k; l++)
    {
        double s = start + t0 * x0[l];
        s += c > 1 ? t1 * x1[l] : 0.0;
        s += c > 2 ? t2 * x2[l] : 0.0;
        s += c > 3 ? t3 * x3[l] : 0.0;
        out[l] = s;
    }
}

/* The same of lanes beyond the last level. */
IK_INLINE void no_level(double value, int64_t k, int64_t lanes, double *out)
{
    for (; k < lanes; k++)
        out[k] = value;
}

/* Write the determinant of H = I + T'(tau A T), of `lanes` levels with tau A T given by entry, and
 * its inverse; 0 where it is not positive definite. Levels are innermost throughout, so that several
 * are worked on at once. */
IK_INLINE int invert_levels(const int c, const double *T, double (*AT)[LANES], int64_t lanes,
                            double *IK_RESTRICT determinant, double (*N)[LANES])
{
    double H[LARGEST_C * LARGEST_C][LANES], inverse[LARGEST_C][LANES];
    int64_t l;
    int i, j, q, bad = 0;
    for (i = 0; i < c; i++)
        for (j = 0; j <= i; j++) {
            double t[LARGEST_C];
            const double *x[LARGEST_C];
            for (q = 0; q < c; q++) {
                t[q] = T[q * c + i];
                x[q] = AT[q * c + j];
            }
            combine(c, i == j ? 1.0 : 0.0, t, x, lanes, H[i * c + j]);
        }
    for (l = 0; l < lanes; l++)
        determinant[l] = 1.0;
    for (j = 0; j < c; j++) {
        double *IK_RESTRICT d = H[j * c + j], *IK_RESTRICT r = inverse[j];
        for (q = 0; q < j; q++) {
            const double *IK_RESTRICT x = H[j * c + q];
            IK_SIMD for (l = 0; l < lanes; l++) d[l] -= x[l] * x[l];
        }
        IK_SIMD for (l = 0; l < lanes; l++) determinant[l] *= d[l];
        for (l = 0; l < lanes; l++)
            bad |= !(d[l] > 0.0 && d[l] < INFINITY);
        IK_SIMD for (l = 0; l < lanes; l++) r[l] = 1.0 / sqrt(d[l]);
        for (i = j + 1; i < c; i++) {
            double *IK_RESTRICT y = H[i * c + j];
            for (q = 0; q < j; q++) {
                const double *IK_RESTRICT x = H[i * c + q], *IK_RESTRICT z = H[j * c + q];
                IK_SIMD for (l = 0; l < lanes; l++) y[l] -= x[l] * z[l];
            }
            IK_SIMD for (l = 0; l < lanes; l++) y[l] *= r[l];
        }
    }
    if (bad)
        return 0;
    for (j = 0; j < c; j++) {
        /* column j of the inverse, 0 above row j on the way down */
        for (i = j; i < c; i++) {
            double *IK_RESTRICT e = N[i * c + j];
            const double *IK_RESTRICT r = inverse[i];
            for (l = 0; l < lanes; l++)
                e[l] = i == j ? 1.0 : 0.0;
            for (q = j; q < i; q++) {
                const double *IK_RESTRICT x = H[i * c + q], *IK_RESTRICT z = N[q * c + j];
                IK_SIMD for (l = 0; l < lanes; l++) e[l] -= x[l] * z[l];
            }
            IK_SIMD for (l = 0; l < lanes; l++) e[l] *= r[l];
        }
        for (i = c - 1; i >= j; i--) {
            double *IK_RESTRICT e = N[i * c + j];
            const double *IK_RESTRICT r = inverse[i];
            for (q = i + 1; q < c; q++) {
                const double *IK_RESTRICT x = H[q * c + i], *IK_RESTRICT z = N[q * c + j];
                IK_SIMD for (l = 0; l < lanes; l++) e[l] -= x[l] * z[l];
            }
            IK_SIMD for (l = 0; l < lanes; l++) e[l] *= r[l];
        }
        for (i = j + 1; i < c; i++)
            memcpy(N[j * c + i], N[i * c + j], (size_t)lanes * sizeof(double));
    }
    return 1;
}

/* What a block of k levels adds to log|H|, to dT, to M and, with `W`, to the products of all U; their
 * U; 0 if H is not positive definite. Lanes beyond k have A = 0, hence H = I. */
IK_INLINE int levels(const int c, const ik_linear *m, const parts *w, const double *T, double tau,
                     int64_t g, int64_t k, double *log_det, double *dT, double *W)
{
    double AT[LARGEST_C * LARGEST_C][LANES], N[LARGEST_C * LARGEST_C][LANES];
    double determinant[LANES], sum, t[LARGEST_C];
    const double *x[LARGEST_C];
    const int64_t G = m->G, lanes = (k + WIDE - 1) / WIDE * WIDE, size = m->p1 * c;
    int64_t l, i, j;
    int a, b, d;
    for (a = 0; a < c; a++)
        for (b = 0; b < c; b++) {
            for (d = 0; d < c; d++) {
                t[d] = tau * T[d * c + b];
                x[d] = m->A + (a < d ? a * c + d : d * c + a) * G + g;
            }
            combine(c, 0.0, t, x, k, AT[a * c + b]);
            no_level(0.0, k, lanes, AT[a * c + b]);
        }
    if (!invert_levels(c, T, AT, lanes, determinant, N))
        return 0;
    sum = 0.0;
    IK_SIMD_SUM(sum) for (l = 0; l < lanes; l++) sum += ik_log(determinant[l]);
    *log_det += sum;
    for (a = 0; a < c; a++)
        for (b = 0; b < c; b++)
            for (d = 0; d < c; d++)
                add_dot(AT[a * c + d], N[d * c + b], lanes, dT + (a * c + b) * WIDE);
    for (j = 0; j < m->p1; j++) {
        double *pulled = w->pulled + j * c * LANES, *solved = w->solved + j * c * LANES;
        for (a = 0; a < c; a++) {
            for (d = 0; d < c; d++) {
                t[d] = tau * T[d * c + a];
                x[d] = m->Zs + (d * m->p1 + j) * G + g;
            }
            combine(c, 0.0, t, x, k, pulled + a * LANES);
            no_level(0.0, k, lanes, pulled + a * LANES);
        }
        for (a = 0; a < c; a++) {
            double *IK_RESTRICT out = solved + a * LANES;
            const double *IK_RESTRICT first = N[a * c];
            double *IK_RESTRICT U = m->U + (a * m->p1 + j) * G + g;
            IK_SIMD for (l = 0; l < lanes; l++) out[l] = first[l] * pulled[l];
            for (d = 1; d < c; d++) {
                const double *IK_RESTRICT n = N[a * c + d], *IK_RESTRICT y = pulled + d * LANES;
                IK_SIMD for (l = 0; l < lanes; l++) out[l] += n[l] * y[l];
            }
            IK_SIMD for (l = 0; l < k; l++) U[l] = out[l];
        }
        for (i = 0; i <= j; i++)
            for (a = 0; a < c; a++)
                add_dot(pulled + a * LANES, w->solved + (i * c + a) * LANES, lanes,
                        w->sums + (j * m->p1 + i) * WIDE);
    }
    for (j = 0; W && j < size; j++)
        for (i = 0; i <= j; i++)
            add_dot(w->solved + j * LANES, w->solved + i * LANES, lanes,
                    W + (j * size + i) * WIDE);
    return 1;
}

/* The lower factor of the first p rows of M, and its inverse's transpose; 0 if there is none. */
static int factorise(int64_t p, int64_t p1, const double *M, double *root, double *inverse)
{
    int64_t i, j, q;
    for (j = 0; j < p; j++) {
        double x = M[j * p1 + j];
        for (q = 0; q < j; q++)
            x -= root[j * p1 + q] * root[j * p1 + q];
        if (!(x > 0.0))
            return 0;
        root[j * p1 + j] = sqrt(x);
        for (i = j + 1; i < p; i++) {
            double y = M[i * p1 + j];
            for (q = 0; q < j; q++)
                y -= root[i * p1 + q] * root[j * p1 + q];
            root[i * p1 + j] = y / root[j * p1 + j];
        }
    }
    for (j = 0; j < p; j++) {
        for (i = 0; i < p; i++)
            inverse[i * p1 + j] = 0.0;
        inverse[j * p1 + j] = 1.0 / root[j * p1 + j];
        for (i = j - 1; i >= 0; i--) {
            double x = 0.0;
            for (q = i + 1; q <= j; q++)
                x -= root[q * p1 + i] * inverse[q * p1 + j];
            inverse[i * p1 + j] = x / root[i * p1 + i];
        }
    }
    return 1;
}

/* Write the inverse of T; its condition by Frobenius' norm, infinite where it has none. */
IK_INLINE double invert(const int c, const double *T, double *out)
{
    double work[LARGEST_C * LARGEST_C], before = 0.0, after = 0.0;
    int i, j, q;
    for (i = 0; i < c * c; i++) {
        work[i] = T[i];
        before += T[i] * T[i];
        out[i] = i / c == i % c ? 1.0 : 0.0;
    }
    for (j = 0; j < c; j++) {
        int top = j;
        for (i = j + 1; i < c; i++)
            top = fabs(work[i * c + j]) > fabs(work[top * c + j]) ? i : top;
        if (!(fabs(work[top * c + j]) > 0.0))
            return INFINITY;
        for (q = 0; q < c; q++) {
            const double x = work[j * c + q], y = out[j * c + q];
            work[j * c + q] = work[top * c + q];
            work[top * c + q] = x;
            out[j * c + q] = out[top * c + q];
            out[top * c + q] = y;
        }
        for (i = 0; i < c; i++) {
            const double share = work[i * c + j] / work[j * c + j];
            if (i != j)
                for (q = 0; q < c; q++) {
                    work[i * c + q] -= share * work[j * c + q];
                    out[i * c + q] -= share * out[j * c + q];
                }
        }
    }
    for (i = 0; i < c * c; i++) {
        out[i] /= work[i / c * c + i / c];
        after += out[i] * out[i];
    }
    return sqrt(before * after);
}

/* Add to V the sums over levels of r u' for a combination s of the columns (of its first `size`),
 * and return that of u'u. With `divide`, of u u' instead, to be divided by T' later. */
IK_INLINE double moments(const int c, const ik_linear *m, const double *T, double tau,
                         const double *s, int64_t step, int64_t size, int divide, double *V,
                         double *mode)
{
    double length = 0.0;
    int64_t g, l, j;
    int a, b;
    for (g = 0; g < m->G; g += LANES) {
        const int64_t G = m->G, k = G - g < LANES ? G - g : LANES;
        double u[LARGEST_C][LANES], r[LARGEST_C][LANES], Tu[LARGEST_C][LANES];
        for (a = 0; a < c; a++) {
            double *IK_RESTRICT out = u[a], *IK_RESTRICT other = r[a];
            for (l = 0; l < k; l++)
                out[l] = other[l] = 0.0;
            for (j = 0; j < size; j++) {
                const double t = s[j * step];
                const double *IK_RESTRICT x = m->U + (a * m->p1 + j) * G + g;
                const double *IK_RESTRICT z = m->Zs + (a * m->p1 + j) * G + g;
                IK_SIMD for (l = 0; l < k; l++) out[l] += t * x[l];
                if (!divide)
                    IK_SIMD for (l = 0; l < k; l++) other[l] += tau * t * z[l];
            }
            length += dot(u[a], u[a], k);
            if (mode)
                memcpy(mode + a * G + g, u[a], (size_t)k * sizeof(double));
        }
        for (a = 0; a < c && !divide; a++) {
            for (l = 0; l < k; l++)
                Tu[a][l] = 0.0;
            for (b = 0; b < c; b++)
                IK_SIMD for (l = 0; l < k; l++) Tu[a][l] += T[a * c + b] * u[b][l];
        }
        for (a = 0; a < c && !divide; a++)
            for (b = 0; b < c; b++) {
                const double *IK_RESTRICT x = m->A + (a * c + b) * G + g;
                IK_SIMD for (l = 0; l < k; l++) r[a][l] -= tau * x[l] * Tu[b][l];
            }
        for (a = 0; a < c; a++)
            for (b = 0; b < c; b++)
                V[a * c + b] += dot(divide ? u[a] : r[a], u[b], k);
    }
    return length;
}

/* The same with `divide` from the products W of all U, whose rows are c for each column. */
IK_INLINE double moments_of(const int c, const ik_linear *m, const double *W, const double *s,
                            int64_t step, int64_t size, double *V)
{
    const int64_t all = m->p1 * c;
    double length = 0.0;
    int64_t j, q;
    int a, b;
    for (a = 0; a < c; a++)
        for (b = 0; b < c; b++) {
            double total = 0.0;
            for (j = 0; j < size; j++)
                for (q = 0; q < size; q++) {
                    const int64_t x = j * c + a, y = q * c + b;
                    total += s[j * step] * s[q * step] * (x < y ? W[y * all + x] : W[x * all + y]);
                }
            V[a * c + b] += total;
            length += a == b ? total : 0.0;
        }
    return length;
}

/* Write the mode of u: U of a combination s of the columns. */
static void mode_of(const ik_linear *m, const double *s, int64_t step, double *IK_RESTRICT mode)
{
    const int64_t G = m->G;
    int64_t a, j, g, from;
    for (from = 0; from < G; from += LANES) {
        const int64_t end = G - from < LANES ? G : from + LANES;
        for (a = 0; a < m->c; a++) {
            double *IK_RESTRICT out = mode + a * G;
            const double first = s[0], *IK_RESTRICT U = m->U + a * m->p1 * G;
            IK_SIMD for (g = from; g < end; g++) out[g] = first * U[g];
            for (j = 1; j < m->p1; j++) {
                const double t = s[j * step], *IK_RESTRICT x = U + j * G;
                IK_SIMD for (g = from; g < end; g++) out[g] += t * x[g];
            }
        }
    }
}

/* Write generalised least squares, and its covariance, from the factor; the residual's combination
 * of [Q r] goes into the last column of `columns`, whose others are those of the inverse. */
static void coefficients(const ik_linear *m, const parts *w, double *beta, double *covariance)
{
    const int64_t p1 = m->p1, p = p1 - 1;
    double *columns = w->columns;
    int64_t i, j, q;
    for (i = 0; i < p; i++)
        for (j = 0; j < p; j++)
            columns[i * p1 + j] = w->inverse[i * p1 + j];
    for (j = 0; j < p; j++)
        columns[p * p1 + j] = 0.0;
    for (i = 0; i < p; i++) { /* gamma = B (B' M_last) */
        double gamma = 0.0;
        for (q = i; q < p; q++) {
            double half = 0.0;
            for (j = 0; j <= q; j++)
                half += w->inverse[j * p1 + q] * w->M[p * p1 + j];
            gamma += w->inverse[i * p1 + q] * half;
        }
        columns[i * p1 + p] = -gamma;
    }
    columns[p * p1 + p] = 1.0;
    for (i = 0; i < p; i++) {
        double total = m->beta[i];
        for (j = i; j < p; j++)
            total -= m->Rinv[i * p + j] * columns[j * p1 + p];
        beta[i] = total;
    }
    for (i = 0; i < p; i++)
        for (j = 0; j < p; j++) { /* R^-1 B, whose square is the covariance */
            double total = 0.0;
            for (q = i; q <= j; q++)
                total += m->Rinv[i * p + q] * w->inverse[q * p1 + j];
            w->root[i * p1 + j] = total;
        }
    for (i = 0; i < p; i++)
        for (j = 0; j <= i; j++) {
            double total = 0.0;
            for (q = i; q < p; q++)
                total += w->root[i * p1 + q] * w->root[j * p1 + q];
            covariance[i * p + j] = covariance[j * p + i] = total;
        }
}

IK_INLINE int32_t evaluate(const int c, const ik_linear *m, const double *T, double log_sigma,
                           double *value, double *dT, double *d_log_sigma, double *beta,
                           double *covariance, double *mode)
{
    const parts w = parts_of(m);
    const int64_t p1 = m->p1, p = p1 - 1;
    const double tau = ik_exp(-2.0 * log_sigma);
    double log_det = 0.0, quadratic = 0.0, roots = 0.0, shrinkage = 0.0, slope, length;
    double V[LARGEST_C * LARGEST_C] = {0.0}, inverse[LARGEST_C * LARGEST_C];
    double products[FEW_PRODUCTS * FEW_PRODUCTS * WIDE], sums[LARGEST_C * LARGEST_C * WIDE] = {0.0};
    double *W;
    int64_t g, i, j;
    int a, b, d, divide = invert(c, T, inverse) < MAX_CONDITION;
    W = divide && c * p1 <= FEW_PRODUCTS ? products : 0;
    if (W)
        memset(W, 0, (size_t)(c * p1 * c * p1 * WIDE) * sizeof(double));
    memset(w.sums, 0, (size_t)(p1 * p1 * WIDE) * sizeof(double));
    for (g = 0; g < m->G; g += LANES)
        if (!levels(c, m, &w, T, tau, g, m->G - g < LANES ? m->G - g : LANES, &log_det, sums, W))
            return 1;
    for (i = 0; i < c * c; i++)
        dT[i] = total_of(sums + i * WIDE);
    for (i = 0; i < p1; i++)
        for (j = 0; j <= i; j++)
            w.M[i * p1 + j] = w.M[j * p1 + i] =
                tau * m->SS[i * p1 + j] - total_of(w.sums + (i * p1 + j) * WIDE);
    for (i = 0; W && i < c * p1; i++)
        for (j = 0; j <= i; j++)
            W[i * c * p1 + j] = total_of(W + (i * c * p1 + j) * WIDE);
    if (!factorise(p, p1, w.M, w.root, w.inverse))
        return 1;
    for (i = 0; i < p; i++)
        roots += ik_log(w.root[i * p1 + i]);
    coefficients(m, &w, beta, covariance);
    for (i = 0; i < p1; i++)
        for (j = 0; j < p1; j++)
            quadratic += w.columns[i * p1 + p] * w.M[i * p1 + j] * w.columns[j * p1 + p];
    if (!(quadratic + NO_MATTER >= LEAST_LEFT * tau * m->SS[p1 * p1 - 1]))
        return 2; /* nothing but rounding is left of the response */
    for (a = 0; a < c * c; a++)
        shrinkage += T[a] * dT[a];
    if (W) {
        length = moments_of(c, m, W, w.columns + p, p1, p1, V);
        mode_of(m, w.columns + p, p1, mode);
    } else
        length = moments(c, m, T, tau, w.columns + p, p1, p1, divide, V, mode);
    slope = quadratic - length;
    for (j = 0; j < p && m->restricted; j++) {
        length = W ? moments_of(c, m, W, w.columns + j, p1, j + 1, V)
                   : moments(c, m, T, tau, w.columns + j, p1, j + 1, divide, V, 0);
        slope += 1.0 - length;
    }
    for (a = 0; a < c; a++)
        for (b = 0; b < c; b++) {
            double total = divide ? 0.0 : V[a * c + b];
            for (d = 0; d < c && divide; d++)
                total += inverse[d * c + a] * V[d * c + b];
            dT[a * c + b] -= total;
        }
    *d_log_sigma = (double)m->n - shrinkage - slope;
    *value = 0.5 * (m->constant + 2.0 * (double)m->n * log_sigma + log_det + quadratic) +
             (m->restricted ? roots : 0.0);
    return fabs(*value) < INFINITY ? 0 : 2;
}

#define WITH(C)                                                                                    \
    case C:                                                                                        \
        return evaluate(C, m, T, log_sigma, value, dT, d_log_sigma, beta, covariance, mode);

IK_EXPORT int32_t ik_linear_value(const ik_linear *m, const double *T, double log_sigma,
                                  double *value, double *dT, double *d_log_sigma, double *beta,
                                  double *covariance, double *mode)
{
    switch (m->c) {
        WITH(1)
        WITH(2)
        WITH(3)
        WITH(4)
    }
    return 1;
}
