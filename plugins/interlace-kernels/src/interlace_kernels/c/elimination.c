/* Elimination of grouping factors one by one; see elimination.h. */
#include <string.h>
#include "elimination.h"
#include "small.h"

#define TOGETHER 4
#define TILE 32
#define AT(e, i, j) ((e)->block[i][j])

/* Where the template of factor f begins. */
static int64_t template_at(const ik_elimination *e, int64_t f)
{
    int64_t at = 0, g;
    for (g = 0; g < f; g++)
        at += e->c[g] * e->c[g];
    return at;
}

void ik_template(const ik_elimination *e, const double *T, int transposed, const double *x,
                 double *y)
{
    int64_t f, a, b, l;
    for (f = 0; f < e->F; f++) {
        const int64_t c = e->c[f], L = e->L[f];
        const double *from = x + e->start[f];
        double *to = y + e->start[f];
        for (a = 0; a < c; a++) {
            double *IK_RESTRICT out = to + a * L;
            for (b = 0; b < c; b++) {
                const double t = transposed ? T[b * c + a] : T[a * c + b];
                const double *IK_RESTRICT in = from + b * L;
                if (b == 0)
                    IK_SIMD for (l = 0; l < L; l++) out[l] = t * in[l];
                else if (t != 0.0)
                    IK_SIMD for (l = 0; l < L; l++) out[l] += t * in[l];
            }
        }
        T += c * c;
    }
}

/* out = tau Tj' A Ti of one pair, cj x ci each, Ti and Tj the templates. */
IK_INLINE void sandwich(int64_t ci, int64_t cj, const double *Ti, const double *Tj,
                        const double *A, double tau, double *out)
{
    double half[MOST_COLUMNS * MOST_COLUMNS];
    int64_t a, b, k;
    for (b = 0; b < cj; b++)
        for (a = 0; a < ci; a++) {
            double s = 0.0;
            for (k = 0; k < ci; k++)
                s += A[b * ci + k] * Ti[k * ci + a];
            half[b * ci + a] = tau * s;
        }
    for (b = 0; b < cj; b++)
        for (a = 0; a < ci; a++) {
            double s = 0.0;
            for (k = 0; k < cj; k++)
                s += Tj[k * cj + b] * half[k * ci + a];
            out[b * ci + a] = s;
        }
}

void ik_weigh(const ik_elimination *e, const double *A, const double *T, double tau)
{
    int64_t i, j, p, a;
    for (i = 0; i < e->F; i++)
        for (j = i; j < e->F; j++) {
            const int64_t ci = e->c[i], cj = e->c[j], P = e->P[i][j];
            const double *Ti = T + template_at(e, i), *Tj = T + template_at(e, j);
            const double *IK_RESTRICT in = A + AT(e, i, j);
            double *IK_RESTRICT out = e->H + AT(e, i, j);
            if (ci * cj == 1) {
                const double scale = tau * Ti[0] * Tj[0], one = i == j ? 1.0 : 0.0;
                IK_SIMD for (p = 0; p < P; p++) out[p] = scale * in[p] + one;
                continue;
            }
            for (p = 0; p < P; p++) {
                sandwich(ci, cj, Ti, Tj, in + p * ci * cj, tau, out + p * ci * cj);
                if (i == j)
                    for (a = 0; a < ci; a++)
                        out[p * ci * ci + a * ci + a] += 1.0;
            }
        }
}

/* inverse = D^-1, both c x c; returns log|D|, or NAN where D is not positive definite. */
IK_INLINE double inverted(int64_t c, const double *D, double *inverse)
{
    double L[MOST_COLUMNS * MOST_COLUMNS], product = 1.0;
    int64_t a, b;
    if (c == 1) {
        inverse[0] = 1.0 / D[0];
        return D[0] > 0.0 && D[0] < INFINITY ? ik_log(D[0]) : NAN;
    }
    memcpy(L, D, c * c * sizeof(double));
    if (!cholesky((int)c, L))
        return NAN;
    for (a = 0; a < c; a++) {
        double unit[MOST_COLUMNS] = {0.0};
        product *= L[a * c + a];
        unit[a] = 1.0;
        solve((int)c, L, unit);
        for (b = 0; b < c; b++)
            inverse[b * c + a] = unit[b];
    }
    return product < INFINITY ? 2.0 * ik_log(product) : NAN;
}

