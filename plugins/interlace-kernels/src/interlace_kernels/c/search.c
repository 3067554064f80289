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

/* The gradient in z, from that in psi. */
static void in_z(const ik_descent *s, const double *gradient, double *g)
{
    int64_t i, j;
    for (j = 0; j < s->m; j++)
        g[j] = 0.0;
    for (i = 0; i < s->n_psi; i++)
        for (j = 0; j < s->m; j++)
            g[j] += s->B[i * s->m + j] * gradient[i];
}

/* Evaluate at z; the gradient in z. Returns whether there is a value. */
static int at(ik_descent *s, const double *z, double *value, double *g)
{
    int64_t i, j, inner = 0;
    double slope = 0.0;
    for (i = 0; i < s->n_psi; i++) {
        s->psi[i] = s->origin[i];
        for (j = 0; j < s->m; j++)
            s->psi[i] += s->B[i * s->m + j] * z[j];
    }
    s->evaluations++;
    if (s->f(s->context, s->psi, value, s->gradient, s->profiled, &inner)) {
        s->failed++;
        return 0;
    }
    s->inner += inner;
    in_z(s, s->gradient, g);
    for (j = 0; j < s->m; j++)
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

/* Search from z, which becomes the best point; its value, and the gradient there, in z, to g. `here`
 * says whether the last evaluation was of that point. */
static int32_t descend(ik_descent *t, double *z, double *best, double *g, int *here)
{
    const int64_t m = t->m;
    double *H = t->work, *d = H + m * m, *next = d + m, *g_next = next + m;
    double *s = g_next + m, *y = s + m, value, found;
    int64_t i, j, doublings;
    t->evaluations = t->failed = t->inner = 0;
    *here = !t->first;
    if (t->first) {
        value = t->first[0];
        in_z(t, t->first + 1, g);
    } else if (!at(t, z, &value, g))
        return DECLINED;
    *best = value;
    if (value < t->floor)
        return DECLINED;
    for (i = 0; i < m; i++)
        for (j = 0; j < m; j++)
            H[i * m + j] = i == j;
    while (largest(g, m) > t->tol_gradient) {
        const double slope = direction(m, H, g, d), before = value;
        const double size = relative(d, t->longest, m);
        double length = 1.0 / fmax(size, 1.0);
        int lower = 0;
        for (doublings = 0; length >= SHORTEST;) {
            int ok;
            if (t->evaluations >= t->most) {
                for (i = 0; i < m && lower; i++)
                    z[i] += s[i];
                return SPENT;
            }
            for (i = 0; i < m; i++)
                next[i] = z[i] + length * d[i];
            ok = at(t, next, &found, g_next);
            *here = 0;
            if (ok && found < t->floor)
                return DECLINED;
            if (ok && found <= before + SUFFICIENT * length * slope + ROUNDING * fabs(before) &&
                (!lower || found < value)) {
                for (i = 0; i < m; i++) {
                    s[i] = length * d[i];
                    y[i] = g_next[i] - g[i];
                }
                *best = value = found;
                *here = lower = 1;
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
        if (before - value <= t->tol_value * fmax(fmax(fabs(before), fabs(value)), 1.0))
            return largest(g, m) > t->tol_gradient ? BY_VALUE : BY_GRADIENT;
    }
    return BY_GRADIENT;
}

/* Evaluate away from z in one direction: the gradient in z, and the profiled entries, to `out`. */
static int beside(ik_descent *s, double *z, int64_t i, double step, double *out)
{
    const double here = z[i];
    double value;
    int ok;
    z[i] = here + step;
    ok = at(s, z, &value, out) && value >= s->floor;
    z[i] = here;
    memcpy(out + s->m, s->profiled, (size_t)s->n_profiled * sizeof(double));
    return ok;
}

/* Write differences at z, where the gradient in z is g. Returns whether all have finite values. */
static int differences(ik_descent *s, double *z, const double *g, double *jacobian)
{
    const int64_t m = s->m, width = m + s->n_profiled;
    double *up = s->work + m * (m + 6), *down = up + width;
    int64_t i, j;
    if (!s->central && s->n_profiled)
        return 0;
    memcpy(down, g, (size_t)m * sizeof(double));
    for (i = 0; i < m; i++) {
        if (!beside(s, z, i, s->step, up) || (s->central && !beside(s, z, i, -s->step, down)))
            return 0;
        for (j = 0; j < width; j++) {
            jacobian[i * width + j] = (up[j] - down[j]) / (s->central ? 2.0 * s->step : s->step);
            if (!(fabs(jacobian[i * width + j]) < INFINITY))
                return 0;
        }
    }
    return 1;
}

/* Differences around the last point, which stays that. */
static int held_differences(ik_descent *s, double *z, const double *g, double *jacobian)
{
    double *kept = s->work + s->m * (s->m + 6) + 2 * (s->m + s->n_profiled);
    int done;
    memcpy(kept, s->gradient, (size_t)s->n_psi * sizeof(double));
    memcpy(kept + s->n_psi, s->profiled, (size_t)s->n_profiled * sizeof(double));
    s->hold(s->context, 0);
    done = differences(s, z, g, jacobian);
    s->hold(s->context, 1);
    memcpy(s->gradient, kept, (size_t)s->n_psi * sizeof(double));
    memcpy(s->profiled, kept + s->n_psi, (size_t)s->n_profiled * sizeof(double));
    return done;
}

IK_EXPORT int32_t ik_search(ik_descent *s, double *z, double *value, double *jacobian)
{
    double *g = s->work + s->m * (s->m + 5);
    int here;
    int32_t ended;
    memset(z, 0, (size_t)s->m * sizeof(double));
    s->differenced = 0;
    ended = descend(s, z, value, g, &here);
    s->searched = s->evaluations;
    if (ended == DECLINED)
        return DECLINED;
    if (s->hold && !here && !at(s, z, value, g))
        return DECLINED;
    if ((ended == BY_GRADIENT || ended == BY_VALUE) && s->step > 0.0)
        s->differenced = s->hold ? held_differences(s, z, g, jacobian)
                                 : differences(s, z, g, jacobian);
    /* last, so that what the function keeps is of where the search ended */
    if (!s->hold && !at(s, z, value, g))
        return DECLINED;
    return ended;
}

IK_EXPORT void ik_search_each(ik_descent *s, const ik_ends *ends)
{
    const int64_t m = s->m, p = s->n_profiled;
    int64_t i;
    for (i = 0; i < ends->count; i++) {
        int64_t ended = DECLINED;
        s->evaluations = s->failed = s->inner = 0;
        memset(ends->z + i * m, 0, (size_t)m * sizeof(double));
        if (!ends->turn(s->context, i))
            ended = ik_search(s, ends->z + i * m, ends->values + i,
                              ends->jacobians + i * m * (m + p));
        if (ended < SPENT && s->step > 0.0 && !s->differenced)
            ended = DECLINED;
        if (ended != DECLINED) {
            in_z(s, s->gradient, ends->slopes + i * m);
            memcpy(ends->profiled + i * p, s->profiled, (size_t)p * sizeof(double));
        }
        ends->ended[i] = ended;
        ends->counts[3 * i] = s->evaluations;
        ends->counts[3 * i + 1] = s->failed;
        ends->counts[3 * i + 2] = s->inner;
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
