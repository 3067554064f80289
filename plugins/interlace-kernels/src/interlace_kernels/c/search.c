/* A quasi-Newton search (Broyden, Fletcher, Goldfarb & Shanno; Nocedal & Wright 2006, chapter 6):
 * the inverse Hessian is kept whole, since a fit has few parameters. */
#include "search.h"
#include <string.h>

#define SUFFICIENT 1e-4 /* share of the slope by which a step must be lower */
#define STEEP 0.9       /* share of the slope left after a step that could be longer */
#define FURTHER 4.0     /* times the longest step, to which one that is steep still may grow */
#define SHORTEST 1e-10
#define ROUNDING 1e-13 /* of a value, relative */
#define DOUBLINGS 8

enum { BY_GRADIENT, BY_VALUE, SPENT, NO_LOWER, DECLINED };

typedef struct {
    ik_function f;
    void *context;
    int64_t n_psi, m;
    const double *origin, *B;
    ik_search_state *state;
    double *psi, *gradient, *profiled;
} target;

/* The gradient in z, from that in psi. */
static void in_z(const target *t, const double *gradient, double *g)
{
    int64_t i, j;
    for (j = 0; j < t->m; j++)
        g[j] = 0.0;
    for (i = 0; i < t->n_psi; i++)
        for (j = 0; j < t->m; j++)
            g[j] += t->B[i * t->m + j] * gradient[i];
}

/* Evaluate at z; the gradient in z. Returns whether there is a value. */
static int at(const target *t, const double *z, double *value, double *g)
{
    ik_search_state *s = t->state;
    int64_t i, j, inner = 0;
    double slope = 0.0;
    for (i = 0; i < t->n_psi; i++) {
        t->psi[i] = t->origin[i];
        for (j = 0; j < t->m; j++)
            t->psi[i] += t->B[i * t->m + j] * z[j];
    }
    s->evaluations++;
    if (t->f(t->context, t->psi, value, t->gradient, t->profiled, &inner)) {
        s->failed++;
        return 0;
    }
    s->inner += inner;
    in_z(t, t->gradient, g);
    for (j = 0; j < t->m; j++)
        slope = fmax(slope, fabs(g[j]));
    s->path[2 * (s->evaluations - s->failed - 1)] = *value;
    s->path[2 * (s->evaluations - s->failed - 1) + 1] = slope;
    return 1;
}

static double product(const double *x, const double *y, int64_t m)
{
    double total = 0.0;
    int64_t i;
    for (i = 0; i < m; i++)
        total += x[i] * y[i];
    return total;
}

static double largest(const double *x, int64_t m)
{
    double most = 0.0;
    int64_t i;
    for (i = 0; i < m; i++)
        most = fmax(most, fabs(x[i]));
    return most;
}

/* Return how many times as long as the longest step d is, in the entry where it is most. */
static double relative(const double *d, const double *longest, int64_t m)
{
    double most = 0.0;
    int64_t i;
    for (i = 0; i < m; i++)
        most = fmax(most, fabs(d[i]) / longest[i]);
    return most;
}

/* Set d to -H g, and return its slope; H begins anew where that does not lead down. */
static double direction(int64_t m, double *H, const double *g, double *d)
{
    double slope;
    int64_t i, j;
    for (i = 0; i < m; i++)
        d[i] = -product(H + i * m, g, m);
    slope = product(d, g, m);
    if (slope < 0.0)
        return slope;
    for (i = 0; i < m; i++) {
        for (j = 0; j < m; j++)
            H[i * m + j] = i == j;
        d[i] = -g[i];
    }
    return product(d, g, m);
}

/* Take the step s and the change y of the gradient into H. */
static void update(int64_t m, double *H, const double *s, const double *y, double *Hy)
{
    const double ys = product(y, s, m);
    double factor;
    int64_t i, j;
    if (!(ys > 1e-14))
        return;
    for (i = 0; i < m; i++)
        Hy[i] = product(H + i * m, y, m);
    factor = (1.0 + product(y, Hy, m) / ys) / ys;
    for (i = 0; i < m; i++)
        for (j = 0; j < m; j++)
            H[i * m + j] += factor * s[i] * s[j] - (Hy[i] * s[j] + s[i] * Hy[j]) / ys;
}