/* The same of L numbers. */
static double inverted_numbers(int64_t L, const double *IK_RESTRICT D, double *IK_RESTRICT inverse)
{
    double log_det = 0.0;
    int64_t l, bad = 0;
    IK_SIMD_SUM(log_det, bad) for (l = 0; l < L; l++)
    {
        const int good = D[l] > 0.0 && D[l] < INFINITY;
        bad += !good;
        inverse[l] = 1.0 / D[l];
        log_det += ik_log(good ? D[l] : 1.0);
    }
    return bad ? NAN : log_det;
}

/* y = D^-1 x for some columns of c numbers each. */
IK_INLINE void apply_inverse(int64_t c, const double *inverse, int64_t columns, const double *x,
                             double *y)
{
    int64_t k, a, b;
    for (k = 0; k < columns; k++)
        for (a = 0; a < c; a++) {
            double s = 0.0;
            for (b = 0; b < c; b++)
                s += inverse[a * c + b] * x[k * c + b];
            y[k * c + a] = s;
        }
}

/* Eliminate a factor that nests in all later ones. */
static double eliminate_nested(const ik_elimination *e, int64_t i)
{
    const int64_t c = e->c[i], F = e->F;
    double log_det = 0.0;
    int64_t l, r, s, a, b, d;
    for (l = 0; l < e->L[i]; l++) {
        double *inverse = e->Y + AT(e, i, i) + l * c * c;
        log_det += inverted(c, e->H + AT(e, i, i) + l * c * c, inverse);
        for (r = i + 1; r < F; r++) {
            const int64_t at = AT(e, i, r) + l * c * e->c[r];
            apply_inverse(c, inverse, e->c[r], e->H + at, e->Y + at);
        }
        for (r = i + 1; r < F; r++)
            for (s = r; s < F; s++) {
                const int64_t cr = e->c[r], cs = e->c[s];
                const double *C = e->H + AT(e, i, r) + l * c * cr;
                const double *Y = e->Y + AT(e, i, s) + l * c * cs;
                double *out = e->H + AT(e, r, s) + (int64_t)e->link[i][r][s][l] * cr * cs;
                if (c * cr * cs == 1) {
                    out[0] -= C[0] * Y[0];
                    continue;
                }
                for (b = 0; b < cs; b++)
                    for (a = 0; a < cr; a++)
                        for (d = 0; d < c; d++)
                            out[b * cr + a] -= C[a * c + d] * Y[b * c + d];
            }
    }
    return log_det;
}

/* Whether a level's partners are so many that rows of the complement are taken whole. */
IK_INLINE int is_full(const ik_elimination *e, int64_t m)
{
    return !e->places && 4 * m > e->size;
}

/* Whole rows of two matrices with a row for each effect, some at a time: their products with what has
 * `size` rows then take one pass over that. */
typedef struct {
    int64_t rows, size;
    double *x, *y;                                /* TOGETHER x size each */
    int64_t level[TOGETHER], effect[TOGETHER]; /* whose rows they are */
} whole;

static whole no_rows(const ik_elimination *e)
{
    whole w = {0, e->size, 0, 0, {0}, {0}};
    w.x = e->scratch + 2 * e->c[e->nested] * e->most;
    w.y = w.x + TOGETHER * e->size;
    return w;
}

/* Spread a number of each of a level's partners over a row. */
IK_INLINE void spread(const ik_elimination *e, int64_t l, const double *values, double *row)
{
    const int64_t low = e->partners[l], high = e->partners[l + 1];
    int64_t k;
    if (high - low < e->size)
        memset(row, 0, (size_t)e->size * sizeof(double));
    for (k = low; k < high; k++)
        row[e->partner[k]] = values[e->source[k]];
}

static void subtract_whole(whole *w, double *S)
{
    const int64_t n = w->size;
    const double *IK_RESTRICT y0 = w->y, *IK_RESTRICT y1 = y0 + n, *IK_RESTRICT y2 = y1 + n;
    const double *IK_RESTRICT y3 = y2 + n, *x = w->x;
    int64_t i, j;
    if (!w->rows)
        return;
    memset(w->x + w->rows * n, 0, (TOGETHER - w->rows) * n * sizeof(double));
    memset(w->y + w->rows * n, 0, (TOGETHER - w->rows) * n * sizeof(double));
    for (i = 0; i < n; i++) {
        double *IK_RESTRICT row = S + i * n;
        const double x0 = x[i], x1 = x[n + i], x2 = x[2 * n + i], x3 = x[3 * n + i];
        if (x0 == 0.0 && x1 == 0.0 && x2 == 0.0 && x3 == 0.0)
            continue;
        IK_SIMD for (j = 0; j <= i; j++) row[j] -=
            (x0 * y0[j] + x1 * y1[j]) + (x2 * y2[j] + x3 * y3[j]);
    }
    w->rows = 0;
}

