/* Counts with a zero part, or without zeros, made of the rows of a count family.
 *
 * data: which count family and which part. Columns are the count family's. The zero part's
 * predictor, z, comes last; its probability is expit(z).
 *   inflated   log(pi + (1 - pi) f(0)) at 0, log(1 - pi) + log f(y) elsewhere
 *   hurdle     log(pi) at 0, log(1 - pi) + log f(y) - log(1 - f(0)) elsewhere
 *   truncated  log f(y) - log(1 - f(0)), without z
 */
#include <string.h>
#include "counts.h"
#include "tails.h"

#define CHUNK 128

typedef struct {
    int64_t count; /* 0 Poisson, 1 NB2, 2 NB1 */
    int64_t many;  /* 1 for the form of counts beyond 1,000 */
    int64_t part;  /* 0 inflated, 1 hurdle, 2 truncated */
} parts;

IK_EXPORT int32_t ik_poisson_many_log(const void *, int64_t, const double *, int64_t,
                                      const double *, int64_t, uint64_t, const uint8_t *,
                                      double *);
IK_EXPORT int32_t ik_nb2_many_log(const void *, int64_t, const double *, int64_t, const double *,
                                  int64_t, uint64_t, const uint8_t *, double *);
IK_EXPORT int32_t ik_nb1_many(const void *, int64_t, const double *, int64_t, const double *,
                              int64_t, uint64_t, const uint8_t *, double *);

/* Partial derivatives of one function in up to three predictors, by sorted indices. */
typedef struct {
    double one[3], two[3][3], three[3][3][3];
} partials;

/* h = log(-log f(0)) and its partials. */
static double log_zero(int64_t count, const double *x, partials *h)
{
    double c, c1, c2, c3;
    memset(h, 0, sizeof *h);
    h->one[0] = 1.0;
    if (count == 0)
        return x[0];
    shrinkage(count == 1 ? x[0] - x[1] : x[1], &c, &c1, &c2, &c3);
    if (count == 2) { /* the size is mu / alpha: c depends on log alpha alone */
        h->one[1] = c1;
        h->two[1][1] = c2;
        h->three[1][1][1] = c3;
        return x[0] + c;
    }
    h->one[0] = 1.0 + c1;
    h->one[1] = -c1;
    h->two[0][0] = h->two[1][1] = c2;
    h->two[0][1] = -c2;
    h->three[0][0][0] = h->three[0][1][1] = c3;
    h->three[0][0][1] = h->three[1][1][1] = -c3;
    return x[0] + c;
}

/* The partial derivative of f(g) in a <= b <= c, -1 standing for one less, from f', f'', f'''. */
static double composed(const double f[3], const partials *g, int a, int b, int c)
{
    if (b < 0)
        return f[0] * g->one[c];
    if (a < 0)
        return f[0] * g->two[b][c] + f[1] * g->one[b] * g->one[c];
    return f[0] * g->three[a][b][c] +
           f[1] * (g->two[a][b] * g->one[c] + g->two[a][c] * g->one[b] + g->two[b][c] * g->one[a]) +
           f[2] * g->one[a] * g->one[b] * g->one[c];
}

/* The count family's own slot, 0 where the key has the zero part's predictor. */
static double own(const double *base, int64_t K, int a, int b, int c, int64_t at)
{
    return c < K ? base[interlace_slot(K, a, b, c) * CHUNK + at] : 0.0;
}

/* Read a row's partials of the count family, z with weight -1 (that of log f - z). */
static void read_partials(const double *base, int64_t K, int64_t at, partials *g)
{
    int a, b, c;
    memset(g, 0, sizeof *g);
    for (c = 0; c < K; c++) {
        g->one[c] = own(base, K, -1, -1, c, at);
        for (b = 0; b <= c; b++) {
            g->two[b][c] = own(base, K, -1, b, c, at);
            for (a = 0; a <= b; a++)
                g->three[a][b][c] = own(base, K, a, b, c, at);
        }
    }
    g->one[K] = -1.0;
}

static void no_infinities(partials *g)
{
    double *x = (double *)g;
    size_t i;
    for (i = 0; i < sizeof *g / sizeof(double); i++)
        x[i] = isfinite(x[i]) ? x[i] : 0.0;
}

