/* Logarithms of both tails of a probability by its link, with three derivatives each. */
#ifndef TAILS_H
#define TAILS_H
#include "../include/interlace_math.h"

typedef struct {
    double u, u1, u2, u3; /* log(mu) and its derivatives in eta */
    double v, v1, v2, v3; /* log(1 - mu) */
} tails;

IK_INLINE tails logit_tails(double x)
{
    tails t;
    double p, q, softplus = ik_softplus(-fabs(x), &p, &q); /* p <= 1/2 is the smaller tail */
    double mu = x >= 0.0 ? q : p, rest = x >= 0.0 ? p : q, second = -p * q;
    t.u = (x < 0.0 ? x : 0.0) - softplus;
    t.v = (x > 0.0 ? -x : 0.0) - softplus;
    t.u1 = rest;
    t.v1 = -mu;
    t.u2 = t.v2 = second;
    t.u3 = t.v3 = second * (rest - mu);
    return t;
}

IK_INLINE tails cloglog_tails(double x)
{
    tails t;
    double e = ik_exp(x > 700.0 ? 700.0 : x), none = ik_exp(-e), some = -ik_expm1(-e);
    double tiny = some > 1e-300 ? some : 1e-300, r = e > 1e-300 ? e * none / tiny : 1.0;
    /* Bernoulli's series of 1 - e - r where the difference would cancel */
    double series = e * (-0.5 - e * (1.0 / 12.0 - e * e * (1.0 / 720.0 - e * e / 30240.0)));
    double decay = e < 0.05 ? series : 1.0 - e - r, second = r * decay;
    double by_some = ik_log(tiny), by_none = ik_log1p(-(none < 0.5 ? none : 0.5));
    t.u = x < -37.0 ? x : (none > 0.5 ? by_some : by_none);
    t.u1 = r;
    t.u2 = second;
    t.u3 = second * decay - r * (e + second);
    t.v = t.v1 = t.v2 = t.v3 = -e;
    return t;
}

/* What is left of Laplace's continued fraction of the normal tail, c(t) in
 *     m = t + d,  d = 1 / (t + e),  e = 2 / (t + c),  m = phi(t) / Phi(-t),
 * for t >= 0: (t + 1.5) c / 3 as a Chebyshev series in (t - 4) / (t + 4), which is smooth on the
 * whole half line. Its coefficients are from 44 points in 60 digits; 2e-15 is left out. */
IK_INLINE double normal_rest(double t)
{
    static const double c[30] = {
        1.01518570964402075, 0.0843530881368712884, -0.122432605074390365, 0.0183680793117469229,
        0.00665191632055005821, -0.00181981408828860488, -0.000505037228229147122,
        0.000171006811620792084, 4.66606271144680666e-5, -1.59877330053976637e-5,
        -4.84353838770841359e-6, 1.4658181401396127e-6, 5.33565898108012682e-7,
        -1.28248054394632787e-7, -5.9943541566624635e-8, 1.02383238236364219e-8,
        6.68618257262189982e-9, -6.74133024120775213e-10, -7.26808922164162588e-10,
        2.32224559474446905e-11, 7.5898067083313264e-11, 2.83782607194808087e-12,
        -7.51357161507498481e-12, -8.34719675504924004e-13, 6.94469769671983969e-13,
        1.36372895543771108e-13, -5.86363486671599967e-14, -1.80597922396611796e-14,
        4.34678257638342879e-15, 2.10368387445788079e-15,
    };
    double s = (t - 4.0) / (t + 4.0), twice = 2.0 * s, next = c[29], after = 0.0, now;
    int i;
    for (i = 28; i > 0; i--) {
        now = c[i] + twice * next - after;
        after = next;
        next = now;
    }
    return 3.0 * (c[0] + s * next - after) / (t + 1.5);
}

/* log Phi(x), its three derivatives, and those of log Phi(-x). */
IK_INLINE tails probit_tails(double x)
{
    tails r;
    double t = fabs(x), inside = t > 1e100 ? 1e100 : t, c = normal_rest(inside);
    double e = 2.0 / (inside + c), d = 1.0 / (inside + e), m = inside + d;
    double half = 0.5 * inside * inside, density = ik_exp(-half - IK_HALF_LOG_2PI);
    /* the smaller tail, log Phi(-t) and its slopes in -t */
    double low = -half - IK_HALF_LOG_2PI - ik_log(m), low2 = -m * d,
           low3 = m * d * d * e * (c - e);
    double mass = density / m, n = density / (1.0 - mass), big = n + inside; /* the larger one */
    double high = ik_log1p(-mass), high2 = -n * big, high3 = n * (big * (n + big) - 1.0);
    int up = x > 0.0;
    r.u = up ? high : low;
    r.u1 = up ? n : m;
    r.u2 = up ? high2 : low2;
    r.u3 = up ? high3 : low3;
    r.v = up ? low : high;
    r.v1 = up ? -m : -n;
    r.v2 = up ? low2 : high2;
    r.v3 = up ? -low3 : -high3;
    return r;
}

#endif