/* Subtract C' D^-1 C of one level from the complement's entries. */
static void subtract_products(const ik_elimination *e, int64_t l, whole *w, double *S)
{
    const int64_t c = e->c[e->nested], low = e->partners[l], m = e->partners[l + 1] - low;
    const int64_t size = e->size;
    const int32_t *partner = e->partner + low;
    double *x = e->scratch, *y = x + c * e->most;
    int64_t k, j, a;
    if (is_full(e, m)) {
        for (a = 0; a < c; a++) {
            spread(e, l, e->H + a, w->x + w->rows * size);
            spread(e, l, e->Y + a, w->y + w->rows * size);
            if (++w->rows == TOGETHER)
                subtract_whole(w, S);
        }
        return;
    }
    for (a = 0; a < c; a++)
        for (k = 0; k < m; k++) {
            x[a * m + k] = e->H[e->source[low + k] + a];
            y[a * m + k] = e->Y[e->source[low + k] + a];
        }
    for (a = 0; a < c; a++) {
        const double *IK_RESTRICT xa = x + a * m, *IK_RESTRICT ya = y + a * m;
        if (e->places) {
            const int64_t *IK_RESTRICT place = e->places + e->pairs[l];
            for (k = 0; k < m; k++)
                for (j = 0; j <= k; j++)
                    S[*place++] -= xa[k] * ya[j];
        } else
            for (k = 0; k < m; k++) {
                double *IK_RESTRICT row = S + (int64_t)partner[k] * size;
                const double each = xa[k];
                for (j = 0; j <= k; j++)
                    row[partner[j]] -= each * ya[j];
            }
    }
}

/* Replace the lower triangle of S, by row, by its Cholesky factor; log|S|, or NAN. */
static double own_cholesky(int64_t n, double *S)
{
    double log_det = 0.0;
    int64_t i, j;
    for (i = 0; i < n; i++) {
        double *row = S + i * n, d;
        for (j = 0; j < i; j++)
            row[j] = (row[j] - dot(row, S + j * n, j)) / S[j * n + j];
        d = row[i] - dot(row, row, i);
        if (!(d > 0.0 && d < INFINITY))
            return NAN;
        row[i] = sqrt(d);
        log_det += ik_log(d);
    }
    return log_det;
}

static void own_solve(int64_t n, const double *S, double *x)
{
    int64_t i, j;
    for (i = 0; i < n; i++)
        x[i] = (x[i] - dot(S + i * n, x, i)) / S[i * n + i];
    for (i = n - 1; i >= 0; i--) {
        const double *IK_RESTRICT row = S + i * n, each = x[i] / row[i];
        x[i] = each;
        IK_SIMD for (j = 0; j < i; j++) x[j] -= each * row[j];
    }
}

/* The lower triangle of S^-1 = K' K into the second half of S, K = L^-1 by row. */
static double *own_inverse(int64_t n, double *S)
{
    double *inverse = S + n * n, row[OWN_ROWS];
    int64_t i, j, k;
    for (i = 0; i < n; i++) { /* K, row by row, in the second half */
        const double *L = S + i * n;
        double *IK_RESTRICT out = inverse + i * n;
        const double pivot = 1.0 / L[i];
        for (j = 0; j < i; j++)
            out[j] = 0.0;
        for (k = 0; k < i; k++) {
            const double each = L[k] * pivot, *IK_RESTRICT from = inverse + k * n;
            IK_SIMD for (j = 0; j <= k; j++) out[j] -= each * from[j];
        }
        out[i] = pivot;
    }
    for (i = 0; i < n; i++) { /* row i of K'K needs the rows of K from i on */
        for (j = 0; j <= i; j++)
            row[j] = 0.0;
        for (k = i; k < n; k++) {
            const double *IK_RESTRICT from = inverse + k * n, each = from[i];
            IK_SIMD for (j = 0; j <= i; j++) row[j] += each * from[j];
        }
        memcpy(inverse + i * n, row, (i + 1) * sizeof(double));
    }
    return inverse;
}

