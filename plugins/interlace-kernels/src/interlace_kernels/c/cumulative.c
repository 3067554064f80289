/* Ordered categories cut from a latent scale: log(F(a) - F(b)), a and b the ends of the category
 * less the location, which is predictor 0; the further ones make the ends. Column: the category.
 *
 * data: number of categories J, number m of threshold predictors, then two J x m matrices of how
 * they move each category's upper and lower end (0 where there is none).
 *
 * With t = log F(a) - log F(b) below the centre, and the same from above beyond it, nothing cancels
 * in either tail. Nine derivatives in (a, b) carry those of all predictors. */
#include "../include/interlace_kernel.h"
#include "tails.h"

#define CHUNK 64

typedef struct {
    int64_t J, m;
    double ends[]; /* upper, then lower */
} thresholds;

typedef struct {
    double value, A, B, aa, ab, bb, aaa, aab, abb, bbb;
} interval;

IK_INLINE interval interval_terms(double a, double b, double first, double last, tails ta, tails tb,
                                  double h, double dh, double k, double dk)
{
    interval r;
    int below = first > 0.0 || (last == 0.0 && a + b < 0.0), open = first + last > 0.0;
    double near = below ? ta.u : tb.v, far = below ? tb.u : ta.v, t = near - far, narrow, odds, A, B;
    double inside = t > 1e-300 ? t : 1e-300, some = -ik_expm1(-inside);
    narrow = open ? 1.0 : some;
    odds = open ? 0.0 : ik_exp(-inside) / some;
    A = below ? ta.u1 / narrow : -ta.v1 * odds;
    B = below ? tb.u1 * odds : -tb.v1 / narrow;
    A = last > 0.0 ? 0.0 : A;
    B = first > 0.0 ? 0.0 : B;
    r.value = near + (open ? 0.0 : ik_log(some));
    r.value = a <= b ? -INFINITY : r.value;
    r.A = A;
    r.B = -B;
    r.aa = A * (h - A);
    r.ab = A * B;
    r.bb = -B * (k + B);
    r.aaa = A * (h * h + dh - A * (3.0 * h - 2.0 * A));
    r.aab = A * B * (h - 2.0 * A);
    r.abb = A * B * (k + 2.0 * B);
    r.bbb = -B * (k * k + dk + B * (3.0 * k + 2.0 * B));
    return r;
}

/* How predictor p moves an end of the rows' categories. */
static void ways(int64_t p, int64_t m, int64_t rows, const double *ends, const double *category,
                 double *w)
{
    int64_t i;
    for (i = 0; i < rows; i++)
        w[i] = p == 0 ? -1.0 : ends[(int64_t)category[i] * m + p - 1];
}

static void slots_of(const thresholds *cut, int64_t rows, const double *category,
                     double d[10][CHUNK], const uint8_t *want, double *out, int64_t ld)
{
    const double *upper = cut->ends, *lower = cut->ends + cut->J * cut->m;
    double wa[3][CHUNK], wb[3][CHUNK];
    int64_t K = cut->m + 1, a, b, c, i;
    for (c = 0; c < K; c++) {
        double *one = out + interlace_slot(K, -1, -1, c) * ld;
        ways(c, cut->m, rows, upper, category, wa[2]);
        ways(c, cut->m, rows, lower, category, wb[2]);
        if (want[interlace_slot(K, -1, -1, c)])
            IK_SIMD for (i = 0; i < rows; i++) one[i] = d[1][i] * wa[2][i] + d[2][i] * wb[2][i];
        for (b = 0; b <= c; b++) {
            double *two = out + interlace_slot(K, -1, b, c) * ld;
            int any = want[interlace_slot(K, -1, b, c)];
            for (a = 0; a <= b; a++)
                any |= want[interlace_slot(K, a, b, c)];
            if (!any)
                continue;
            ways(b, cut->m, rows, upper, category, wa[1]);
            ways(b, cut->m, rows, lower, category, wb[1]);
            if (want[interlace_slot(K, -1, b, c)])
                IK_SIMD for (i = 0; i < rows; i++) two[i] =
                    d[3][i] * wa[1][i] * wa[2][i] + d[5][i] * wb[1][i] * wb[2][i] +
                    d[4][i] * (wa[1][i] * wb[2][i] + wb[1][i] * wa[2][i]);
            for (a = 0; a <= b; a++) {
                double *three = out + interlace_slot(K, a, b, c) * ld;
                if (!want[interlace_slot(K, a, b, c)])
                    continue;
                ways(a, cut->m, rows, upper, category, wa[0]);
                ways(a, cut->m, rows, lower, category, wb[0]);
                IK_SIMD for (i = 0; i < rows; i++)
                {
                    double ab = wa[1][i] * wa[2][i], bb = wb[1][i] * wb[2][i],
                           mixed = wa[1][i] * wb[2][i] + wb[1][i] * wa[2][i];
                    three[i] = wa[0][i] * (d[6][i] * ab + d[7][i] * mixed + d[8][i] * bb) +
                               wb[0][i] * (d[7][i] * ab + d[8][i] * mixed + d[9][i] * bb);
                }
            }
        }
    }
}

