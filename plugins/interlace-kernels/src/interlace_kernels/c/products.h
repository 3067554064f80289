/* Sums of products of the columns of a linear model, over all rows and over those of each level.
 * Mirrored in products.py. */
#ifndef PRODUCTS_H
#define PRODUCTS_H
#include "../include/interlace_math.h"

#define LANES 8 /* numbers that a row's run is a multiple of */
#define ROWS 256            /* of a block */
#define LINE (ROWS + LANES) /* from a column of one to the next, which share no sets of a cache */

/* A column of numbers with a stride, in doubles; no address stands for ones. */
typedef struct {
    const double *at;
    int64_t stride;
} ik_strided;

/* The rows of each level of a factor, and c columns of effects. */
typedef struct {
    int64_t c, L;
    const int64_t *codes;
    const ik_strided *z; /* c */
    double *A;           /* c x c x L, written */
    double *Zs;          /* c x p1 x L, written */
    double *records;     /* L x c x size, zero when called */
} ik_level_sums;

/* The p1 columns are those of X and r = y - offset - X beta. A row's run is [X r z], `size` numbers,
 * which are p1 and the most effects of a factor, to a multiple of 8. */
typedef struct {
    int64_t n, p1, F, size;
    const ik_strided *X; /* p1 - 1 */
    ik_strided y, offset, weights;
    const double *beta;
    const ik_level_sums *factors; /* F */
    double *SS;                   /* p1 x p1, written */
    double *work;                 /* size * ROWS + (p1 + 3) * LINE */
} ik_row_products;

IK_EXPORT int32_t ik_products(const ik_row_products *m);

#endif