/* Eliminate the first factor that does not nest: D^-1, D^-1 C and, if any is left, the complement. */
static double eliminate_last(const ik_elimination *e)
{
    const int64_t i = e->nested, c = e->c[i], tail = e->size ? AT(e, i + 1, i + 1) : e->entries;
    double log_det = 0.0, more = 0.0, *S;
    whole w = no_rows(e);
    int64_t l, k;
    if (c == 1)
        log_det = inverted_numbers(e->L[i], e->H + AT(e, i, i), e->Y + AT(e, i, i));
    for (l = 0; l < e->L[i]; l++) {
        double *inverse = e->Y + AT(e, i, i) + l * c * c;
        if (c > 1)
            log_det += inverted(c, e->H + AT(e, i, i) + l * c * c, inverse);
        for (k = e->size ? e->partners[l] : 0; e->size && k < e->partners[l + 1]; k++)
            if (c == 1)
                e->Y[e->source[k]] = inverse[0] * e->H[e->source[k]];
            else
                apply_inverse(c, inverse, 1, e->H + e->source[k], e->Y + e->source[k]);
    }
    if (!e->size || !(fabs(log_det) < INFINITY))
        return log_det;
    S = e->clear ? e->clear() : e->S;
    if (!S)
        return NAN;
    if (!e->clear)
        memset(S, 0, e->size * e->size * sizeof(double));
    for (l = 0; l < e->L[i]; l++)
        subtract_products(e, l, &w, S);
    subtract_whole(&w, S);
    for (k = tail; k < e->entries; k++)
        if (e->rest[k - tail] >= 0)
            S[e->rest[k - tail]] += e->H[k];
    if (e->factorise)
        return e->factorise(&more) ? NAN : log_det + more;
    return log_det + own_cholesky(e->size, S);
}

IK_EXPORT int32_t ik_factorise(const ik_elimination *e, double *log_det)
{
    int64_t i;
    *log_det = 0.0;
    for (i = 0; i < e->nested; i++)
        *log_det += eliminate_nested(e, i);
    if (!(fabs(*log_det) < INFINITY))
        return 1;
    *log_det += eliminate_last(e);
    return !(fabs(*log_det) < INFINITY);
}

/* x = D^-1 x of one level, in place. */
IK_INLINE void solve_own(const ik_elimination *e, int64_t i, int64_t l, double *x)
{
    const int64_t c = e->c[i], L = e->L[i];
    const double *inverse = e->Y + AT(e, i, i) + l * c * c;
    double before[MOST_COLUMNS];
    int64_t a, b;
    if (c == 1) {
        x[l] *= inverse[0];
        return;
    }
    for (a = 0; a < c; a++)
        before[a] = x[a * L + l];
    for (a = 0; a < c; a++) {
        double s = 0.0;
        for (b = 0; b < c; b++)
            s += inverse[a * c + b] * before[b];
        x[a * L + l] = s;
    }
}

/* Down: subtract Y' x from what is later. Up: x = D^-1 x - Y x of what is later. */
static void pass_nested(const ik_elimination *e, int64_t i, int up, double *x)
{
    const int64_t c = e->c[i], L = e->L[i];
    double *own = x + e->start[i];
    int64_t l, r, a, b;
    for (l = 0; l < L; l++) {
        if (up)
            solve_own(e, i, l, own);
        for (r = i + 1; r < e->F; r++) {
            double *later = x + e->start[r] + e->link[i][r][r][l];
            const double *Y = e->Y + AT(e, i, r) + l * c * e->c[r];
            for (b = 0; b < e->c[r]; b++)
                for (a = 0; a < c; a++)
                    if (up)
                        own[a * L + l] -= Y[b * c + a] * later[b * e->L[r]];
                    else
                        later[b * e->L[r]] -= Y[b * c + a] * own[a * L + l];
        }
    }
}

/* tail -= Y'x, or x -= Y tail, of the levels before a complement. */
static void pass_crossed(const ik_elimination *e, int up, double *own, double *tail)
{
    const int64_t c = e->c[e->nested], L = e->L[e->nested];
    const int64_t *IK_RESTRICT source = e->source;
    const int32_t *IK_RESTRICT partner = e->partner;
    int64_t l, k, a;
    for (a = 0; a < c; a++) {
        const double *IK_RESTRICT Y = e->Y + a;
        for (l = 0; l < L; l++) {
            const int64_t low = e->partners[l], high = e->partners[l + 1];
            const double each = own[a * L + l];
            double sum = 0.0;
            if (up) {
                for (k = low; k < high; k++)
                    sum += Y[source[k]] * tail[partner[k]];
                own[a * L + l] = each - sum;
            } else
                for (k = low; k < high; k++)
                    tail[partner[k]] -= Y[source[k]] * each;
        }
    }
}

