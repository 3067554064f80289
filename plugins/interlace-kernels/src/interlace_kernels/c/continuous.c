/* Gaussian, gamma and beta rows. */
#include "../include/interlace_kernel.h"
#include "gamma_functions.h"
#include "tails.h"

#define CHUNK 128
#define LARGEST_LOG 690.0
#define SMALLEST_LOG_SIGMA -300.0

/* y ~ N(eta_0, exp(2 eta_1)); column y. */
IK_EXPORT int32_t ik_gaussian(const void *data, int64_t n, const double *y, int64_t ldy,
                              const double *eta, int64_t ld, uint64_t constant,
                              const uint8_t *want, double *out)
{
    int64_t i;
    (void)data, (void)constant, (void)want, (void)ldy;
    IK_SIMD for (i = 0; i < n; i++)
    {
        double l = eta[ld + i], inside = l < SMALLEST_LOG_SIGMA ? SMALLEST_LOG_SIGMA : l;
        double precision = ik_exp(-2.0 * inside), residual = y[i] - eta[i];
        double slope = precision * residual, square = slope * residual;
        out[i] = -IK_HALF_LOG_2PI - l - 0.5 * square;
        out[ld + i] = slope;
        out[2 * ld + i] = square - 1.0;
        out[3 * ld + i] = -precision;
        out[4 * ld + i] = -2.0 * slope;
        out[5 * ld + i] = -2.0 * square;
        out[6 * ld + i] = 0.0;
        out[7 * ld + i] = 2.0 * precision;
        out[8 * ld + i] = 4.0 * slope;
        out[9 * ld + i] = 4.0 * square;
    }
    return 0;
}

/* exp(l) (exp(d) - 1 - d); where d is large the scale joins the exponent. */
IK_INLINE double scaled_excess(double l, double k, double d)
{
    double far = ik_exp(l + d) - k * (1.0 + d), near = k * ik_exp_excess(fabs(d) < 1.0 ? d : 0.0);
    return fabs(d) < 1.0 ? near : far;
}

/* Gamma with mean exp(eta_0) and shape exp(eta_1); columns y and log y. */
IK_EXPORT int32_t ik_gamma_log(const void *data, int64_t n, const double *y, int64_t ldy,
                               const double *eta, int64_t ld, uint64_t constant,
                               const uint8_t *want, double *out)
{
    const double *log_y = y + ldy;
    int mixed = want[2] || want[5] || want[9];
    series S[CHUNK];
    int64_t at, i, m;
    (void)data, (void)mixed;
    if (constant & 2)
        S[0] = stirling_remainder(eta[ld]);
    for (at = 0; at < n; at += CHUNK) {
        double *o = out + at;
        m = n - at < CHUNK ? n - at : CHUNK;
        if (!(constant & 2))
            IK_SIMD for (i = 0; i < m; i++) S[i] = stirling_remainder(eta[ld + at + i]);
        IK_SIMD for (i = 0; i < m; i++)
        {
            const double l = eta[ld + at + i], d = log_y[at + i] - eta[at + i];
            double inside = l > LARGEST_LOG ? LARGEST_LOG : l, k = ik_exp(inside);
            double within = l <= LARGEST_LOG ? 1.0 : 0.0, excess = scaled_excess(inside, k, d);
            double scaled = ik_exp(inside + d); /* k y / mu */
            double slope = fabs(d) < 1.0 ? k * ik_expm1(fabs(d) < 1.0 ? d : 0.0) : scaled - k;
            const series r = S[constant & 2 ? 0 : i];
            o[i] = 0.5 * l - IK_HALF_LOG_2PI - r.s - excess - log_y[at + i];
            o[ld + i] = slope;
            o[2 * ld + i] = 0.5 - r.s1 - within * excess;
            o[3 * ld + i] = -scaled;
            o[4 * ld + i] = within * slope;
            o[5 * ld + i] = -r.s2 - within * excess;
            o[6 * ld + i] = scaled;
            o[7 * ld + i] = -within * scaled;
            o[8 * ld + i] = within * slope;
            o[9 * ld + i] = -r.s3 - within * excess;
        }
    }
    return 0;
}

