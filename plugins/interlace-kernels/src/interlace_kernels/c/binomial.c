/* Binomial rows by link. Two forms: of few trials, columns successes, trials, log C(trials,
 * successes); and of many, around the observed share (Loader 2000), so that nothing of the size of
 * the counts is left to cancel: successes, failures, log of both observed shares, log of the
 * normal factor, and 1 where both outcomes occurred. */
#include "../include/interlace_kernel.h"
#include "tails.h"

#define LOOP(THIRD)                                                                                \
    IK_SIMD for (i = 0; i < n; i++)                                                                \
    {                                                                                              \
        double x = eta[i], p, q, softplus = ik_softplus(-fabs(x), &p, &q);                         \
        double larger = trials[i] * p, second = -larger * q;                                       \
        value[i] = choose[i] + s[i] * x - trials[i] * (softplus + (x > 0.0 ? x : 0.0));            \
        /* the smaller of two equal differences: n p is not known to better than its rounding */   \
        first[i] = x >= 0.0 ? larger - (trials[i] - s[i]) : s[i] - larger;                         \
        d2[i] = second;                                                                            \
        THIRD;                                                                                     \
    }

IK_EXPORT int32_t ik_binomial_logit(const void *data, int64_t n, const double *y, int64_t ldy,
                                    const double *eta, int64_t ld, uint64_t constant,
                                    const uint8_t *want, double *out)
{
    const double *s = y, *trials = y + ldy, *choose = y + 2 * ldy;
    double *value = out, *first = out + ld, *d2 = out + 2 * ld, *d3 = out + 3 * ld;
    int64_t i;
    (void)data, (void)constant;
    if (want[3])
        LOOP(d3[i] = second * (x >= 0.0 ? p - q : q - p))
    else
        LOOP((void)0)
    return 0;
}

#define FEW(NAME, TAILS)                                                                           \
    IK_EXPORT int32_t NAME(const void *data, int64_t n, const double *y, int64_t ldy,              \
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,  \
                           double *out)                                                            \
    {                                                                                              \
        const double *s = y, *trials = y + ldy, *choose = y + 2 * ldy;                             \
        int64_t i;                                                                                 \
        (void)data, (void)constant, (void)want;                                                    \
        IK_SIMD for (i = 0; i < n; i++)                                                            \
        {                                                                                          \
            double f = trials[i] - s[i];                                                           \
            tails t = TAILS(eta[i]);                                                               \
            out[i] = choose[i] + s[i] * t.u + f * t.v;                                             \
            out[ld + i] = s[i] * t.u1 + f * t.v1;                                                  \
            out[2 * ld + i] = s[i] * t.u2 + f * t.v2;                                              \
            out[3 * ld + i] = s[i] * t.u3 + f * t.v3;                                              \
        }                                                                                          \
        return 0;                                                                                  \
    }

#define MANY(NAME, TAILS, FIRST)                                                                   \
    IK_EXPORT int32_t NAME(const void *data, int64_t n, const double *y, int64_t ldy,              \
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,  \
                           double *out)                                                            \
    {                                                                                              \
        const double *s = y, *fail = y + ldy, *up = y + 2 * ldy, *down = y + 3 * ldy,              \
                     *normal = y + 4 * ldy, *both = y + 5 * ldy;                                   \
        int64_t i;                                                                                 \
        (void)data, (void)constant, (void)want;                                                    \
        IK_SIMD for (i = 0; i < n; i++)                                                            \
        {                                                                                          \
            double f = fail[i], x = eta[i], near, sure;                                            \
            tails t = TAILS(x);                                                                    \
            near = normal[i] - s[i] * ik_exp_excess(t.u - up[i]) -                                 \
                   f * ik_exp_excess(t.v - down[i]);                                               \
            sure = s[i] * t.u + f * t.v;                                                           \
            out[i] = both[i] > 0.0 ? near : sure;                                                  \
            out[ld + i] = FIRST;                                                                   \
            out[2 * ld + i] = s[i] * t.u2 + f * t.v2;                                              \
            out[3 * ld + i] = s[i] * t.u3 + f * t.v3;                                              \
        }                                                                                          \
        return 0;                                                                                  \
    }

FEW(ik_binomial_probit, probit_tails)
FEW(ik_binomial_cloglog, cloglog_tails)
MANY(ik_binomial_many_logit, logit_tails,
     x >= 0.0 ? (s[i] + f) * t.u1 - f : s[i] + (s[i] + f) * t.v1)
MANY(ik_binomial_many_probit, probit_tails, s[i] * t.u1 + f * t.v1)
MANY(ik_binomial_many_cloglog, cloglog_tails, s[i] * t.u1 + f * t.v1)
