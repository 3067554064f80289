/* Integrals over the c = 1 ... 3 effects of each level of one factor, by nodes around the mode, with
 * exact gradient. The formulas and their names are those of interlace_approximations.quadrature:
 * with L L' = H, S = L'^-1, u_j = u + S x_j and q = l - |u_j|^2 / 2 the integral of a level is
 * -log|H| / 2 + log sum_j exp(log_w_j + q_j). */
#include "mode.h"

typedef struct {
    ik_model m;
    int64_t J;
    const double *x;     /* J x c, standard nodes by node */
    const double *log_w; /* J */
    double *scores;      /* J x K x ld: first derivatives at the nodes */
    double *q;           /* J x ld: log-density of the levels at the nodes, then their shares */
    double *Zl;          /* J x ld x c: slopes of the levels at the nodes */
    double *mean;        /* K x ld: mean first derivatives of the rows */
    double *S;           /* ld x c^2, by level */
    double *middle;      /* ld: random predictor at the mode */
    double *spread;      /* c x ld: what a standard node moves it by */
} ik_nodes;

/* S = L'^-1, by row; L is lower. */
IK_INLINE void scale_of(const int c, const double *L, double *S)
{
    int i, j, k;
    for (j = 0; j < c; j++)
        for (i = 0; i < c; i++)
            S[i * c + j] = 0.0;
    /* column i of L^-1 is row i of S */
    for (i = 0; i < c; i++)
        for (j = i; j < c; j++) {
            double s = i == j ? 1.0 : 0.0;
            for (k = i; k < j; k++)
                s -= L[j * c + k] * S[i * c + k];
            S[i * c + j] = s / L[j * c + j];
        }
}

/* What the nodes of a block have in common: S of its levels, where their rows' predictors are at the
 * mode, and how they spread with each entry of a standard node, z'T S. */
IK_INLINE void prepare_nodes(const int c, const int one, const ik_nodes *t, const block *b)
{
    const int64_t ld = b->m->ld;
    int64_t level, i;
    int a, d;
    for (level = 0; level < b->levels; level++) {
        double *S = t->S + level * c * c, at[LARGEST_C], effect[LARGEST_C];
        double TS[LARGEST_C * LARGEST_C];
        scale_of(c, b->H + level * c * c, S);
        multiply(c, b->T, S, TS);
        for (a = 0; a < c; a++)
            at[a] = u_of(b, a)[level];
        apply(c, b->T, at, effect);
        for (i = row(b, level); i < row(b, level + 1); i++) {
            double z[LARGEST_C], x = b->fixed[i];
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                x += effect[a] * z[a];
            }
            t->middle[i] = x;
            for (d = 0; d < c; d++) {
                x = 0.0;
                for (a = 0; a < c; a++)
                    x += z[a] * TS[a * c + d];
                t->spread[d * ld + i] = x;
            }
        }
    }
}

/* Evaluate the rows at node j of every level: q, first derivatives, and their sums with z. */
IK_INLINE int32_t at_node(const int c, const int one, const ik_nodes *t, block *b, int64_t j,
                          const uint8_t *want)
{
    const ik_model *m = b->m;
    const int64_t ld = m->ld, r = m->random;
    double *IK_RESTRICT eta = b->eta + r * ld, *IK_RESTRICT value = b->value;
    const double *IK_RESTRICT middle = t->middle, *x = t->x + j * c;
    const double *slope = t->scores + (j * m->K + r) * ld;
    int64_t level, i, k;
    int32_t failed;
    int a, d;
    for (d = 0; d < c; d++) {
        const double *IK_RESTRICT spread = t->spread + d * ld, at = x[d];
        if (d == 0)
            IK_SIMD for (i = 0; i < b->rows; i++) eta[i] = middle[i] + at * spread[i];
        else
            IK_SIMD for (i = 0; i < b->rows; i++) eta[i] += at * spread[i];
    }
    failed = evaluate_rows(b, want, 0);
    if (failed)
        return failed;
    for (k = 0; k < m->K; k++)
        if (want[interlace_slot(m->K, -1, -1, k)]) {
            const double *IK_RESTRICT from = b->out + interlace_slot(m->K, -1, -1, k) * ld;
            double *IK_RESTRICT into = t->scores + (j * m->K + k) * ld;
            /* a node where the model is not defined (a mean below 0) carries no mass */
            IK_SIMD for (i = 0; i < b->rows; i++) into[i] = fabs(value[i]) < INFINITY ? from[i] : 0.0;
        }
    IK_SIMD for (i = 0; i < b->rows; i++) value[i] =
        fabs(value[i]) < INFINITY ? value[i] : -INFINITY;
    for (a = one; a < c; a++) {
        const double *IK_RESTRICT z = covariate(b, a), *IK_RESTRICT own = slope;
        double *IK_RESTRICT product = b->zd + a * ld;
        IK_SIMD for (i = 0; i < b->rows; i++) product[i] = z[i] * own[i];
    }
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        const double *S = t->S + level * c * c;
        double square = 0.0;
        for (a = 0; a < c; a++) {
            double at = u_of(b, a)[level];
            for (d = 0; d < c; d++)
                at += S[a * c + d] * x[d];
            square += at * at;
            t->Zl[(j * ld + level) * c + a] =
                sum_of(one && a == 0 ? slope : b->zd + a * ld, low, high);
        }
        t->q[j * ld + level] = sum_of(value, low, high) - 0.5 * square;
    }
    return 0;
}

