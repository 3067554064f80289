/* Objectives as functions of psi, for covariance structures whose theta are entries of T. */
#include "search.h"
#include <string.h>

static void place(const ik_templates *t, const double *psi)
{
    int64_t e;
    memset(t->T, 0, (size_t)t->size * sizeof(double));
    for (e = 0; e < t->entries; e++)
        t->T[t->to[e]] = psi[t->from[e]];
}

static void pull(const ik_templates *t, double *gradient)
{
    int64_t e;
    memset(gradient, 0, (size_t)t->n_theta * sizeof(double));
    for (e = 0; e < t->entries; e++)
        gradient[t->from[e]] += t->dT[t->to[e]];
}

static int32_t checked(double value, const double *gradient, int64_t n)
{
    int64_t i;
    int finite = fabs(value) < INFINITY;
    for (i = 0; i < n; i++)
        finite &= fabs(gradient[i]) < INFINITY;
    return finite ? 0 : 2;
}

IK_EXPORT int32_t ik_mode_function(void *context, const double *psi, double *value,
                                   double *gradient, double *profiled, int64_t *inner)
{
    ik_mode_context *k = context;
    const ik_templates *t = &k->templates;
    int32_t failed;
    (void)profiled;
    place(t, psi);
    memcpy(k->before, k->u, (size_t)k->q * sizeof(double));
    failed = k->evaluate(k->model, t->T, psi + t->n_theta, value, t->dT, gradient + t->n_theta,
                         inner);
    if (failed) {
        memcpy(k->u, k->before, (size_t)k->q * sizeof(double));
        return failed;
    }
    pull(t, gradient);
    *value -= k->constant;
    return checked(*value, gradient, t->n_psi);
}

IK_EXPORT void ik_mode_hold(void *context, int32_t back)
{
    ik_mode_context *k = context;
    double *u = back ? k->u : k->held, *at = back ? k->at : k->held + k->q;
    memcpy(u, back ? k->held : k->u, (size_t)k->q * sizeof(double));
    memcpy(at, back ? k->held + k->q : k->at, (size_t)k->numbers * sizeof(double));
}

IK_EXPORT int32_t ik_mode_turn(void *context, int64_t i)
{
    ik_mode_context *k = context;
    const ik_responses *r = k->responses;
    if (i < 0 || i >= r->count)
        return 1;
    r->model->y = r->columns + i * r->model->n;
    if (r->weights)
        r->model->weights = r->weights + i * r->model->n;
    memcpy(k->u, r->begin, (size_t)k->q * sizeof(double));
    memset(r->forget, 0, (size_t)r->forgets * sizeof(int64_t));
    return 0;
}

IK_EXPORT int32_t ik_linear_function(void *context, const double *psi, double *value,
                                     double *gradient, double *profiled, int64_t *inner)
{
    ik_linear_context *k = context;
    const ik_templates *t = &k->templates;
    const int64_t last = t->n_psi - 1;
    double slope;
    int32_t failed;
    place(t, psi);
    *inner = 0;
    failed = ik_linear_value(k->model, t->T, k->estimates_sigma ? psi[last] : 0.0, value, t->dT,
                             &slope, profiled, k->covariance, k->mode);
    if (failed)
        return failed;
    memset(gradient, 0, (size_t)t->n_psi * sizeof(double));
    pull(t, gradient);
    if (k->estimates_sigma)
        gradient[last] = slope;
    return checked(*value, gradient, t->n_psi);
}

IK_EXPORT void ik_linear_hold(void *context, int32_t back)
{
    const ik_linear_context *k = context;
    const int64_t p = k->model->p1 - 1, q = k->model->c * k->model->G;
    double *covariance = back ? k->covariance : k->held, *mode = back ? k->mode : k->held + p * p;
    memcpy(covariance, back ? k->held : k->covariance, (size_t)(p * p) * sizeof(double));
    memcpy(mode, back ? k->held + p * p : k->mode, (size_t)q * sizeof(double));
}

IK_EXPORT int32_t ik_linear_turn(void *context, int64_t i)
{
    const ik_linear_context *k = context;
    const ik_linear_responses *r = k->responses;
    const int64_t c = k->model->c, G = k->model->G, p1 = k->model->p1, p = p1 - 1;
    int64_t a;
    if (i < 0 || i >= r->count)
        return 1;
    for (a = 0; a < c; a++)
        memcpy(r->Zs_to + (a * p1 + p) * G, r->Zs + (i * c + a) * G, (size_t)G * sizeof(double));
    for (a = 0; a < p1; a++)
        r->SS_to[a * p1 + p] = r->SS_to[p * p1 + a] = r->SS[i * p1 + a];
    memcpy(r->beta_to, r->beta + i * p, (size_t)p * sizeof(double));
    return 0;
}
