/* Poisson and negative binomial rows.
 *
 * Of few counts, columns y and log y!; of counts beyond 1,000 around the distribution whose mean
 * is y (Loader 2000), columns y, log y and log(y!) - y log(y) + y, so that nothing of the size of
 * the counts is left to cancel. Means are taken at most exp(600), as the families take them. */
#include "counts.h"
#include "gamma_functions.h"

#define MAX_LOG_MEAN 600.0
#define CHUNK 128
#define TABLE 1024

IK_INLINE double at_most(double x, double top) { return x > top ? top : x; }

IK_EXPORT int32_t ik_poisson_log(const void *data, int64_t n, const double *y, int64_t ldy,
                                 const double *eta, int64_t ld, uint64_t constant,
                                 const uint8_t *want, double *out)
{
    const double *log_factorial = y + ldy;
    int64_t i;
    (void)data, (void)constant, (void)want;
    IK_SIMD for (i = 0; i < n; i++)
    {
        double x = eta[i], mu = ik_exp(at_most(x, MAX_LOG_MEAN));
        out[i] = y[i] * x - mu - log_factorial[i];
        out[ld + i] = y[i] - mu;
        out[2 * ld + i] = -mu;
        out[3 * ld + i] = -mu;
    }
    return 0;
}

IK_EXPORT int32_t ik_poisson_many_log(const void *data, int64_t n, const double *y, int64_t ldy,
                                      const double *eta, int64_t ld, uint64_t constant,
                                      const uint8_t *want, double *out)
{
    const double *log_y = y + ldy, *normal = y + 2 * ldy;
    int64_t i;
    (void)data, (void)constant, (void)want;
    IK_SIMD for (i = 0; i < n; i++)
    {
        double mu = ik_exp(at_most(eta[i], MAX_LOG_MEAN)), e = eta[i] - log_y[i];
        double near = y[i] * ik_exp_excess(at_most(e, 1.0)), far = mu - y[i] - y[i] * e;
        out[i] = y[i] > 0.0 ? -normal[i] - (e < 1.0 ? near : far) : -mu;
        out[ld + i] = y[i] - mu;
        out[2 * ld + i] = -mu;
        out[3 * ld + i] = -mu;
    }
    return 0;
}

/* Whether R and its slopes serve from a table: one size in the block, counts below TABLE. */
static int tabled(int64_t n, const double *y, uint64_t constant, int *top)
{
    double largest = 0.0;
    int whole = 1;
    int64_t i;
    if (!(constant & 2))
        return 0;
    for (i = 0; i < n; i++) {
        largest = y[i] > largest ? y[i] : largest;
        whole &= y[i] >= 0.0 && y[i] < TABLE && y[i] == (double)(int32_t)y[i];
    }
    *top = (int)(whole ? largest : 0);
    return whole && *top < 4 * n + 8;
}

/* Sums over j < y of log(1 + j / t) and its derivatives in log t, for y = 0 ... top. */
static void fill_table(double log_t, int top, int order, double R[4][TABLE])
{
    double inside = log_t > 60.0 ? 60.0 : (log_t < -700.0 ? -700.0 : log_t), t = ik_exp(inside);
    double below = log_t < -700.0 ? log_t + 700.0 : 0.0, sum[4] = {0.0, 0.0, 0.0, 0.0};
    double each[TABLE];
    int j, k;
    IK_SIMD for (j = 0; j < top; j++) each[j] = ik_log1p(j / t);
    for (j = 0; j <= top; j++) {
        double s = j / (t + j), r = t / (t + j);
        R[0][j] = sum[0] + below * (j > 0 ? 1.0 - j : 0.0);
        for (k = 1; k <= order; k++)
            R[k][j] = sum[k];
        if (j == top)
            break;
        sum[0] += each[j];
        sum[1] -= s;
        sum[2] += s * r;
        sum[3] += s * r * (s - r);
    }
}