/* Replace q by the shares of the nodes, and return the sum of the levels' integrals. */
static double normalise(const ik_nodes *t, const block *b)
{
    const int64_t ld = t->m.ld, levels = b->levels;
    double total = 0.0, *IK_RESTRICT top = b->zd, *IK_RESTRICT mass = b->zzd;
    int64_t level, j;
    for (level = 0; level < levels; level++) {
        top[level] = -INFINITY;
        mass[level] = 0.0;
    }
    for (j = 0; j < t->J; j++) {
        double *IK_RESTRICT q = t->q + j * ld;
        const double weight = t->log_w[j];
        IK_SIMD for (level = 0; level < levels; level++)
        {
            q[level] += weight;
            top[level] = q[level] > top[level] ? q[level] : top[level];
        }
    }
    for (j = 0; j < t->J; j++) {
        double *IK_RESTRICT q = t->q + j * ld;
        IK_SIMD for (level = 0; level < levels; level++)
        {
            q[level] = ik_exp(q[level] - top[level]);
            mass[level] += q[level];
        }
    }
    for (level = 0; level < levels; level++) {
        total += top[level] + ik_log(mass[level]);
        mass[level] = 1.0 / mass[level];
    }
    for (j = 0; j < t->J; j++) {
        double *IK_RESTRICT q = t->q + j * ld;
        IK_SIMD for (level = 0; level < levels; level++) q[level] *= mass[level];
    }
    return total;
}

/* Mean first derivatives of the rows over the nodes. */
static void average(const ik_nodes *t, const block *b, const uint8_t *want)
{
    const int64_t K = t->m.K, ld = t->m.ld;
    int64_t k, j, level, i;
    for (k = 0; k < K; k++) {
        double *IK_RESTRICT mean = t->mean + k * ld;
        if (!want[interlace_slot(K, -1, -1, k)])
            continue;
        memset(mean, 0, b->rows * sizeof(double));
        for (j = 0; j < t->J; j++) {
            const double *IK_RESTRICT each = t->scores + (j * K + k) * ld;
            for (level = 0; level < b->levels; level++) {
                const double share = t->q[j * ld + level];
                for (i = row(b, level); i < row(b, level + 1); i++)
                    mean[i] += share * each[i];
            }
        }
    }
}

/* Add the block's value and what its levels add to dT; leaves the score of the random predictor in
 * d1, -z'Vz / 2 in eta and Z T v in `fixed`, as Laplace's gradient does. */
IK_INLINE void gradient_of_levels(const int c, const int one, const ik_nodes *t, block *b,
                                  double *value, double *dT)
{
    const int64_t ld = b->m->ld, r = b->m->random;
    double *IK_RESTRICT lever = b->eta + r * ld, *IK_RESTRICT moved = b->fixed;
    const double *mean = t->mean + r * ld;
    int64_t level, i, j;
    int a, d;
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        const double *L = b->H + level * c * c, *step = b->step + level * c;
        const double *S = t->S + level * c * c;
        double M[LARGEST_C * LARGEST_C] = {0.0}, B[LARGEST_C * LARGEST_C];
        double P[LARGEST_C * LARGEST_C], SP[LARGEST_C * LARGEST_C], N[LARGEST_C * LARGEST_C];
        double NT[LARGEST_C * LARGEST_C], V[LARGEST_C * LARGEST_C], ATN[LARGEST_C * LARGEST_C];
        double alpha[LARGEST_C] = {0.0}, Zc[LARGEST_C] = {0.0}, Zl[LARGEST_C] = {0.0},
               Zs[LARGEST_C] = {0.0}, sensitivity[LARGEST_C], v[LARGEST_C], Tv[LARGEST_C];
        double product = 1.0, moves[LARGEST_C * LARGEST_C] = {0.0};
        for (j = 0; j < t->J; j++) {
            const double share = t->q[j * ld + level], *Zl_j = t->Zl + (j * ld + level) * c;
            double away[LARGEST_C], pulled[LARGEST_C];
            apply(c, S, t->x + j * c, away);
            apply_transposed(c, b->T, Zl_j, pulled);
            for (a = 0; a < c; a++) {
                const double slope = share * (pulled[a] - u_of(b, a)[level] - away[a]);
                alpha[a] += slope;
                for (d = 0; d < c; d++) {
                    M[a * c + d] += slope * t->x[j * c + d];
                    moves[a * c + d] += share * Zl_j[a] * away[d];
                }
            }
        }
        multiply_first_transposed(c, M, S, B);
        for (a = 0; a < c; a++) {
            product *= L[a * c + a];
            for (d = 0; d <= a; d++)
                P[a * c + d] = P[d * c + a] = B[a * c + d] + (a == d ? 1.0 : 0.0);
        }
        *value += ik_log(product);
        multiply(c, S, P, SP);
        multiply_second_transposed(c, SP, S, N);
        multiply_second_transposed(c, N, b->T, NT);
        multiply(c, b->T, NT, V);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], h = 0.0, each;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                for (d = 0; d < a; d++)
                    h += 2.0 * V[a * c + d] * z[a] * z[d];
                h += V[a * c + a] * z[a] * z[a];
            }
            lever[i] = -0.5 * h;
            each = -0.5 * h * b->d3[i];
            b->d3[i] = each;
            for (a = 0; a < c; a++) {
                Zc[a] += z[a] * each;
                Zl[a] += z[a] * b->d1[i];
            }
        }
        apply_transposed(c, b->T, Zc, sensitivity);
        for (a = 0; a < c; a++) {
            v[a] = sensitivity[a] -= alpha[a];
            *value += sensitivity[a] * step[a];
        }
        solve(c, L, v);
        apply(c, b->T, v, Tv);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], shift = 0.0, score;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                shift += z[a] * Tv[a];
            }
            score = b->d3[i] - mean[i] + b->d2[i] * shift;
            moved[i] = shift;
            b->d1[i] = score;
            for (a = 0; a < c; a++)
                Zs[a] += z[a] * score;
        }
        multiply(c, b->AT + level * c * c, N, ATN);
        for (a = 0; a < c; a++)
            for (d = 0; d < c; d++)
                dT[a * c + d] += Zs[a] * u_of(b, d)[level] + Zl[a] * v[d] + ATN[a * c + d] -
                                 moves[a * c + d];
    }
}

