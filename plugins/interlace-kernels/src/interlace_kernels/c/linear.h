/* A linear mixed model with one grouping factor, by its cross-products. Mirrored in linear.py. */
#ifndef LINEAR_H
#define LINEAR_H
#include "laplace.h"

#define LANES 64 /* levels at a time */

/* With Q the orthonormal columns of X = Q R and r the response less its fit without random effects:
 * the p1 = p + 1 columns [Q r] are what vectors of that length weigh. Levels are last. */
typedef struct {
    int64_t G, c, p1, n;
    const double *A;    /* c x c x G: Z'wZ */
    const double *Zs;   /* c x p1 x G: Z'w[Q r] */
    const double *SS;   /* p1 x p1: [Q r]'w[Q r] */
    const double *Rinv; /* p x p, upper triangular */
    const double *beta; /* p: without random effects */
    double constant;    /* of twice the value, that no parameter moves */
    int64_t restricted;
    double *U;    /* c x p1 x G: H^-1 tau T' Z'w[Q r], written */
    double *work; /* linear_work() numbers */
} ik_linear;

/* Twice the value's constant is left to the caller. Writes dT (c x c), the derivative in log sigma,
 * the coefficients, their covariance (p x p) and the mode of u (c x G). Returns 0, 1 where a matrix
 * is not positive definite, 2 where the value is not finite. */
IK_EXPORT int32_t ik_linear_value(const ik_linear *m, const double *T, double log_sigma,
                                  double *value, double *dT, double *d_log_sigma, double *beta,
                                  double *covariance, double *mode);

#endif
