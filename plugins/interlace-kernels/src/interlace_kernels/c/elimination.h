/* H = Lambda' A Lambda + I of several grouping factors, factorised by eliminating one factor after
 * the other: those that nest in all later ones without fill, the first that does not into a Schur
 * complement on all that are left. Mirrored in several.py; formulas as in
 * interlace_core.engine.elimination.
 */
#ifndef ELIMINATION_H
#define ELIMINATION_H
#include "../include/interlace_math.h"

#define MOST_FACTORS 8
#define MOST_COLUMNS 8 /* effects of a level */
#define OWN_ROWS 64    /* of a complement that is factorised here; larger ones by the caller */

/* Blocks (i, j), i <= j, of a symmetric matrix lie one after the other, row by row of the upper
 * triangle; each is P x c_j x c_i, so that a column of the later factor has its c_i numbers
 * together. A vector is by factor, c x L. */
typedef struct {
    int64_t F, q, entries;
    int64_t c[MOST_FACTORS], L[MOST_FACTORS], start[MOST_FACTORS];
    int64_t block[MOST_FACTORS][MOST_FACTORS], P[MOST_FACTORS][MOST_FACTORS];
    const int32_t *first[MOST_FACTORS][MOST_FACTORS]; /* levels of each pair, i < j */
    const int32_t *second[MOST_FACTORS][MOST_FACTORS];
    int64_t nested; /* factors that are eliminated without fill: 0 ... nested - 1 */
    /* the pair (r, s), r <= s, above each level of nested factor i; for r = s the level */
    const int32_t *link[MOST_FACTORS][MOST_FACTORS][MOST_FACTORS];
    int64_t size;            /* rows of the complement of factor `nested`; 0 if it is the last */
    const int64_t *partners; /* L + 1: first partner of each level */
    const int32_t *partner;  /* rows of the complement, ascending within a level */
    const int64_t *source;   /* where the c numbers of each partner are among the entries */
    const int64_t *pairs;    /* L + 1: first pair of partners, and the places of the pairs, lower */
    const int64_t *places;   /* triangle row by row; NULL where the complement is dense */
    const int64_t *rest;     /* place of each entry from block (nested + 1, nested + 1) on; -1 less
                                it for the second of two that are the same */
    int64_t most;            /* partners of a level */
    /* the complement: zeroed entries, their factorisation, x = S^-1 x, entries of the inverse, the
     * lower triangle of a dense one, whose upper one is written; NULL where it is factorised here */
    double *(*clear)(void);
    int32_t (*factorise)(double *log_det);
    int32_t (*solve)(double *x);
    double *(*inverse)(void);
    double *H, *Y, *N;  /* entries each: H; D^-1 C, with D^-1 as the blocks (i, i); H^-1 */
    double *S;          /* 2 size^2, where it is factorised here */
    double *scratch;    /* 2 c most + 8 size */
} ik_elimination;

/* H = tau T'AT + I from templates c x c, one after the other. */
void ik_weigh(const ik_elimination *e, const double *A, const double *T, double tau);

/* Factorise H, whose blocks are overwritten; 0, or 1 where it is not positive definite. */
IK_EXPORT int32_t ik_factorise(const ik_elimination *e, double *log_det);

/* x = H^-1 x; x holds q numbers. */
IK_EXPORT int32_t ik_solve(const ik_elimination *e, double *x);

/* Fill in N, the entries of H^-1 on the pattern. */
IK_EXPORT int32_t ik_select(const ik_elimination *e);

/* y = T'A T x + x, with 2 q numbers of scratch. */
void ik_times(const ik_elimination *e, const double *A, const double *T, const double *x, double *y,
              double *scratch);

/* y_f = T_f x_f or T_f' x_f, for each factor. */
void ik_template(const ik_elimination *e, const double *T, int transposed, const double *x,
                 double *y);

/* dT += sum over pairs of A T N', the derivative of log|H| / 2 in the templates. */
void ik_template_slopes(const ik_elimination *e, const double *A, const double *T, double *dT);

#endif