/* What the nodes ask for: the value, and the first derivative of every predictor that is
 * estimated or random. */
static void wanted_at_nodes(const ik_model *m, uint8_t *want)
{
    int64_t k;
    memset(want, 0, interlace_slots(m->K));
    want[0] = 1;
    for (k = 0; k < m->K; k++)
        if (m->predictors[k].p || k == m->random)
            want[interlace_slot(m->K, -1, -1, k)] = 1;
}

/* The slots at the mode are overwritten by those at the nodes: evaluate them once more. */
IK_INLINE int32_t block_of_levels(const int c, const int one, const ik_nodes *t, block *b,
                                  const double *beta, double *value, double *dT, double *dbeta,
                                  int64_t *iterations)
{
    const ik_model *m = b->m;
    uint8_t *want = m->want + 2 * interlace_slots(m->K);
    int64_t j, k, i;
    int32_t failed;
    fixed_parts(b, beta);
    failed = next_mode(c, one, b, iterations);
    if (!failed)
        prepare_nodes(c, one, t, b);
    for (j = 0; j < t->J && !failed; j++)
        failed = at_node(c, one, t, b, j, want);
    if (failed)
        return failed;
    *value -= normalise(t, b);
    average(t, b, want);
    failed = evaluate(c, one, b, 1);
    if (failed)
        return failed;
    gradient_of_levels(c, one, t, b, value, dT);
    for (k = 0; k < m->K; k++)
        if (k != m->random && m->predictors[k].p) {
            double *IK_RESTRICT own = b->out + interlace_slot(m->K, -1, -1, k) * m->ld;
            const double *IK_RESTRICT mean = t->mean + k * m->ld;
            IK_SIMD for (i = 0; i < b->rows; i++) own[i] = mean[i];
        }
    gradient_of_coefficients(b, dbeta);
    return 0;
}

IK_INLINE int32_t nodes(const int c, const int one, const ik_nodes *t, const double *T,
                        const double *beta, double *value, double *dT, double *dbeta,
                        int64_t *iterations)
{
    const ik_model *m = &t->m;
    block b = prepared(m, T);
    int32_t failed;
    memset(dbeta, 0, coefficients(m) * sizeof(double));
    memset(dT, 0, c * c * sizeof(double));
    *value = 0.0;
    *iterations = 0;
    what_is_wanted(m);
    wanted_at_nodes(m, m->want + 2 * interlace_slots(m->K));
    changed(m, T, beta);
    while (b.first + b.levels < m->G) {
        next_block(&b);
        failed = block_of_levels(c, one, t, &b, beta, value, dT, dbeta, iterations);
        if (failed)
            return failed;
    }
    if (!(fabs(*value) < INFINITY))
        return 2;
    arrived(m, T, beta);
    return 0;
}

#define WITH(C, ONE)                                                                               \
    if (t->m.c == C && (t->m.z[0] == 0) == ONE)                                                    \
        return nodes(C, ONE, t, T, beta, value, dT, dbeta, iterations);

/* 0, or why there is no value, as for ik_laplace. */
IK_EXPORT int32_t ik_quadrature(const ik_nodes *t, const double *T, const double *beta,
                                double *value, double *dT, double *dbeta, int64_t *iterations)
{
    WITH(1, 1)
    if (t->m.c < 1 || t->m.c > LARGEST_C)
        return 1;
    return nodes((int)t->m.c, t->m.z[0] == 0, t, T, beta, value, dT, dbeta, iterations);
}
