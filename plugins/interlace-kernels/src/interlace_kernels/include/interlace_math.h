/* exp, log and their relatives without branches or tables, so that loops over rows vectorise.
 *
 * Accurate to a few units in the last place on the domains given. None calls the C library, sets
 * errno or depends on the rounding mode. Compile with -fno-math-errno -fno-trapping-math, and put
 * IK_SIMD in front of the loop over rows: one conditional call in it and nothing vectorises.
 */
#ifndef INTERLACE_MATH_H
#define INTERLACE_MATH_H
#include <stdint.h>
#include <math.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define IK_INLINE static __forceinline
#define IK_SIMD __pragma(omp simd)
#define IK_SIMD_SUM(...) __pragma(omp simd reduction(+ : __VA_ARGS__))
#define IK_RESTRICT __restrict
#define IK_EXPORT __declspec(dllexport)
#else
#define IK_INLINE static inline __attribute__((always_inline))
#define IK_PRAGMA(x) _Pragma(#x)
#define IK_SIMD IK_PRAGMA(omp simd)
#define IK_SIMD_SUM(...) IK_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define IK_RESTRICT __restrict__
#if defined(_WIN32)
#define IK_EXPORT __declspec(dllexport)
#else
#define IK_EXPORT __attribute__((visibility("default")))
#endif
#endif

/* a b + c, with one rounding where that is one instruction. */
#if defined(__FMA__) || defined(__aarch64__)
#define IK_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define IK_FMA(a, b, c) ((a) * (b) + (c))
#endif

#define IK_LN2_HIGH 6.93147180369123816490e-01 /* 33 bits: a product with an exponent is exact */
#define IK_LN2_LOW 1.90821492927058770002e-10
#define IK_HALF_LOG_2PI 0.91893853320467274178

typedef union {
    double value;
    int64_t bits;
    uint64_t ubits;
} ik_double;

/* exp(x); 0 below -708, exp(709) from there on. */
IK_INLINE double ik_exp(double x)
{
    const double shift = 6755399441055744.0; /* 1.5 * 2^52: the sum is rounded to an integer */
    double inside = x < -708.0 ? -708.0 : x, r, p;
    ik_double k, scale;
    inside = inside > 709.0 ? 709.0 : inside;
    k.value = IK_FMA(inside, 1.4426950408889634074, shift);
    r = k.value - shift;
    r = IK_FMA(-r, IK_LN2_LOW, IK_FMA(-r, IK_LN2_HIGH, inside)); /* |r| <= log(2) / 2 */
    /* 1 + r + r^2 / 2 + r^3 p(r), p from a Chebyshev expansion: 4e-17 is left */
    p = 2.51003861863978143e-8;
    p = IK_FMA(p, r, 2.76138078979534487e-7);
    p = IK_FMA(p, r, 2.75572684583370608e-6);
    p = IK_FMA(p, r, 2.48015365118451845e-5);
    p = IK_FMA(p, r, 1.98412698630548633e-4);
    p = IK_FMA(p, r, 1.38888889058828513e-3);
    p = IK_FMA(p, r, 8.33333333333006153e-3);
    p = IK_FMA(p, r, 4.16666666666513531e-2);
    p = IK_FMA(p, r, 0.166666666666666675);
    p = IK_FMA(p, r, 0.5);
    p = IK_FMA(p, r, 1.0);
    p = IK_FMA(p, r, 1.0);
    scale.ubits = (k.ubits << 52) + ((uint64_t)1023 << 52);
    p = p * scale.value;
    p = x < -708.0 ? 0.0 : p;
    return x != x ? x : p;
}

/* log(1 + f) for f between sqrt(1/2) - 1 and sqrt(2) - 1, by 2 artanh(f / (2 + f)). */
IK_INLINE double ik_log_near(double f)
{
    double s = f / (2.0 + f), z = s * s, tail;
    /* (artanh(s) / s - 1) / z from a Chebyshev expansion: 2e-16 is left, times z < 0.03 */
    tail = 7.30922603635740087e-2;
    tail = IK_FMA(tail, z, 7.66577737164045658e-2);
    tail = IK_FMA(tail, z, 9.0914471600421393e-2);
    tail = IK_FMA(tail, z, 0.111111055302822052);
    tail = IK_FMA(tail, z, 0.142857143132263111);
    tail = IK_FMA(tail, z, 0.199999999999491946);
    tail = IK_FMA(tail, z, 0.333333333333333486);
    /* 2 s = f - s f, so that what is rounded is small beside f */
    return f - s * (f - 2.0 * z * tail);
}

/* log(x) of positive normal numbers. */
IK_INLINE double ik_log(double x)
{
    ik_double m, k;
    int64_t e;
    double n;
    m.value = x;
    e = (m.bits - 0x3fe6a09e667f3bcdLL) >> 52; /* x = m 2^e, m from sqrt(1/2) to sqrt(2) */
    m.ubits -= (uint64_t)e << 52;
    k.bits = 0x4338000000000000LL + e; /* the exponent as a double, without a conversion */
    n = k.value - 6755399441055744.0;
    return n * IK_LN2_HIGH + (ik_log_near(m.value - 1.0) + n * IK_LN2_LOW);
}

/* log(1 + x) for x >= -1/2, up to where 1 + x is finite. */
IK_INLINE double ik_log1p(double x)
{
    double u = 1.0 + x;
    return ik_log(u) + (x - (u - 1.0)) / u * (x < 1e15 ? 1.0 : 0.0);
}

/* log(1 + x) for x from 0 to 1, without a second quotient. */
IK_INLINE double ik_log1p_unit(double x)
{
    double half = 0.5 * x - 0.5, high = ik_log_near(x > 0.41421356237309505 ? half : x);
    return x > 0.41421356237309505 ? 0.69314718055994530942 + high : high;
}

/* exp(x) - 1 - x without the cancellation near 0. */
IK_INLINE double ik_exp_excess(double x)
{
    double far = ik_exp(x) - 1.0 - x, t = x > 0.5 ? 0.5 : x, p;
    t = t < -0.5 ? -0.5 : t;
    p = 1.0 + t / 16.0; /* 0.5^14 2 / 17! is below 1e-18 */
    p = 1.0 + t / 15.0 * p;
    p = 1.0 + t / 14.0 * p;
    p = 1.0 + t / 13.0 * p;
    p = 1.0 + t / 12.0 * p;
    p = 1.0 + t / 11.0 * p;
    p = 1.0 + t / 10.0 * p;
    p = 1.0 + t / 9.0 * p;
    p = 1.0 + t / 8.0 * p;
    p = 1.0 + t / 7.0 * p;
    p = 1.0 + t / 6.0 * p;
    p = 1.0 + t / 5.0 * p;
    p = 1.0 + t / 4.0 * p;
    p = 1.0 + t / 3.0 * p;
    return t == x ? 0.5 * t * t * p : far;
}

/* exp(x) - 1. */
IK_INLINE double ik_expm1(double x)
{
    return ik_exp_excess(x) + x;
}

/* log(1 + exp(x)) with its slope p and 1 - p, from one exponential. */
IK_INLINE double ik_softplus(double x, double *p, double *q)
{
    double e = ik_exp(-fabs(x)), larger = 1.0 / (1.0 + e), smaller = e * larger;
    *p = x >= 0.0 ? larger : smaller;
    *q = x >= 0.0 ? smaller : larger;
    return (x > 0.0 ? x : 0.0) + ik_log1p_unit(e);
}

#endif