IK_EXPORT int32_t ik_solve(const ik_elimination *e, double *x)
{
    const int64_t last = e->nested, L = e->L[last];
    double *own = x + e->start[last], *tail = own + e->c[last] * L;
    int64_t i, l;
    for (i = 0; i < last; i++)
        pass_nested(e, i, 0, x);
    if (e->size) {
        pass_crossed(e, 0, own, tail);
        if (!e->solve)
            own_solve(e->size, e->S, tail);
        else if (e->solve(tail))
            return 1;
    }
    for (l = 0; l < L; l++)
        solve_own(e, last, l, own);
    if (e->size)
        pass_crossed(e, 1, own, tail);
    for (i = last - 1; i >= 0; i--)
        pass_nested(e, i, 1, x);
    return 0;
}

/* The upper triangle of a symmetric matrix from its lower one, in tiles that stay in cache. */
static void complete(int64_t n, double *matrix)
{
    int64_t from, to, i, j;
    for (from = 0; from < n; from += TILE)
        for (to = from; to < n; to += TILE)
            for (i = to; i < n && i < to + TILE; i++)
                for (j = from; j < i && j < from + TILE; j++)
                    matrix[j * n + i] = matrix[i * n + j];
}

/* One number of H^-1 beside an effect of a level, and what it adds to those of the level itself. */
IK_INLINE void select_one(const ik_elimination *e, int64_t c, int64_t k, int64_t b, double t,
                          double *own)
{
    const double *Y = e->Y + e->source[k];
    int64_t a;
    e->N[e->source[k] + b] = -t;
    for (a = 0; a < c; a++)
        own[a * c + b] += Y[a] * t;
}

/* The entries of H^-1 of levels whose rows of D^-1 C are whole: x = y S^-1. */
static void select_whole(const ik_elimination *e, whole *w, const double *inverse)
{
    const int64_t i = e->nested, c = e->c[i], n = w->size;
    double *IK_RESTRICT x0 = w->x, *IK_RESTRICT x1 = x0 + n, *IK_RESTRICT x2 = x1 + n;
    double *IK_RESTRICT x3 = x2 + n;
    const double *y = w->y;
    int64_t r, k, q, j;
    if (!w->rows)
        return;
    memset(w->x, 0, (size_t)(TOGETHER * n) * sizeof(double));
    memset(w->y + w->rows * n, 0, (size_t)((TOGETHER - w->rows) * n) * sizeof(double));
    for (q = 0; q < n; q++) {
        const double y0 = y[q], y1 = y[n + q], y2 = y[2 * n + q], y3 = y[3 * n + q];
        const double *IK_RESTRICT row = inverse + q * n;
        if (y0 == 0.0 && y1 == 0.0 && y2 == 0.0 && y3 == 0.0)
            continue;
        IK_SIMD for (j = 0; j < n; j++)
        {
            x0[j] += y0 * row[j];
            x1[j] += y1 * row[j];
            x2[j] += y2 * row[j];
            x3[j] += y3 * row[j];
        }
    }
    for (r = 0; r < w->rows; r++) {
        const int64_t l = w->level[r];
        double *own = e->N + AT(e, i, i) + l * c * c;
        for (k = e->partners[l]; k < e->partners[l + 1]; k++)
            select_one(e, c, k, w->effect[r], w->x[r * n + e->partner[k]], own);
    }
    w->rows = 0;
}

/* t = S^-1 y of one effect of a level with few partners, from the lower triangle of S^-1. */
static void times_inverse(const ik_elimination *e, int64_t l, const double *inverse,
                          const double *IK_RESTRICT y, double *IK_RESTRICT t)
{
    const int64_t low = e->partners[l], m = e->partners[l + 1] - low;
    const int32_t *IK_RESTRICT partner = e->partner + low;
    const int64_t *IK_RESTRICT place = e->places ? e->places + e->pairs[l] : 0;
    int64_t k, j;
    for (k = 0; k < m; k++) {
        const double *IK_RESTRICT row = inverse + (place ? 0 : (int64_t)partner[k] * e->size);
        const double each = y[k];
        double s = 0.0;
        if (place)
            for (j = 0; j < k; j++) {
                const double v = row[*place++];
                s += v * y[j];
                t[j] += v * each;
            }
        else
            for (j = 0; j < k; j++) {
                const double v = row[partner[j]];
                s += v * y[j];
                t[j] += v * each;
            }
        t[k] = s + (place ? row[*place++] : row[partner[k]]) * each;
    }
}

