/* Rows of counts that other files build on: their own zeros are given by h = log(-log P(0)). */
#ifndef COUNTS_H
#define COUNTS_H
#include "../include/interlace_kernel.h"
#include "../include/interlace_math.h"

IK_EXPORT int32_t ik_poisson_log(const void *, int64_t, const double *, int64_t, const double *,
                                 int64_t, uint64_t, const uint8_t *, double *);
IK_EXPORT int32_t ik_nb2_log(const void *, int64_t, const double *, int64_t, const double *,
                             int64_t, uint64_t, const uint8_t *, double *);
IK_EXPORT int32_t ik_nb1(const void *, int64_t, const double *, int64_t, const double *, int64_t,
                         uint64_t, const uint8_t *, double *);

/* c(d) = log(log(1 + exp(d)) / exp(d)) and its derivatives: what a negative binomial with mean mu
 * and size t has at 0 is exp(-mu exp(c)), d = log(mu / t). */
IK_INLINE void shrinkage(double d, double *c, double *c1, double *c2, double *c3)
{
    double inside = d < -600.0 ? -600.0 : d, p, q, softplus = ik_softplus(inside, &p, &q);
    double near = inside > 30.0 ? 30.0 : inside, g = p / softplus, second = g * (q - g);
    *c = ik_log(softplus * ik_exp(-near)) - (inside - near);
    *c1 = g - 1.0;
    *c2 = second;
    *c3 = second * (q - g) - g * (p * q + second);
}

#endif