/* The derivatives of h(log phi + L(eta)) + half of the sum, h = log(x) / 2 - S(x). */
IK_INLINE void add_tail(series S, double L1, double L2, double L3, double f[10])
{
    double h1 = 0.5 - S.s1, bent = -S.s2 * L1, twice = -S.s3 * L1 * L1;
    f[1] += h1 * L1;
    f[2] += h1;
    f[3] += bent * L1 + h1 * L2;
    f[4] += bent;
    f[5] += -S.s2;
    f[6] += twice * L1 + 3.0 * bent * L2 + h1 * L3;
    f[7] += twice - S.s2 * L2;
    f[8] += -S.s3 * L1;
    f[9] += -S.s3;
}

/* Beta with shapes mu phi and (1 - mu) phi: with K the divergence of the shares y from mu,
 *     S(phi) - S(a) - S(b) + (log a + log b - log phi - log(2 pi)) / 2 - phi K - log y - log(1 - y)
 * whose large parts cancel on paper; columns log y and log(1 - y). */
IK_INLINE void beta_row(double log_y, double log1m_y, double l, series S, tails t, double f[10])
{
    double inside = l > LARGEST_LOG ? LARGEST_LOG : l, phi = ik_exp(inside);
    double within = l <= LARGEST_LOG ? 1.0 : 0.0, a = -phi * ik_exp(t.u);
    double K = phi * (ik_exp(t.u) * (t.u - log_y) + ik_exp(t.v) * (t.v - log1m_y));
    double D = t.u - t.v - (log_y - log1m_y), D1 = t.u1 - t.v1, m1 = a * t.u1;
    double m2 = a * (t.u2 + t.u1 * t.u1), m3 = a * (t.u3 + t.u1 * (3.0 * t.u2 + t.u1 * t.u1));
    double s1 = m1 * D, s2 = m2 * D + m1 * D1, s3 = m3 * D + 2.0 * m2 * D1 + m1 * (t.u2 - t.v2);
    series Sa = stirling_remainder(l + t.u), Sb = stirling_remainder(l + t.v);
    f[0] = S.s - Sa.s - Sb.s + 0.5 * (l + t.u + t.v) - IK_HALF_LOG_2PI - K - log_y - log1m_y;
    f[1] = s1;
    f[2] = S.s1 - 0.5 - within * K;
    f[3] = s2;
    f[4] = within * s1;
    f[5] = S.s2 - within * K;
    f[6] = s3;
    f[7] = within * s2;
    f[8] = within * s1;
    f[9] = S.s3 - within * K;
    add_tail(Sa, t.u1, t.u2, t.u3, f);
    add_tail(Sb, t.v1, t.v2, t.v3, f);
}

#define BETA(NAME, TAILS)                                                                          \
    IK_EXPORT int32_t NAME(const void *data, int64_t n, const double *y, int64_t ldy,              \
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,  \
                           double *out)                                                            \
    {                                                                                              \
        series S[CHUNK];                                                                           \
        int64_t at, i, m, k;                                                                       \
        (void)data, (void)want;                                                                    \
        for (at = 0; at < n; at += CHUNK) {                                                        \
            double *o = out + at;                                                                  \
            m = n - at < CHUNK ? n - at : CHUNK;                                                   \
            if (constant & 2)                                                                      \
                S[0] = stirling_remainder(eta[ld]);                                                \
            else                                                                                   \
                IK_SIMD for (i = 0; i < m; i++) S[i] = stirling_remainder(eta[ld + at + i]);       \
            IK_SIMD for (i = 0; i < m; i++)                                                        \
            {                                                                                      \
                double f[10];                                                                      \
                tails t = TAILS(eta[at + i]);                                                      \
                beta_row(y[at + i], y[ldy + at + i], eta[ld + at + i],                             \
                         S[constant & 2 ? 0 : i], t, f);                                           \
                for (k = 0; k < 10; k++)                                                           \
                    o[k * ld + i] = f[k];                                                          \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }

BETA(ik_beta_logit, logit_tails)
BETA(ik_beta_probit, probit_tails)
BETA(ik_beta_cloglog, cloglog_tails)