/* The entries of H^-1 of one level of the first factor that does not nest. */
static void select_level(const ik_elimination *e, int64_t l, double *inverse, whole *w)
{
    const int64_t i = e->nested, c = e->c[i], low = e->partners[l], m = e->partners[l + 1] - low;
    double *own = e->N + AT(e, i, i) + l * c * c, *t = e->scratch, *y = t + e->most;
    int64_t k, b;
    for (b = 0; b < c; b++) {
        if (is_full(e, m)) {
            spread(e, l, e->Y + b, w->y + w->rows * w->size);
            w->level[w->rows] = l;
            w->effect[w->rows] = b;
            if (++w->rows == TOGETHER)
                select_whole(e, w, inverse);
            continue;
        }
        for (k = 0; k < m; k++)
            y[k] = e->Y[e->source[low + k] + b];
        times_inverse(e, l, inverse, y, t);
        for (k = 0; k < m; k++)
            select_one(e, c, low + k, b, t[k], own);
    }
}

static int32_t select_last(const ik_elimination *e)
{
    const int64_t i = e->nested, c = e->c[i], tail = e->size ? AT(e, i + 1, i + 1) : e->entries;
    double *inverse;
    whole w = no_rows(e);
    int64_t l, k;
    memcpy(e->N + AT(e, i, i), e->Y + AT(e, i, i), e->L[i] * c * c * sizeof(double));
    if (!e->size)
        return 0;
    inverse = e->inverse ? e->inverse() : own_inverse(e->size, e->S);
    if (!inverse)
        return 1;
    if (is_full(e, e->most))
        complete(e->size, inverse);
    for (l = 0; l < e->L[i]; l++)
        select_level(e, l, inverse, &w);
    select_whole(e, &w, inverse);
    for (k = tail; k < e->entries; k++) {
        const int64_t place = e->rest[k - tail];
        e->N[k] = inverse[place >= 0 ? place : -1 - place];
    }
    return 0;
}

static void select_nested(const ik_elimination *e, int64_t i)
{
    const int64_t c = e->c[i];
    int64_t l, r, s, a, b, d;
    for (l = 0; l < e->L[i]; l++) {
        double *own = e->N + AT(e, i, i) + l * c * c;
        memcpy(own, e->Y + AT(e, i, i) + l * c * c, c * c * sizeof(double));
        for (r = i + 1; r < e->F; r++) {
            const int64_t cr = e->c[r];
            double *beside = e->N + AT(e, i, r) + l * c * cr;
            const double *Yr = e->Y + AT(e, i, r) + l * c * cr;
            memset(beside, 0, c * cr * sizeof(double));
            for (s = i + 1; s < e->F; s++) {
                const int64_t cs = e->c[s], low = r < s ? r : s, high = r < s ? s : r;
                const double *Y = e->Y + AT(e, i, s) + l * c * cs;
                const double *above =
                    e->N + AT(e, low, high) + (int64_t)e->link[i][low][high][l] * cr * cs;
                for (b = 0; b < cr; b++)
                    for (d = 0; d < cs; d++) {
                        const double each = s <= r ? above[b * cs + d] : above[d * cr + b];
                        for (a = 0; a < c; a++)
                            beside[b * c + a] -= Y[d * c + a] * each;
                    }
            }
            for (b = 0; b < cr; b++)
                for (a = 0; a < c; a++)
                    for (d = 0; d < c; d++)
                        own[a * c + d] -= beside[b * c + a] * Yr[b * c + d];
        }
    }
}

IK_EXPORT int32_t ik_select(const ik_elimination *e)
{
    int64_t i;
    if (select_last(e))
        return 1;
    for (i = e->nested - 1; i >= 0; i--)
        select_nested(e, i);
    return 0;
}