IK_EXPORT int32_t ik_search(ik_function f, void *context, int64_t n_psi, int64_t m,
                            const double *origin, const double *B, const double *longest,
                            double *z, ik_search_state *state, double *work)
{
    double *H = work, *g = H + m * m, *d = g + m, *next = d + m, *g_next = next + m;
    double *s = g_next + m, *y = s + m, *psi = y + m, value, found;
    const target t = {f, context, n_psi, m, origin, B, state, psi, psi + n_psi, psi + 2 * n_psi};
    int64_t i, j, doublings;
    state->evaluations = state->failed = state->inner = 0;
    if (state->first) {
        value = state->first[0];
        in_z(&t, state->first + 1, g);
    } else if (!at(&t, z, &value, g))
        return DECLINED;
    if (value < state->floor)
        return DECLINED;
    for (i = 0; i < m; i++)
        for (j = 0; j < m; j++)
            H[i * m + j] = i == j;
    while (largest(g, m) > state->tol_gradient) {
        const double slope = direction(m, H, g, d), before = value;
        const double size = relative(d, longest, m);
        double length = 1.0 / fmax(size, 1.0);
        int lower = 0;
        for (doublings = 0; length >= SHORTEST;) {
            int ok;
            if (state->evaluations >= state->most) {
                for (i = 0; i < m && lower; i++)
                    z[i] += s[i];
                return SPENT;
            }
            for (i = 0; i < m; i++)
                next[i] = z[i] + length * d[i];
            ok = at(&t, next, &found, g_next);
            if (ok && found < state->floor)
                return DECLINED;
            if (ok && found <= before + SUFFICIENT * length * slope + ROUNDING * fabs(before) &&
                (!lower || found < value)) {
                for (i = 0; i < m; i++) {
                    s[i] = length * d[i];
                    y[i] = g_next[i] - g[i];
                }
                value = found;
                lower = 1;
                /* from a point that is steep still one goes on, further each time */
                if (product(g_next, d, m) > STEEP * slope || doublings++ == DOUBLINGS)
                    break;
                length *= 2.0;
                if (length * size > FURTHER)
                    break;
                continue;
            }
            if (lower)
                break;
            length *= ok ? fmin(fmax(-slope * length / (2.0 * (found - before - slope * length)),
                                     0.1),
                                0.5)
                         : 0.25;
        }
        if (!lower)
            return NO_LOWER;
        for (i = 0; i < m; i++) {
            z[i] += s[i];
            g[i] += y[i];
        }
        update(m, H, s, y, next);
        if (before - value <= state->tol_value * fmax(fmax(fabs(before), fabs(value)), 1.0))
            return largest(g, m) > state->tol_gradient ? BY_VALUE : BY_GRADIENT;
    }
    return BY_GRADIENT;
}

/* Write the Hessian at z by central differences of the gradient, a row for each z. Returns whether
 * all of them have values. */
static int differences(const target *t, double *z, double step, double *up, double *down,
                       double *hessian)
{
    double value;
    int64_t i, j;
    for (i = 0; i < t->m; i++) {
        const double here = z[i];
        int ok;
        z[i] = here + step;
        ok = at(t, z, &value, up);
        z[i] = here - step;
        ok = ok && at(t, z, &value, down);
        z[i] = here;
        if (!ok)
            return 0;
        for (j = 0; j < t->m; j++)
            hessian[i * t->m + j] = (up[j] - down[j]) / (2.0 * step);
    }
    return 1;
}

IK_EXPORT void ik_search_each(ik_function f, ik_turn turn, void *context, int64_t n_psi, int64_t m,
                              const double *origin, const double *B, const double *longest,
                              ik_search_state *state, const ik_ends *ends, double *work)
{
    double *psi = work + m * (m + 6), *up = psi + 2 * n_psi + ends->n_profiled, *down = up + m;
    const target t = {f, context, n_psi, m, origin, B, state, psi, psi + n_psi, psi + 2 * n_psi};
    int64_t i;
    for (i = 0; i < ends->count; i++) {
        double *z = ends->z + i * m;
        int64_t ended = DECLINED;
        state->evaluations = state->failed = state->inner = 0;
        memset(z, 0, (size_t)m * sizeof(double));
        if (!turn(context, i))
            ended = ik_search(f, context, n_psi, m, origin, B, longest, z, state, work);
        if (ended != DECLINED) {
            if (!at(&t, z, ends->values + i, ends->slopes + i * m))
                ended = DECLINED;
            else
                memcpy(ends->profiled + i * ends->n_profiled, t.profiled,
                       (size_t)ends->n_profiled * sizeof(double));
        }
        if (ended != DECLINED && ends->step > 0.0 &&
            !differences(&t, z, ends->step, up, down, ends->hessians + i * m * m))
            ended = DECLINED;
        ends->ended[i] = ended;
        ends->counts[3 * i] = state->evaluations;
        ends->counts[3 * i + 1] = state->failed;
        ends->counts[3 * i + 2] = state->inner;
    }
}

IK_EXPORT int64_t ik_at_each(ik_function f, void *context, int64_t count, int64_t n_psi,
                             int64_t n_profiled, const double *psi, double *values,
                             double *gradients, double *profiled)
{
    int64_t i, total = 0;
    for (i = 0; i < count; i++) {
        int64_t inner = 0;
        if (f(context, psi + i * n_psi, values + i, gradients + i * n_psi,
              profiled + i * n_profiled, &inner))
            values[i] = NAN;
        total += inner;
    }
    return total;
}