/* R and its slopes for some rows. */
static void rising_rows(int64_t m, const double *y, const double *log_t, int order,
                        double R[4][CHUNK])
{
    int64_t i;
    if (order < 1)
        IK_SIMD for (i = 0; i < m; i++) R[0][i] = rising(y[i], log_t[i], 0).s;
    else if (order < 2)
        IK_SIMD for (i = 0; i < m; i++)
        {
            series r = rising(y[i], log_t[i], 1);
            R[0][i] = r.s;
            R[1][i] = r.s1;
        }
    else
        IK_SIMD for (i = 0; i < m; i++)
        {
            series r = rising(y[i], log_t[i], 3);
            R[0][i] = r.s;
            R[1][i] = r.s1;
            R[2][i] = r.s2;
            R[3][i] = r.s3;
        }
}

/* E = t log(1 + mu / t) = -log P(0), its slope E_m = mu q in log mu, and p = mu / (t + mu). */
typedef struct {
    double softplus, p, q, E, E_m;
} pieces;

IK_INLINE pieces pieces_of(double log_mu, double d)
{
    pieces c;
    double mu = ik_exp(at_most(log_mu, MAX_LOG_MEAN)), far, far_m;
    int ordinary = fabs(d) <= MAX_LOG_MEAN && log_mu <= MAX_LOG_MEAN, poisson = d < -MAX_LOG_MEAN;
    c.softplus = ik_softplus(d, &c.p, &c.q);
    far = log_mu - d + ik_log(c.softplus > 1e-300 ? c.softplus : 1e-300);
    far = poisson ? mu : ik_exp(at_most(far, MAX_LOG_MEAN));
    far_m = poisson ? mu : far * (c.p / (c.softplus > 1e-300 ? c.softplus : 1e-300));
    c.E = ordinary ? mu * (ik_exp(-d) * c.softplus) : far;
    c.E_m = ordinary ? mu * c.q : far_m;
    return c;
}

IK_EXPORT int32_t ik_nb2_log(const void *data, int64_t n, const double *y, int64_t ldy,
                             const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,
                             double *out)
{
    const double *log_factorial = y + ldy, *lt = eta + ld;
    int mixed = want[2] || want[4] || want[7], all = want[5] || want[8] || want[9];
    int order = all ? 3 : (mixed ? 1 : 0), top = 0, k, table;
    double R[4][CHUNK], sums[4][TABLE];
    int64_t at, i, m;
    (void)data;
    table = tabled(n, y, constant, &top);
    if (table)
        fill_table(lt[0], top, order, sums);
    for (at = 0; at < n; at += CHUNK) {
        const double *count = y + at, *x = eta + at, *t = lt + at, *lf = log_factorial + at;
        double *o = out + at;
        m = n - at < CHUNK ? n - at : CHUNK;
        if (table)
            for (k = 0; k <= order; k++)
                for (i = 0; i < m; i++)
                    R[k][i] = sums[k][(int32_t)count[i]];
        else
            rising_rows(m, count, t, order, R);
        if (!mixed && !all && !want[6])
            IK_SIMD for (i = 0; i < m; i++)
            {
                pieces c = pieces_of(x[i], x[i] - t[i]);
                o[i] = R[0][i] + count[i] * (x[i] - c.softplus) - lf[i] - c.E;
                o[ld + i] = count[i] * c.q - c.E_m;
                o[3 * ld + i] = -c.q * (count[i] * c.p + c.E_m);
            }
        else if (!mixed && !all)
            IK_SIMD for (i = 0; i < m; i++)
            {
                pieces c = pieces_of(x[i], x[i] - t[i]);
                double second = c.q * (count[i] * c.p + c.E_m);
                o[i] = R[0][i] + count[i] * (x[i] - c.softplus) - lf[i] - c.E;
                o[ld + i] = count[i] * c.q - c.E_m;
                o[3 * ld + i] = -second;
                o[6 * ld + i] = -second * (c.q - c.p);
            }
        else
            IK_SIMD for (i = 0; i < m; i++)
            {
                pieces c = pieces_of(x[i], x[i] - t[i]);
                double yp = count[i] * c.p, second = c.q * (yp + c.E_m), ypq = yp * c.q,
                       E_mp = c.E_m * c.p;
                o[i] = R[0][i] + count[i] * (x[i] - c.softplus) - lf[i] - c.E;
                o[ld + i] = count[i] * c.q - c.E_m;
                o[2 * ld + i] = R[1][i] + yp + c.E_m - c.E;
                o[3 * ld + i] = -second;
                o[4 * ld + i] = ypq - E_mp;
                o[6 * ld + i] = -second * (c.q - c.p);
                o[7 * ld + i] = ypq * (c.q - c.p) - 2.0 * E_mp * c.q;
            }
        if (all)
            IK_SIMD for (i = 0; i < m; i++)
            {
                pieces c = pieces_of(x[i], x[i] - t[i]);
                double ypq = count[i] * c.p * c.q, E_mp = c.E_m * c.p;
                o[5 * ld + i] = R[2][i] - ypq + E_mp + c.E_m - c.E;
                o[8 * ld + i] = -(c.q - c.p) * (ypq - E_mp);
                o[9 * ld + i] =
                    R[3][i] + ypq * (c.q - c.p) + c.E_m + 2.0 * c.p * E_mp - c.E;
            }
    }
    return 0;
}

