/* Laplace's approximation for c = 1 ... 4 correlated effects of one factor, with exact gradient.
 *
 * Levels are independent given psi, so that blocks of whole levels, of about a thousand rows that
 * stay in the cache, go through everything: predictors, Newton steps to the mode, log|H|, adjoint
 * and gradient. The formulas are those of interlace_approximations.laplace.
 */
#include "mode.h"

/* Add the block's value, and what its levels add to dT; leaves the score of the random predictor in
 * d1, h = -z'Vz / 2 in eta, and Z T v in `fixed`. */
IK_INLINE void gradient_of_levels(const int c, const int one, block *b, double *value, double *dT)
{
    const int64_t ld = b->m->ld;
    double *IK_RESTRICT lever = b->eta + b->m->random * ld, *IK_RESTRICT moved = b->fixed;
    double *IK_RESTRICT d1 = b->d1, *IK_RESTRICT d3 = b->d3;
    const double *IK_RESTRICT d2 = b->d2;
    double total = b->f, log_det = 0.0;
    int64_t level, i;
    int a, d;
    for (level = 0; level < b->levels; level++) {
        const int64_t low = row(b, level), high = row(b, level + 1);
        const double *L = b->H + level * c * c, *step = b->step + level * c;
        double N[LARGEST_C * LARGEST_C], V[LARGEST_C * LARGEST_C], NT[LARGEST_C * LARGEST_C];
        double ATN[LARGEST_C * LARGEST_C], sensitivity[LARGEST_C], v[LARGEST_C], Tv[LARGEST_C];
        double Zc[LARGEST_C] = {0.0}, Zl[LARGEST_C] = {0.0}, Zs[LARGEST_C] = {0.0}, product = 1.0;
        for (a = 0; a < c; a++) {
            product *= L[a * c + a];
            for (d = 0; d < c; d++)
                N[d * c + a] = 0.0;
        }
        log_det += ik_log(product); /* half of log|H| */
        for (a = 0; a < c; a++) {
            double unit[LARGEST_C] = {0.0};
            unit[a] = 1.0;
            solve(c, L, unit);
            for (d = 0; d < c; d++)
                N[d * c + a] = unit[d];
        }
        multiply_second_transposed(c, N, b->T, NT);
        multiply(c, b->T, NT, V);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], h = 0.0, each;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                h += V[a * c + a] * z[a] * z[a];
                for (d = 0; d < a; d++)
                    h += 2.0 * V[a * c + d] * z[a] * z[d];
            }
            lever[i] = -0.5 * h;
            each = -0.5 * h * d3[i];
            d3[i] = each;
            for (a = 0; a < c; a++) {
                Zc[a] += z[a] * each;
                Zl[a] += z[a] * d1[i];
            }
        }
        apply_transposed(c, b->T, Zc, sensitivity);
        for (a = 0; a < c; a++) {
            v[a] = sensitivity[a];
            total += (0.5 * b->gradient[level * c + a] + sensitivity[a]) * step[a];
        }
        solve(c, L, v);
        apply(c, b->T, v, Tv);
        for (i = low; i < high; i++) {
            double z[LARGEST_C], shift = 0.0, score;
            for (a = 0; a < c; a++) {
                z[a] = one && a == 0 ? 1.0 : covariate(b, a)[i];
                shift += z[a] * Tv[a];
            }
            score = d3[i] - d1[i] + d2[i] * shift;
            moved[i] = shift;
            d1[i] = score;
            for (a = 0; a < c; a++)
                Zs[a] += z[a] * score;
        }
        multiply(c, b->AT + level * c * c, N, ATN);
        for (a = 0; a < c; a++)
            for (d = 0; d < c; d++)
                dT[a * c + d] += Zs[a] * u_of(b, d)[level] + Zl[a] * v[d] + ATN[a * c + d];
    }
    *value += total + log_det;
}

IK_INLINE int32_t laplace(const int c, const int one, const ik_model *m, const double *T,
                          const double *beta, double *value, double *dT, double *dbeta,
                          int64_t *iterations)
{
    block b = prepared(m, T);
    int32_t failed;
    memset(dbeta, 0, coefficients(m) * sizeof(double));
    memset(dT, 0, c * c * sizeof(double));
    *value = 0.0;
    *iterations = 0;
    what_is_wanted(m);
    while (b.first + b.levels < m->G) {
        next_block(&b);
        fixed_parts(&b, beta);
        failed = find_mode(c, one, &b, iterations);
        if (failed)
            return failed;
        gradient_of_levels(c, one, &b, value, dT);
        gradient_of_coefficients(&b, dbeta);
    }
    return fabs(*value) < INFINITY ? 0 : 2;
}

#define WITH(C, ONE)                                                                               \
    if (m->c == C && (m->z[0] == 0) == ONE)                                                        \
        return laplace(C, ONE, m, T, beta, value, dT, dbeta, iterations);

IK_EXPORT int32_t ik_laplace(const ik_model *m, const double *T, const double *beta, double *value,
                             double *dT, double *dbeta, int64_t *iterations)
{
    /* the usual sizes with loops over effects unrolled, others with loops */
    WITH(1, 1)
    WITH(2, 1)
    if (m->c < 1 || m->c > LARGEST_C)
        return 1;
    return laplace((int)m->c, m->z[0] == 0, m, T, beta, value, dT, dbeta, iterations);
}