/* What slots of the count family the wanted ones of the whole need: all that they contain. */
static void base_want(int64_t K, int64_t Kc, const uint8_t *want, uint8_t *base)
{
    int a, b, c;
    memset(base, 0, 16);
    base[0] = 1;
    for (c = 0; c < K; c++)
        for (b = -1; b <= c; b++)
            for (a = -1; a <= b; a++) {
                int key[3], i, j, k;
                if ((b < 0 && a >= 0) || !want[interlace_slot(K, a, b, c)])
                    continue;
                key[0] = a, key[1] = b, key[2] = c;
                for (i = -1; i < 3; i++)
                    for (j = i; j < 3; j++)
                        for (k = j > 0 ? j : 0; k < 3; k++) {
                            int x = i < 0 ? -1 : key[i], y = j < 0 ? -1 : key[j], z = key[k];
                            if ((i >= 0 && i == j) || (j >= 0 && j == k) || z < 0 || z >= Kc ||
                                (x >= 0 && y < 0))
                                continue;
                            base[interlace_slot(Kc, x, y, z)] = 1;
                        }
            }
}

static ik_rows rows_of(const parts *what)
{
    static const ik_rows few[3] = {ik_poisson_log, ik_nb2_log, ik_nb1};
    static const ik_rows many[3] = {ik_poisson_many_log, ik_nb2_many_log, ik_nb1_many};
    return what->many ? many[what->count] : few[what->count];
}

/* One row: writes the wanted slots. */
static void zero_row(const parts *what, int64_t K, int64_t Kc, double y, const double x[3],
                     const double *base, int64_t at, const uint8_t *want, double *out, int64_t ld)
{
    partials g, h;
    double outer[3] = {0.0, 0.0, 0.0}, value = base[at];
    tails pi = logit_tails(what->part == 2 ? 0.0 : x[Kc]);
    double z1[3] = {pi.v1, pi.v2, pi.v3}; /* of what is added in z alone */
    int a, b, c, zero = y == 0.0, inflated = zero && what->part == 0, sign = 0;
    if (inflated) {
        double gap = value - x[Kc], w, v, softplus = ik_softplus(gap, &w, &v);
        read_partials(base, Kc, at, &g);
        if (w > 0.0)
            no_infinities(&g);
        else /* no mass of its own: slopes that may be infinite do not count */
            memset(&g, 0, sizeof g);
        outer[0] = w, outer[1] = w * v, outer[2] = w * v * (v - w);
        value = pi.u + softplus;
        z1[0] = pi.u1, z1[1] = pi.u2, z1[2] = pi.u3;
        sign = 1;
    } else if (zero && what->part == 1) {
        value = pi.u;
        z1[0] = pi.u1, z1[1] = pi.u2, z1[2] = pi.u3;
    } else {
        if (what->part != 0) {
            tails positive = cloglog_tails(log_zero(what->count, x, &h));
            outer[0] = -positive.u1, outer[1] = -positive.u2, outer[2] = -positive.u3;
            value -= positive.u;
            sign = 2;
        }
        value += what->part == 2 ? 0.0 : pi.v;
    }
    out[0] = zero && what->part == 2 ? -INFINITY : value;
    for (c = 0; c < K; c++)
        for (b = -1; b <= c; b++)
            for (a = -1; a <= b; a++) {
                int64_t slot;
                double total = 0.0;
                if (b < 0 && a >= 0)
                    continue;
                slot = interlace_slot(K, a, b, c);
                if (!want[slot])
                    continue;
                if (!inflated && !(zero && what->part == 1))
                    total = own(base, Kc, a, b, c, at);
                if (sign)
                    total += composed(outer, sign == 1 ? &g : &h, a, b, c);
                if (c == Kc && (b < 0 || b == Kc) && (a < 0 || a == Kc))
                    total += z1[(a >= 0) + (b >= 0)];
                out[slot * ld] = total;
            }
}

IK_EXPORT int32_t ik_zeros(const void *data, int64_t n, const double *y, int64_t ldy,
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,
                           double *out)
{
    const parts *what = data;
    int64_t Kc = what->count ? 2 : 1, K = Kc + (what->part != 2), at, i, k, m;
    double base[10 * CHUNK], x[2 * CHUNK], columns[3 * CHUNK];
    uint8_t needed[16];
    int32_t failed;
    base_want(K, Kc, want, needed);
    for (at = 0; at < n; at += CHUNK) {
        m = n - at < CHUNK ? n - at : CHUNK;
        for (k = 0; k < Kc; k++)
            memcpy(x + k * CHUNK, eta + k * ld + at, m * sizeof(double));
        for (k = 0; k < 2 + what->many; k++)
            memcpy(columns + k * CHUNK, y + k * ldy + at, m * sizeof(double));
        failed = rows_of(what)(0, m, columns, CHUNK, x, CHUNK, constant, needed, base);
        if (failed)
            return failed;
        for (i = 0; i < m; i++) {
            double each[3] = {eta[at + i], K > 1 ? eta[ld + at + i] : 0.0,
                              K > 2 ? eta[2 * ld + at + i] : 0.0};
            zero_row(what, K, Kc, columns[i], each, base, i, want, out + at + i, ld);
        }
    }
    return 0;
}