/* Relative distances up to this are taken from y - mu, others from the difference of logarithms. */
#define NEAR 0.5

/* 1 - log(1 + x) / x near 0, by 2 artanh(x / (2 + x)). */
IK_INLINE double log1p_lag(double x)
{
    double s = x / (2.0 + x), z = s * s, tail = 1.0 / 37.0; /* |s| <= 1/3: 3^-38 / 39 is left */
    int n;
    for (n = 35; n > 1; n -= 2)
        tail = tail * z + 1.0 / n;
    return s - (1.0 - s) * z * tail;
}

/* The negative binomial around the distribution with mean y: minus half the unit deviance
 * D = A (K(x) - K(-z)) and the factor G, with A = q (y - mu), x = A / t, z = A / y,
 * K(x) = 1 - log(1 + x) / x; all ten slots in log mu and log t. */
IK_INLINE void many_row(double y, double log_y, double normal, double m, double l, double d,
                        double f[10])
{
    int some = y > 0.0;
    double low_y = some ? log_y : -1e8, at_y = some ? log_y : 0.0;
    double p, q, softplus = ik_softplus(d, &p, &q), r, rest, r0, rest0;
    double lift = ik_softplus(low_y - l, &rest, &r); /* log((t + y) / t) */
    double lift0 = ik_softplus(at_y - l, &rest0, &r0);
    double E_m = ik_exp(at_most(m - softplus, MAX_LOG_MEAN)), A = y * q - E_m;
    double w = lift - softplus, above = low_y - m, below = -above;
    double x = fabs(above) < 1.0 ? p * ik_expm1(fabs(above) < 1.0 ? above : 0.0)
                                 : ik_expm1(at_most(w, 700.0));
    int close = fabs(x) < NEAR, near = fabs(below) < 1.0;
    double K = close ? log1p_lag(close ? x : 0.0) : 1.0 - w / (close ? 1.0 : x);
    double minus_z = q * ik_expm1(near ? below : 0.0), v, p2, q2, left, G, G1, G2, G3, slope, bend;
    double first, turn, excess;
    series s, t;
    near = near && fabs(minus_z) < NEAR;
    v = ik_softplus(l - m, &p2, &q2) - ik_softplus(l - low_y, &p2, &q2);
    left = near ? A * log1p_lag(near ? minus_z : 0.0) : A - y * v;
    s = stirling_remainder(at_y + ik_softplus(l - at_y, &p2, &q2));
    t = stirling_remainder(l);
    slope = r0 * rest0;
    bend = slope * (rest0 - r0);
    G = some ? s.s - t.s - normal - 0.5 * lift0 : 0.0;
    G1 = some ? s.s1 * r0 - t.s1 + 0.5 * rest0 : 0.0;
    G2 = some ? s.s2 * r0 * r0 + s.s1 * slope - t.s2 - 0.5 * slope : 0.0;
    G3 = some ? s.s3 * r0 * r0 * r0 + 3.0 * s.s2 * r0 * slope + s.s1 * bend - t.s3 - 0.5 * bend
              : 0.0;
    first = A * K;
    turn = A * (close ? x * r : q - r);
    excess = E_m * x;
    f[0] = G - first + left;
    f[1] = A;
    f[3] = -q * (y * p + E_m);
    f[6] = f[3] * (q - p);
    f[2] = G1 - first;
    f[5] = G2 - (first - turn);
    f[9] = G3 - (first - turn * (2.0 + p - q - r));
    f[4] = excess;
    f[7] = -E_m * (p + (p - q) * x);
    f[8] = excess * (p - q);
    (void)lift;
}