/* The ends of some rows' categories, with stand-ins where a category has none. */
static void ends_of(const thresholds *cut, int64_t rows, const double *category, const double *eta,
                    int64_t ld, double *a, double *b, double *first, double *last)
{
    const double *upper = cut->ends, *lower = cut->ends + cut->J * cut->m;
    int64_t i, k;
    for (i = 0; i < rows; i++) {
        int64_t c = (int64_t)category[i];
        double up = 0.0, low = 0.0;
        for (k = 0; k < cut->m; k++) {
            up += upper[c * cut->m + k] * eta[(k + 1) * ld + i];
            low += lower[c * cut->m + k] * eta[(k + 1) * ld + i];
        }
        first[i] = c == 0 ? 1.0 : 0.0;
        last[i] = c == cut->J - 1 ? 1.0 : 0.0;
        a[i] = (c == cut->J - 1 ? low + 1.0 : up) - eta[i];
        b[i] = (c == 0 ? up - 1.0 : low) - eta[i];
    }
}

/* What is needed of both tails, from columns: all in one loop is more than a compiler keeps. */
#define READ(x) {(x)[0][i], (x)[1][i], (x)[2][i], 0.0, (x)[3][i], (x)[4][i], 0.0, 0.0}

#define CUMULATIVE(NAME, TAILS, H, DH)                                                             \
    IK_EXPORT int32_t NAME(const void *data, int64_t n, const double *y, int64_t ldy,              \
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,  \
                           double *out)                                                            \
    {                                                                                              \
        const thresholds *cut = data;                                                              \
        double a[CHUNK], b[CHUNK], first[CHUNK], last[CHUNK], d[10][CHUNK];                        \
        double at_a[5][CHUNK], at_b[5][CHUNK];                                                     \
        int64_t at, i, rows;                                                                       \
        (void)constant, (void)ldy;                                                                 \
        for (at = 0; at < n; at += CHUNK) {                                                        \
            rows = n - at < CHUNK ? n - at : CHUNK;                                                \
            ends_of(cut, rows, y + at, eta + at, ld, a, b, first, last);                           \
            IK_SIMD for (i = 0; i < rows; i++)                                                     \
            {                                                                                      \
                tails t = TAILS(a[i]);                                                             \
                at_a[0][i] = t.u, at_a[1][i] = t.u1, at_a[2][i] = t.u2, at_a[3][i] = t.v,          \
                at_a[4][i] = t.v1;                                                                 \
            }                                                                                      \
            IK_SIMD for (i = 0; i < rows; i++)                                                     \
            {                                                                                      \
                tails t = TAILS(b[i]);                                                             \
                at_b[0][i] = t.u, at_b[1][i] = t.u1, at_b[2][i] = t.u2, at_b[3][i] = t.v,          \
                at_b[4][i] = t.v1;                                                                 \
            }                                                                                      \
            IK_SIMD for (i = 0; i < rows; i++)                                                     \
            {                                                                                      \
                tails ta = READ(at_a), tb = READ(at_b);                                            \
                interval r = interval_terms(a[i], b[i], first[i], last[i], ta, tb, H(ta, a[i]),    \
                                            DH(ta), H(tb, b[i]), DH(tb));                          \
                d[0][i] = r.value, d[1][i] = r.A, d[2][i] = r.B, d[3][i] = r.aa;                   \
                d[4][i] = r.ab, d[5][i] = r.bb, d[6][i] = r.aaa, d[7][i] = r.aab;                  \
                d[8][i] = r.abb, d[9][i] = r.bbb;                                                  \
            }                                                                                      \
            for (i = 0; i < rows; i++)                                                             \
                out[at + i] = d[0][i];                                                             \
            slots_of(cut, rows, y + at, d, want, out + at, ld);                                    \
        }                                                                                          \
        return 0;                                                                                  \
    }

/* f' / f and its derivative: 1 - 2 F and -2 F (1 - F); -x and -1 */
#define LOGISTIC_H(t, x) ((t).u1 + (t).v1)
#define LOGISTIC_DH(t) (2.0 * (t).u2)
#define NORMAL_H(t, x) (-(x))
#define NORMAL_DH(t) (-1.0 + 0.0 * (t).u)

CUMULATIVE(ik_cumulative_logit, logit_tails, LOGISTIC_H, LOGISTIC_DH)
CUMULATIVE(ik_cumulative_probit, probit_tails, NORMAL_H, NORMAL_DH)
