/* A model with one grouping factor, as the objectives take it. Mirrored in model.py. */
#ifndef LAPLACE_H
#define LAPLACE_H
#include "../include/interlace_kernel.h"
#include "../include/interlace_math.h"

#define LARGEST_C 4
#define SHARE_ROWS 16384 /* of the levels whose sums are made together, whoever makes them */

typedef struct {
    const double *X;      /* n x p, by column */
    const double *offset; /* one number, or n of them */
    int64_t p;
    int64_t offset_step; /* 0 where the offset is one number */
    int64_t constant;    /* 1 where it is the same for all rows, whatever beta is */
    int64_t active;      /* 1 where it is estimated */
} ik_predictor;

typedef struct {
    ik_rows rows;
    const void *data;
    const double *y; /* columns of the kernel, ldy apart */
    int64_t ldy;
    const double *weights; /* n, or NULL for ones */
    int64_t n, K, G, c;
    int64_t random;             /* predictor with the effects */
    const int64_t *starts;      /* G + 1: first row of each level */
    const double *z[LARGEST_C]; /* covariates; the first may be NULL, for ones */
    const ik_predictor *predictors;
    double *u; /* c x G by effect: the last mode, and the start of the next search */
    double tol;
    int64_t max_iterations, max_halvings;
    int64_t block_rows; /* rows that whole levels fill before a block ends */
    int64_t ld;       /* most rows of a block, padded */
    double *rows_at;  /* ld x (K + 1 + slots + c (c + 3)), for each thread */
    double *levels_at; /* for the levels of a block, for each thread: ld x (3 c^2 + 4 c) */
    uint8_t *want;    /* three times slots */
    int64_t threads;  /* that may evaluate levels at once */
    double *shares_at; /* sums of each share: shares x (3 + c^2 + coefficients) */
    /* of the last mode, so that the next search begins where it leads to first order in psi */
    int64_t *known; /* 0 nothing, 1 all that follows */
    double *at;     /* twice c^2 + coefficients: T and beta there, and what they changed by since */
    double *slopes; /* of u in those, each c x G by effect; NULL where none are kept */
} ik_model;

/* 0, or why there is no value: 1 the mode was not found, 2 it is not finite, 100 + what the rows
 * returned. */
IK_EXPORT int32_t ik_laplace(const ik_model *m, const double *T, const double *beta, double *value,
                             double *dT, double *dbeta, int64_t *iterations);

/* The model without random effects: log-likelihood, gradient, information (P x P) and the largest
 * squared slope of a row in the first predictor, relative to its curvature. No levels are needed. */
IK_EXPORT int32_t ik_slopes(const ik_model *m, const double *beta, double *value,
                              double *gradient, double *information, double *pull);

/* A climb to the coefficients of the model without random effects. Mirrored in objectives.py. */
typedef struct {
    const double *holding; /* P x P: curvature that holds them near where it begins */
    double tol;            /* half of what a step gains, at which it is the last one */
    int64_t per_gain;      /* whether that is per unit gained so far, where that is more than 1 */
    double rise, no_pull;  /* of the value, and largest pull, at which somebody looks closer */
    int64_t most, most_halvings;
} ik_climb_rule;

/* Replace the coefficients by those where damped Newton steps end; 0, or 1 where somebody else has to
 * look. `work` has 2 + 3 P^2 + 4 P numbers. */
IK_EXPORT int32_t ik_climb(const ik_model *m, const ik_climb_rule *rule, double *beta, double *work);

/* At the mode, X'WX - X'WZT H^-1 T'Z'WX over all coefficients and the diagonal of Z'WZ, c x G by
 * effect. `work` has P x ld x c numbers. */
IK_EXPORT int32_t ik_information(const ik_model *m, const double *T, const double *beta,
                                 double *work, double *information, double *effects);

#endif
