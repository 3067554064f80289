/* Matrices of one to four rows, by row, with the size known when compiled. */
#ifndef SMALL_H
#define SMALL_H
#include "../include/interlace_math.h"

/* Replace the lower triangle of a by its Cholesky factor; 0 if it is not positive definite. */
IK_INLINE int cholesky(const int c, double *a)
{
    int i, j, k;
    for (j = 0; j < c; j++) {
        double d = a[j * c + j], inverse;
        for (k = 0; k < j; k++)
            d -= a[j * c + k] * a[j * c + k];
        if (!(d > 0.0))
            return 0;
        d = sqrt(d);
        inverse = 1.0 / d;
        a[j * c + j] = d;
        for (i = j + 1; i < c; i++) {
            double s = a[i * c + j];
            for (k = 0; k < j; k++)
                s -= a[i * c + k] * a[j * c + k];
            a[i * c + j] = s * inverse;
        }
    }
    return 1;
}

/* Replace x by (L L')^-1 x. */
IK_INLINE void solve(const int c, const double *L, double *x)
{
    int i, k;
    if (c == 1) { /* one quotient, where two would wait for each other */
        x[0] /= L[0] * L[0];
        return;
    }
    for (i = 0; i < c; i++) {
        for (k = 0; k < i; k++)
            x[i] -= L[i * c + k] * x[k];
        x[i] /= L[i * c + i];
    }
    for (i = c - 1; i >= 0; i--) {
        for (k = i + 1; k < c; k++)
            x[i] -= L[k * c + i] * x[k];
        x[i] /= L[i * c + i];
    }
}

/* out = A B, A' B, A B'. */
IK_INLINE void multiply(const int c, const double *A, const double *B, double *out)
{
    int i, j, k;
    for (i = 0; i < c; i++)
        for (j = 0; j < c; j++) {
            double s = 0.0;
            for (k = 0; k < c; k++)
                s += A[i * c + k] * B[k * c + j];
            out[i * c + j] = s;
        }
}

IK_INLINE void multiply_first_transposed(const int c, const double *A, const double *B, double *out)
{
    int i, j, k;
    for (i = 0; i < c; i++)
        for (j = 0; j < c; j++) {
            double s = 0.0;
            for (k = 0; k < c; k++)
                s += A[k * c + i] * B[k * c + j];
            out[i * c + j] = s;
        }
}

IK_INLINE void multiply_second_transposed(const int c, const double *A, const double *B,
                                          double *out)
{
    int i, j, k;
    for (i = 0; i < c; i++)
        for (j = 0; j < c; j++) {
            double s = 0.0;
            for (k = 0; k < c; k++)
                s += A[i * c + k] * B[j * c + k];
            out[i * c + j] = s;
        }
}

/* y = A x, A' x. */
IK_INLINE void apply(const int c, const double *A, const double *x, double *y)
{
    int i, k;
    for (i = 0; i < c; i++) {
        y[i] = 0.0;
        for (k = 0; k < c; k++)
            y[i] += A[i * c + k] * x[k];
    }
}

IK_INLINE void apply_transposed(const int c, const double *A, const double *x, double *y)
{
    int i, k;
    for (i = 0; i < c; i++) {
        y[i] = 0.0;
        for (k = 0; k < c; k++)
            y[i] += A[k * c + i] * x[k];
    }
}

/* Sums of short stretches: four running sums hide the latency of an addition. */
IK_INLINE double sum_of(const double *IK_RESTRICT x, int64_t low, int64_t high)
{
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0;
    int64_t i = low;
    for (; i + 4 <= high; i += 4) {
        a += x[i];
        b += x[i + 1];
        c += x[i + 2];
        d += x[i + 3];
    }
    for (; i < high; i++)
        a += x[i];
    return (a + b) + (c + d);
}

/* In four stretches, whose sums do not wait for each other. */
IK_INLINE double dot(const double *IK_RESTRICT x, const double *IK_RESTRICT y, int64_t n)
{
    const int64_t q = n < 64 ? 0 : n / 32 * 8; /* whole vectors in each */
    double a = 0.0, b = 0.0, c = 0.0, d = 0.0, s = 0.0;
    int64_t i;
    IK_SIMD_SUM(a, b, c, d) for (i = 0; i < q; i++)
    {
        a += x[i] * y[i];
        b += x[q + i] * y[q + i];
        c += x[2 * q + i] * y[2 * q + i];
        d += x[3 * q + i] * y[3 * q + i];
    }
    IK_SIMD_SUM(s) for (i = 4 * q; i < n; i++) s += x[i] * y[i];
    return ((a + b) + (c + d)) + s;
}

#endif
