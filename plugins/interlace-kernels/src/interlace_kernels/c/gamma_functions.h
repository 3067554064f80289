/* What is left of log-gamma functions when their leading terms are taken off on paper. */
#ifndef GAMMA_FUNCTIONS_H
#define GAMMA_FUNCTIONS_H
#include "../include/interlace_math.h"

/* Stirling's series at a >= 8, 1 / (12 a) - ..., and its derivatives in log a: eight terms
 * (Abramowitz & Stegun 6.1.41), the ninth being 0.18 / a^17. */
typedef struct {
    double s, s1, s2, s3;
} series;

IK_INLINE series stirling_series(double a)
{
    static const double c[8] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                                1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    double inverse = 1.0 / a, square = inverse * inverse, m;
    series r = {0.0, 0.0, 0.0, 0.0};
    int i;
    for (i = 7; i >= 0; i--) {
        m = -(2.0 * i + 1.0);
        r.s = r.s * square + c[i];
        r.s1 = r.s1 * square + c[i] * m;
        r.s2 = r.s2 * square + c[i] * m * m;
        r.s3 = r.s3 * square + c[i] * m * m * m;
    }
    r.s *= inverse;
    r.s1 *= inverse;
    r.s2 *= inverse;
    r.s3 *= inverse;
    return r;
}

/* S = log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 at x = exp(l), with derivatives in l.
 *
 * Moved by eight to a = x + 8, where the series holds; what the move adds is written in shares of
 * x in x + j, so that neither a huge nor a vanishing x loses digits. With A = x (psi(x) - l),
 * B = x^2 psi'(x) - x and C = x^3 psi''(x) + x the derivatives are A + 1/2, A + B, A + 3 B + C. */
IK_INLINE series stirling_remainder(double l)
{
    double log_x = l > 690.0 ? 690.0 : l, x = ik_exp(log_x), a = x + 8.0, r = x / a;
    double product = 1.0, sum1 = 0.0, sum2 = 0.0, sum3 = 0.0, up, A, B, C;
    series t = stirling_series(a), out;
    int j;
    for (j = 1; j < 8; j++) {
        double each = x / (x + j);
        product *= (x + j) / a;
        sum1 += each;
        sum2 += each * each;
        sum3 += each * each * each;
    }
    up = x > 1.0 ? ik_log1p(8.0 / (x > 1.0 ? x : 1.0)) : ik_log(a) - log_x; /* log(a / x) */
    out.s = (x + 0.5) * up - ik_log(product) - 8.0 + t.s;
    A = x * up - 0.5 * r + r * t.s1 - 1.0 - sum1;
    B = -8.0 * r + 0.5 * r * r + r * r * (t.s2 - t.s1) + 1.0 + sum2;
    C = 8.0 * r * (1.0 + r) - r * r * r + r * r * r * (t.s3 - 3.0 * t.s2 + 2.0 * t.s1) - 2.0 -
        2.0 * sum3;
    out.s1 = A + 0.5;
    out.s2 = A + B;
    out.s3 = A + 3.0 * B + C;
    return out;
}

/* R = log Gamma(y + t) - log Gamma(t) - y log t at t = exp(l), with derivatives in l to an order.
 *
 * R tends to 0 like y (y - 1) / (2 t) as t grows, and is linear in l as t vanishes. */
IK_INLINE series rising(double y, double l, int order)
{
    double log_t = l < -700.0 ? -700.0 : l, below = l + 700.0 < 0.0 ? l + 700.0 : 0.0;
    double t, a, b, ra, sb, gap, product = 1.0, sum1 = 0.0, sum2 = 0.0, sum3 = 0.0, up;
    double d1, d2, d3;
    series sa, sb8, out = {0.0, 0.0, 0.0, 0.0};
    int j;
    log_t = log_t > 60.0 ? 60.0 : log_t; /* R is 0 there, for every count */
    t = ik_exp(log_t);
    a = t + 8.0;
    b = y + a;
    ra = t / a;
    sb = t / b;
    for (j = 0; j < 8; j++) {
        double aj = 1.0 / (t + j), bj = 1.0 / (y + t + j), r = t * aj, s = t * bj, q = y * bj;
        if (j > 0)
            product *= (y + t + j) * aj;
        if (order > 0)
            sum1 += r * q;
        if (order > 1)
            sum2 -= r * q * (r + s);
        if (order > 2)
            sum3 += r * q * (r * r + r * s + s * s);
    }
    sa = stirling_series(a);
    sb8 = stirling_series(b);
    gap = ik_log1p(y / a);
    up = t > 1.0 ? ik_log1p(8.0 / (t > 1.0 ? t : 1.0)) : ik_log(a) - log_t; /* log(a / t) */
    out.s = (b - 0.5) * gap + y * up - y + sb8.s - sa.s - ik_log(product) -
            (t > 1.0 ? ik_log1p(y / (t > 1.0 ? t : 1.0)) : ik_log(y + t) - log_t);
    out.s += below * (y > 0.0 ? 1.0 - y : 0.0);
    out.s = y > 0.0 ? out.s : 0.0;
    if (order == 0)
        return out;
    d1 = t * gap + 0.5 * ra * (y / b) + sb * sb8.s1 - ra * sa.s1 + sum1;
    out.s1 = y > 0.0 ? d1 - y : 0.0;
    if (order == 1)
        return out;
    d2 = -t * (y / a) * sb - 0.5 * ra * (y / b) * (ra + sb) + sb * sb * (sb8.s2 - sb8.s1) -
         ra * ra * (sa.s2 - sa.s1) + sum2;
    out.s2 = y > 0.0 ? d1 + d2 : 0.0;
    if (order == 2)
        return out;
    d3 = t * ra * (y / b) * (ra + sb) + ra * (y / b) * (ra * ra + ra * sb + sb * sb) +
         sb * sb * sb * (sb8.s3 - 3.0 * sb8.s2 + 2.0 * sb8.s1) -
         ra * ra * ra * (sa.s3 - 3.0 * sa.s2 + 2.0 * sa.s1) + 2.0 * sum3;
    out.s3 = y > 0.0 ? d1 + 3.0 * d2 + d3 : 0.0;
    return out;
}

#endif
