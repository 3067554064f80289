/* Objectives as functions of psi, and a search for their minimum. Mirrored in search.py. */
#ifndef SEARCH_H
#define SEARCH_H
#include "linear.h"

/* Writes the value, its derivatives in psi (n_psi), what it profiles out, and its Newton steps for
 * a mode. Returns 0, or why there is no value. */
typedef int32_t (*ik_function)(void *context, const double *psi, double *value, double *gradient,
                               double *profiled, int64_t *inner);

/* How psi gives the templates: T[to[e]] = psi[from[e]], 0 elsewhere. */
typedef struct {
    int64_t n_psi, n_theta, entries, size;
    const int64_t *from, *to;
    double *T, *dT; /* `size` numbers each */
} ik_templates;

/* Responses that an objective with a mode inside may be pointed to: n rows each, one response after
 * the other. */
typedef struct {
    int64_t count;
    ik_model *model;
    const double *columns;  /* of the kernel, count x n rows */
    const double *weights;  /* the same of weights; NULL where these stay */
    const double *begin;    /* q: where the search for a mode begins */
    int64_t *forget;        /* numbers that say what is known of the response before */
    int64_t forgets;
} ik_responses;

/* An objective with a mode of u inside: that of laplace.c, nested.c or quadrature.c. */
typedef struct {
    ik_templates templates;
    int32_t (*evaluate)(const void *model, const double *T, const double *beta, double *value,
                        double *dT, double *dbeta, int64_t *iterations);
    const void *model;
    double *u, *before; /* q numbers each: the last mode, kept where an evaluation fails */
    double *held;       /* q + numbers: what `ik_mode_hold` keeps */
    double *at;         /* numbers: of the model, where its last mode is known */
    int64_t q, numbers;
    double constant; /* that the value is lower by */
    const ik_responses *responses;
} ik_mode_context;

/* Responses of a linear model: what of its products depends on them. */
typedef struct {
    int64_t count;
    const double *Zs;   /* count x c x G: Z'w r */
    const double *SS;   /* count x p1: [Q r]'w r */
    const double *beta; /* count x p */
    double *Zs_to, *SS_to, *beta_to; /* those of the model */
} ik_linear_responses;

/* A linear model's objective: log sigma is the last of psi, where it is estimated. */
typedef struct {
    ik_templates templates;
    const ik_linear *model;
    double *covariance, *mode;
    double *held; /* as many numbers as both */
    int64_t estimates_sigma;
    const ik_linear_responses *responses;
} ik_linear_context;

IK_EXPORT int32_t ik_mode_function(void *context, const double *psi, double *value,
                                   double *gradient, double *profiled, int64_t *inner);
IK_EXPORT int32_t ik_linear_function(void *context, const double *psi, double *value,
                                     double *gradient, double *profiled, int64_t *inner);

/* Point an objective to the i-th of its responses, as if nothing had been evaluated before. Returns
 * 0, or 1 where there are not so many. */
typedef int32_t (*ik_turn)(void *context, int64_t i);

/* Keep what belongs to the last point, or bring it back: what is kept of an objective is then of that
 * point, whatever was evaluated since. */
typedef void (*ik_hold)(void *context, int32_t back);

IK_EXPORT void ik_mode_hold(void *context, int32_t back);
IK_EXPORT void ik_linear_hold(void *context, int32_t back);

IK_EXPORT int32_t ik_mode_turn(void *context, int64_t i);
IK_EXPORT int32_t ik_linear_turn(void *context, int64_t i);

/* A search for the minimum over z, with psi = origin + B z: what it is given, and what it wrote. */
typedef struct {
    ik_function f;
    void *context;
    ik_hold hold; /* NULL where the function cannot */
    int64_t n_psi, m, n_profiled;
    const double *origin, *B; /* B n_psi x m by row */
    const double *longest;    /* the largest step in each z */
    const double *first;      /* value and gradient in psi at z = 0; NULL if not known */
    double tol_gradient;      /* largest entry of the gradient in z */
    double tol_value;         /* relative change of the value in a step */
    double floor;             /* a value below is left to somebody else to judge */
    int64_t most;             /* evaluations of the search */
    double step;              /* in z, of the differences where it ended; 0 for none */
    int64_t central;          /* whether they are to both sides; the half-width is `step` then */
    int64_t evaluations, failed, inner; /* in all */
    int64_t searched, differenced;      /* evaluations of the search alone */
    double *path; /* (most + 1 + 2 m) x 2: value and largest slope in z of each that succeeded */
    double *psi, *gradient, *profiled; /* of the last evaluation; gradient in psi */
    double *work; /* m (m + 6) + 2 (m + n_profiled) + n_psi + n_profiled */
} ik_descent;

/* Search from z = 0, and leave the best point in z. Where the search ended by a criterion, the
 * differences of [gradient in z, profiled entries] go to `jacobian`, m x (m + n_profiled), a row for
 * each z, if `step` is not 0; `differenced` says whether all of them have values. Differences to one
 * side are those of the gradient alone. The last evaluation, of which `value` is, is at z, but for
 * those of differences that a `hold` is around. Returns
 * how the search ended: 0 by the gradient, 1 by the value, 2 out of evaluations, 3 without a lower
 * point, 4 where the first value is none, the last one is none, or one is below the floor. */
IK_EXPORT int32_t ik_search(ik_descent *s, double *z, double *value, double *jacobian);

/* Where the searches for the minimum of an objective of many responses ended. */
typedef struct {
    int64_t count;
    ik_turn turn;
    double *z;   /* count x m, written as all that follows */
    int64_t *ended; /* as `ik_search` returns it; 4 also where a difference has no value */
    double *values, *slopes, *profiled; /* at z: count, count x m in z, count x n_profiled */
    double *jacobians; /* count x m x (m + n_profiled) */
    int64_t *counts;  /* count x 3: evaluations, failed, inner */
} ik_ends;

/* Search for one response after the other, each time from z = 0. What ended with 4 has no values. */
IK_EXPORT void ik_search_each(ik_descent *s, const ik_ends *ends);

/* Evaluate at `count` points; NAN where there is no value. Returns all Newton steps for modes. */
IK_EXPORT int64_t ik_at_each(ik_function f, void *context, int64_t count, int64_t n_psi,
                             int64_t n_profiled, const double *psi, double *values,
                             double *gradients, double *profiled);

#endif