/* The products of one effect with another: pairs are by their first level, whose sum is kept. */
static void times_pairs(const ik_elimination *e, int64_t i, int64_t j, const double *A,
                        const double *xi, const double *xj, double *yi, double *yj)
{
    const int32_t *IK_RESTRICT first = e->first[i][j], *IK_RESTRICT second = e->second[i][j];
    const int64_t P = e->P[i][j];
    int64_t p = 0;
    if (i == j) {
        for (p = 0; p < P; p++)
            yi[p] += A[p] * xi[p];
        return;
    }
    while (p < P) {
        const int32_t level = first[p];
        const double own = xi[level];
        double sum = 0.0;
        for (; p < P && first[p] == level; p++) {
            sum += A[p] * xj[second[p]];
            yj[second[p]] += A[p] * own;
        }
        yi[level] += sum;
    }
}

void ik_times(const ik_elimination *e, const double *A, const double *T, const double *x, double *y,
              double *scratch)
{
    double *moved = scratch, *sums = scratch + e->q;
    int64_t i, j, p, a, b, k;
    ik_template(e, T, 0, x, moved);
    memset(sums, 0, e->q * sizeof(double));
    for (i = 0; i < e->F; i++)
        for (j = i; j < e->F; j++) {
            const int64_t ci = e->c[i], cj = e->c[j], Li = e->L[i], Lj = e->L[j];
            const double *in = A + AT(e, i, j), *xi = moved + e->start[i];
            const double *xj = moved + e->start[j];
            double *yi = sums + e->start[i], *yj = sums + e->start[j];
            if (ci * cj == 1) {
                times_pairs(e, i, j, in, xi, xj, yi, yj);
                continue;
            }
            for (p = 0; p < e->P[i][j]; p++) {
                const int64_t li = i == j ? p : e->first[i][j][p];
                const int64_t lj = i == j ? p : e->second[i][j][p];
                for (b = 0; b < cj; b++)
                    for (a = 0; a < ci; a++) {
                        const double each = in[(p * cj + b) * ci + a];
                        yi[a * Li + li] += each * xj[b * Lj + lj];
                        if (i != j)
                            yj[b * Lj + lj] += each * xi[a * Li + li];
                    }
            }
        }
    ik_template(e, T, 1, sums, y);
    IK_SIMD for (k = 0; k < e->q; k++) y[k] += x[k];
}

/* out += sum over pairs of A_p T N_p' for the first factor, A_p' T N_p for the second. */
static void slopes_of_pairs(int64_t P, int64_t ci, int64_t cj, const double *A, const double *N,
                            const double *Ti, const double *Tj, double *out_i, double *out_j)
{
    int64_t p, a, b, d, k;
    if (ci * cj == 1) {
        const double total = dot(A, N, P);
        out_i[0] += Tj[0] * total;
        if (out_j)
            out_j[0] += Ti[0] * total;
        return;
    }
    for (p = 0; p < P; p++) {
        const double *Ap = A + p * ci * cj, *Np = N + p * ci * cj;
        double x[MOST_COLUMNS * MOST_COLUMNS];
        for (b = 0; b < cj; b++) /* x = Tj N', cj x ci */
            for (a = 0; a < ci; a++) {
                x[b * ci + a] = 0.0;
                for (k = 0; k < cj; k++)
                    x[b * ci + a] += Tj[b * cj + k] * Np[k * ci + a];
            }
        for (a = 0; a < ci; a++)
            for (d = 0; d < ci; d++)
                for (b = 0; b < cj; b++)
                    out_i[a * ci + d] += Ap[b * ci + a] * x[b * ci + d];
        if (!out_j)
            continue;
        for (b = 0; b < cj; b++) /* x = N' Ti', cj x ci */
            for (a = 0; a < ci; a++) {
                x[b * ci + a] = 0.0;
                for (k = 0; k < ci; k++)
                    x[b * ci + a] += Np[b * ci + k] * Ti[a * ci + k];
            }
        for (b = 0; b < cj; b++)
            for (d = 0; d < cj; d++)
                for (a = 0; a < ci; a++)
                    out_j[b * cj + d] += Ap[b * ci + a] * x[d * ci + a];
    }
}

void ik_template_slopes(const ik_elimination *e, const double *A, const double *T, double *dT)
{
    int64_t i, j;
    for (i = 0; i < e->F; i++)
        for (j = i; j < e->F; j++)
            slopes_of_pairs(e->P[i][j], e->c[i], e->c[j], A + AT(e, i, j), e->N + AT(e, i, j),
                            T + template_at(e, i), T + template_at(e, j), dT + template_at(e, i),
                            i == j ? 0 : dT + template_at(e, j));
}