IK_EXPORT int32_t ik_nb2_many_log(const void *data, int64_t n, const double *y, int64_t ldy,
                                  const double *eta, int64_t ld, uint64_t constant,
                                  const uint8_t *want, double *out)
{
    int64_t i;
    int k;
    (void)data, (void)constant, (void)want;
    for (i = 0; i < n; i++) {
        double f[10], m = eta[i], l = eta[ld + i];
        many_row(y[i], y[ldy + i], y[2 * ldy + i], m, l, m - l, f);
        for (k = 0; k < 10; k++)
            out[k * ld + i] = f[k];
    }
    return 0;
}

/* From slots in (log mu, log t) to those in (log mu, a) where log t = log mu - a. */
IK_INLINE void in_alpha(const double f[10], double g[10])
{
    g[0] = f[0];
    g[1] = f[1] + f[2];
    g[2] = -f[2];
    g[3] = f[3] + 2.0 * f[4] + f[5];
    g[4] = -(f[4] + f[5]);
    g[5] = f[5];
    g[6] = f[6] + 3.0 * f[7] + 3.0 * f[8] + f[9];
    g[7] = -(f[7] + 2.0 * f[8] + f[9]);
    g[8] = f[8] + f[9];
    g[9] = -f[9];
}

IK_EXPORT int32_t ik_nb1_many(const void *data, int64_t n, const double *y, int64_t ldy,
                              const double *eta, int64_t ld, uint64_t constant,
                              const uint8_t *want, double *out)
{
    int64_t i;
    int k;
    (void)data, (void)constant, (void)want;
    for (i = 0; i < n; i++) {
        double f[10], g[10], m = eta[i], a = eta[ld + i];
        many_row(y[i], y[ldy + i], y[2 * ldy + i], m, m - a, a, f);
        in_alpha(f, g);
        for (k = 0; k < 10; k++)
            out[k * ld + i] = g[k];
    }
    return 0;
}

/* NB1, of size t = mu / alpha: R depends on log mu - a, and E is mu times a function of a. */
IK_EXPORT int32_t ik_nb1(const void *data, int64_t n, const double *y, int64_t ldy,
                         const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,
                         double *out)
{
    const double *log_factorial = y + ldy, *alpha = eta + ld;
    double R[4][CHUNK], log_t[CHUNK];
    int64_t at, i, m;
    (void)data, (void)constant, (void)want;
    for (at = 0; at < n; at += CHUNK) {
        const double *count = y + at, *x = eta + at, *a = alpha + at, *lf = log_factorial + at;
        double *o = out + at;
        m = n - at < CHUNK ? n - at : CHUNK;
        IK_SIMD for (i = 0; i < m; i++) log_t[i] = x[i] - a[i];
        rising_rows(m, count, log_t, 3, R);
        IK_SIMD for (i = 0; i < m; i++)
        {
            pieces c = pieces_of(x[i], a[i]);
            double yp = count[i] * c.p, ypq = yp * c.q, E_a = c.E_m - c.E,
                   E_aa = c.E - c.E_m * (1.0 + c.p), E_aaa = c.E_m * (1.0 + 2.0 * c.p * c.p) - c.E;
            o[i] = R[0][i] + count[i] * (x[i] - c.softplus) - lf[i] - c.E;
            o[ld + i] = R[1][i] + count[i] - c.E;
            o[2 * ld + i] = -R[1][i] - yp - E_a;
            o[3 * ld + i] = R[2][i] - c.E;
            o[4 * ld + i] = -R[2][i] - E_a;
            o[5 * ld + i] = R[2][i] - ypq - E_aa;
            o[6 * ld + i] = R[3][i] - c.E;
            o[7 * ld + i] = -R[3][i] - E_a;
            o[8 * ld + i] = R[3][i] - E_aa;
            o[9 * ld + i] = -R[3][i] - ypq * (c.q - c.p) - E_aaa;
        }
    }
    return 0;
}
