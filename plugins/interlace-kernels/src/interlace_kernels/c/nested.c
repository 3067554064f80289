/* Laplace's approximation for nested factors of any depth with one effect each, an intercept.
 *
 * A node of level l has its effect u, scaled by theta_l; a row's predictor moves by the sum over
 * its ancestors. Seen from above, the rows below a node are a quadratic function of the shift that
 * comes in, -A d + W d^2 / 2, and the node's own effect is eliminated from it:
 *
 *     h = 1 + theta^2 W,  g = u - theta A,  W up = W / h,  A up = A + theta W g / h
 *
 * so that log|H| is the sum of log h, the decrement that of g^2 / h, and a Newton step comes down
 * again by du = -(g + theta W d) / h. The slope of log|H| / 2 follows by the same recursion
 * backwards: no matrices, no selected inverse.
 *
 * Rows are sorted by the finest factor only; parents are given by index.
 */
#include "curvature.h"

#define MOST_LEVELS 8

typedef struct {
    ik_model m; /* G and starts are the finest factor's; u is by factor, one after the other */
    int64_t D;
    int64_t N[MOST_LEVELS];
    const int64_t *parent[MOST_LEVELS]; /* of each node in the next factor; none for the last */
    double *nodes;  /* 8 columns for all nodes of all factors */
    double *stored; /* n x (2 + slots wanted): eta, fixed part, and what the rows gave */
} ik_tree;

/* Columns of the nodes: W and A of what is below, h, g, shift or step, sums, and u before. */
enum { W, A, H, G, S, V, SUM, BEFORE, COLUMNS };

typedef struct {
    const ik_tree *t;
    const double *theta;
    int64_t total, first[MOST_LEVELS + 1];
    int64_t kept, slot[64]; /* slots that are kept by row */
    double f, decrement;
} tree;

IK_INLINE double *column(const tree *b, int which, int64_t l)
{
    return b->t->nodes + which * b->total + b->first[l];
}

IK_INLINE double *u_at(const tree *b, int64_t l)
{
    return b->t->m.u + b->first[l];
}

/* What is kept of the rows: k = 0 the fixed part, 1 eta, then the slots. */
IK_INLINE double *kept(const tree *b, int64_t k)
{
    return b->t->stored + k * b->t->m.n;
}

static double *kept_slot(const tree *b, int64_t slot)
{
    int64_t k;
    for (k = 0; k < b->kept; k++)
        if (b->slot[k] == slot)
            return kept(b, 2 + k);
    return 0;
}

/* Columns `into` of every level: the sum of scale times x over a node and all above it. */
static void shifts(const tree *b, int x, const double *u, int into)
{
    int64_t l, q;
    for (l = b->t->D - 1; l >= 0; l--) {
        double *out = column(b, into, l);
        const double *own = u ? u + b->first[l] : column(b, x, l), scale = b->theta[l];
        if (l == b->t->D - 1)
            IK_SIMD for (q = 0; q < b->t->N[l]; q++) out[q] = scale * own[q];
        else {
            const double *above = column(b, into, l + 1);
            const int64_t *parent = b->t->parent[l];
            for (q = 0; q < b->t->N[l]; q++)
                out[q] = above[parent[q]] + scale * own[q];
        }
    }
}

/* Evaluate all rows at u: f, and the sums of d1 and -d2 over the finest levels; with `third` all
 * slots are kept by row. */
static int32_t evaluate(tree *b, const double *beta, int third)
{
    const ik_model *m = &b->t->m;
    const int64_t r = m->random, slots = interlace_slots(m->K);
    block rows = prepared(m, b->theta);
    double l = 0.0, f = 0.0;
    int64_t level, i, k;
    int32_t failed;
    for (i = 0; i < b->total; i++)
        f += 0.5 * m->u[i] * m->u[i];
    shifts(b, 0, m->u, SUM);
    while (rows.first + rows.levels < m->G) {
        const double *shift = column(b, SUM, 0);
        double *IK_RESTRICT eta = rows.eta + r * m->ld;
        next_block(&rows);
        fixed_parts(&rows, beta);
        for (level = 0; level < rows.levels; level++) {
            const double moved = shift[rows.first + level];
            for (i = row(&rows, level); i < row(&rows, level + 1); i++)
                eta[i] = rows.fixed[i] + moved;
        }
        memcpy(kept(b, 0) + rows.r0, rows.fixed, rows.rows * sizeof(double));
        memcpy(kept(b, 1) + rows.r0, eta, rows.rows * sizeof(double));
        failed = evaluate_rows(&rows, m->want + (third ? slots : 0), &l);
        if (failed)
            return failed;
        for (level = 0; level < rows.levels; level++) {
            const int64_t low = row(&rows, level), high = row(&rows, level + 1);
            column(b, A, 0)[rows.first + level] = sum_of(rows.d1, low, high);
            column(b, W, 0)[rows.first + level] = -sum_of(rows.d2, low, high);
        }
        for (k = 0; k < b->kept; k++)
            if (third || (m->want + 0)[b->slot[k]])
                memcpy(kept(b, 2 + k) + rows.r0, rows.out + b->slot[k] * m->ld,
                       rows.rows * sizeof(double));
    }
    b->f = f - l;
    return 0;
}

/* Eliminate from the finest factor up, given W and A there; u NULL stands for 0. Returns 0 if some
 * h is not positive. */
static int eliminate(tree *b, const double *u)
{
    int64_t l, q;
    double decrement = 0.0;
    for (l = 0; l < b->t->D; l++) {
        double *w = column(b, W, l), *a = column(b, A, l), *h = column(b, H, l),
               *g = column(b, G, l);
        const double scale = b->theta[l];
        double worst = 1.0;
        for (q = 0; q < b->t->N[l]; q++) {
            h[q] = 1.0 + scale * scale * w[q];
            g[q] = (u ? u[b->first[l] + q] : 0.0) - scale * a[q];
            worst = h[q] > 0.0 ? worst : 0.0;
            decrement += g[q] * g[q] / h[q];
        }
        if (!(worst > 0.0))
            return 0;
        if (l + 1 < b->t->D) {
            double *w_up = column(b, W, l + 1), *a_up = column(b, A, l + 1);
            const int64_t *parent = b->t->parent[l];
            memset(w_up, 0, b->t->N[l + 1] * sizeof(double));
            memset(a_up, 0, b->t->N[l + 1] * sizeof(double));
            for (q = 0; q < b->t->N[l]; q++) {
                const double inverse = 1.0 / h[q];
                w_up[parent[q]] += w[q] * inverse;
                a_up[parent[q]] += a[q] + scale * w[q] * g[q] * inverse;
            }
        }
    }
    b->decrement = decrement;
    return decrement < INFINITY;
}

/* Solve downwards for the step of every node, into column `into`; the shift at the nodes goes to
 * SUM. */
static void come_down(const tree *b, int into)
{
    int64_t l, q;
    for (l = b->t->D - 1; l >= 0; l--) {
        const double *w = column(b, W, l), *h = column(b, H, l), *g = column(b, G, l);
        const double *above = l + 1 < b->t->D ? column(b, SUM, l + 1) : 0, scale = b->theta[l];
        const int64_t *parent = b->t->parent[l];
        double *step = column(b, into, l), *shift = column(b, SUM, l);
        for (q = 0; q < b->t->N[l]; q++) {
            const double coming = above ? above[parent[q]] : 0.0;
            step[q] = -(g[q] + scale * w[q] * coming) / h[q];
            shift[q] = coming + scale * step[q];
        }
    }
}

/* What rounding of the predictors makes: a decrement if `second` alone, else a change of f. */
static double rounding(const tree *b, int decrement)
{
    const ik_model *m = &b->t->m;
    return rounding_of_rows(m, kept(b, 0), kept(b, 1),
                            decrement ? 0 : kept_slot(b, interlace_slot(m->K, -1, -1, m->random)),
                            kept_slot(b, interlace_slot(m->K, -1, m->random, m->random)));
}

static int32_t descend(tree *b, const double *beta, int *found)
{
    const ik_model *m = &b->t->m;
    const double f = b->f, decrement = b->decrement, *step = b->t->nodes + S * b->total;
    double *before = b->t->nodes + BEFORE * b->total, length = 1.0, more = 0.0,
           noise = 1e-12 * (1.0 + fabs(f));
    int64_t halving, i;
    int32_t failed;
    *found = 0;
    if (decrement <= ROUNDING_LOOKED_AT)
        more = rounding(b, 0);
    memcpy(before, m->u, b->total * sizeof(double));
    for (halving = 0; halving < m->max_halvings; halving++) {
        for (i = 0; i < b->total; i++)
            m->u[i] = before[i] + length * step[i];
        failed = evaluate(b, beta, decrement < 1e-2);
        if (failed)
            return failed;
        if (b->f <= f - 1e-4 * length * decrement + noise ||
            (decrement <= ROUNDING_LOOKED_AT && length == 1.0 && b->f <= f + noise + more)) {
            *found = 1;
            return 0;
        }
        noise += length == 1.0 ? more : 0.0;
        length *= 0.5;
    }
    return 0;
}

static int32_t find_mode(tree *b, const double *beta, int64_t *iterations)
{
    const ik_model *m = &b->t->m;
    int third = 1, found, moved = 0;
    int64_t iteration, i;
    int32_t failed = evaluate(b, beta, third);
    if (failed)
        return failed;
    if (!(fabs(b->f) < INFINITY)) {
        for (i = 0; i < b->total; i++) {
            moved |= m->u[i] != 0.0;
            m->u[i] = 0.0;
        }
        failed = moved ? evaluate(b, beta, third) : 1;
        if (failed || !(fabs(b->f) < INFINITY))
            return failed ? failed : 1;
    }
    for (iteration = 1; iteration <= m->max_iterations; iteration++) {
        if (!eliminate(b, m->u))
            return 1;
        come_down(b, S);
        if (b->decrement <= m->tol ||
            (b->decrement <= ROUNDING_LOOKED_AT && b->decrement <= rounding(b, 1))) {
            *iterations = iteration;
            return third ? 0 : evaluate(b, beta, 1);
        }
        third = b->decrement < 1e-2;
        failed = descend(b, beta, &found);
        if (failed || !found)
            return failed ? failed : 1;
    }
    return 1;
}

/* log|H| / 2, its direct slope in theta, and in V how it moves with the weight of each finest
 * level: the recursion backwards. */
static double half_log_det(const tree *b, double *dtheta)
{
    double total = 0.0;
    int64_t l, q;
    for (l = b->t->D - 1; l >= 0; l--) {
        const double *w = column(b, W, l), *h = column(b, H, l), scale = b->theta[l];
        const double *above = l + 1 < b->t->D ? column(b, V, l + 1) : 0;
        const int64_t *parent = b->t->parent[l];
        double *slope = column(b, V, l), direct = 0.0;
        for (q = 0; q < b->t->N[l]; q++) {
            const double coming = above ? above[parent[q]] : 0.0, inverse = 1.0 / h[q];
            total += 0.5 * ik_log(h[q]);
            direct += scale * w[q] * inverse * (1.0 - 2.0 * w[q] * coming * inverse);
            slope[q] = coming * inverse * inverse + 0.5 * scale * scale * inverse;
        }
        dtheta[l] += direct;
    }
    return total;
}

/* dtheta_l += sum over nodes of (sum of x over their rows) times y, x given for the finest. */
static void add_products(const tree *b, int x, int y, const double *u, double *dtheta)
{
    int64_t l, q;
    for (l = 0; l < b->t->D; l++) {
        double *sums = column(b, x, l), total = 0.0;
        const double *each = u ? u + b->first[l] : column(b, y, l);
        for (q = 0; q < b->t->N[l]; q++)
            total += sums[q] * each[q];
        dtheta[l] += total;
        if (l + 1 < b->t->D) {
            double *up = column(b, x, l + 1);
            memset(up, 0, b->t->N[l + 1] * sizeof(double));
            for (q = 0; q < b->t->N[l]; q++)
                up[b->t->parent[l][q]] += sums[q];
        }
    }
}

/* Gradient at the mode, and what the undone step still changes the value by. */
static double gradient(tree *b, double *dtheta, double *dbeta)
{
    const ik_model *m = &b->t->m;
    const int64_t K = m->K, r = m->random, n = m->n;
    double *d1 = kept_slot(b, interlace_slot(K, -1, -1, r));
    double *d2 = kept_slot(b, interlace_slot(K, -1, r, r));
    double *d3 = kept_slot(b, interlace_slot(K, r, r, r)), *moved = kept(b, 1), *lever = kept(b, 0);
    double value = half_log_det(b, dtheta) - 0.5 * b->decrement;
    int64_t q, i, k, j;
    shifts(b, S, 0, SUM); /* of the step that the search left undone */
    /* how log|H| / 2 moves with eta, lever d3 by row, and its sums by finest level in A */
    for (q = 0; q < m->G; q++) {
        const double each = -column(b, V, 0)[q];
        double total = 0.0;
        for (i = m->starts[q]; i < m->starts[q + 1]; i++) {
            lever[i] = each;
            d3[i] *= each;
            total += d3[i];
        }
        value += total * column(b, SUM, 0)[q];
        column(b, A, 0)[q] = total;
    }
    eliminate(b, 0);
    come_down(b, V);
    for (q = 0; q < m->G; q++) {
        const double shift = column(b, SUM, 0)[q];
        double scores = 0.0, slopes = 0.0;
        for (i = m->starts[q]; i < m->starts[q + 1]; i++) {
            const double score = d3[i] - d1[i] + d2[i] * shift;
            slopes += d1[i];
            moved[i] = shift;
            d1[i] = score;
            scores += score;
        }
        column(b, S, 0)[q] = scores;
        column(b, G, 0)[q] = slopes;
    }
    add_products(b, S, 0, m->u, dtheta);
    add_products(b, G, V, 0, dtheta);
    for (k = 0; k < K; k++) {
        const ik_predictor *p = m->predictors + k;
        double *score = d1;
        if (!p->p)
            continue;
        if (k != r) {
            const double *IK_RESTRICT cross =
                kept_slot(b, interlace_slot(K, -1, k < r ? k : r, k < r ? r : k));
            const double *IK_RESTRICT third =
                kept_slot(b, k < r ? interlace_slot(K, k, r, r) : interlace_slot(K, r, r, k));
            double *IK_RESTRICT own = kept_slot(b, interlace_slot(K, -1, -1, k));
            IK_SIMD for (i = 0; i < n; i++) own[i] =
                lever[i] * third[i] + cross[i] * moved[i] - own[i];
            score = own;
        }
        for (j = 0; j < p->p; j++)
            dbeta[j] = dot(p->X + j * n, score, n);
        dbeta += p->p;
    }
    return value;
}

static tree tree_of(const ik_tree *t, const double *theta)
{
    const ik_model *m = &t->m;
    const int64_t slots = interlace_slots(m->K);
    tree b;
    int64_t l, s;
    memset(&b, 0, sizeof b);
    b.t = t;
    b.theta = theta;
    for (l = 0; l < t->D; l++) {
        b.first[l] = b.total;
        b.total += t->N[l];
    }
    what_is_wanted(m);
    for (s = 1; s < slots && b.kept < 64; s++)
        if (m->want[slots + s])
            b.slot[b.kept++] = s;
    return b;
}

/* 0, or why there is no value, as for ik_laplace. */
IK_EXPORT int32_t ik_nested(const ik_tree *t, const double *theta, const double *beta,
                            double *value, double *dtheta, double *dbeta, int64_t *iterations)
{
    tree b = tree_of(t, theta);
    int64_t l;
    int32_t failed;
    for (l = 0; l < t->D; l++)
        dtheta[l] = 0.0;
    *iterations = 0;
    failed = find_mode(&b, beta, iterations);
    if (failed)
        return failed;
    *value = b.f + gradient(&b, dtheta, dbeta);
    return fabs(*value) < INFINITY ? 0 : 2;
}

/* Add X'WX of all rows at the mode, and write Z'Wx of each column by finest level, P x G. */
static int32_t curvature_of_rows(const tree *b, const double *beta, double *sums,
                                 double *information)
{
    const ik_model *m = &b->t->m;
    const int64_t r = m->random, P = coefficients(m);
    uint8_t *want = m->want + 2 * interlace_slots(m->K);
    block rows = prepared(m, b->theta);
    double unused = 0.0;
    int64_t level, k, j, place;
    want_curvature(m, want);
    while (rows.first + rows.levels < m->G) {
        double *product = rows.zd;
        int32_t failed;
        next_block(&rows);
        fixed_parts(&rows, beta);
        memcpy(rows.eta + r * m->ld, kept(b, 1) + rows.r0, rows.rows * sizeof(double));
        failed = evaluate_rows(&rows, want, &unused);
        if (failed)
            return failed;
        add_curvature(&rows, P, product, information);
        for (k = place = 0; k < m->K; k++)
            for (j = 0; j < m->predictors[k].p; j++, place++) {
                column_times(&rows, m->predictors + k, j, second(&rows, k, r), product);
                for (level = 0; level < rows.levels; level++)
                    sums[place * m->G + rows.first + level] =
                        -sum_of(product, row(&rows, level), row(&rows, level + 1));
            }
    }
    return 0;
}

/* Information at the mode, as `ik_information`; effects by factor, one after the other. A column x
 * of X is what its effects leave of it: their shift comes down as a Newton step does. `work` has
 * P x G numbers. */
IK_EXPORT int32_t ik_nested_information(const ik_tree *t, const double *theta, const double *beta,
                                        double *work, double *information, double *effects)
{
    const ik_model *m = &t->m;
    const int64_t P = coefficients(m);
    tree b = tree_of(t, theta);
    int64_t steps = 0, l, q, i, j;
    int32_t failed = find_mode(&b, beta, &steps);
    if (failed)
        return failed;
    memset(effects, 0, (size_t)b.total * sizeof(double));
    memcpy(effects, column(&b, W, 0), (size_t)m->G * sizeof(double));
    for (l = 0; l + 1 < t->D; l++)
        for (q = 0; q < t->N[l]; q++)
            effects[b.first[l + 1] + t->parent[l][q]] += effects[b.first[l] + q];
    memset(information, 0, (size_t)(P * P) * sizeof(double));
    failed = curvature_of_rows(&b, beta, work, information);
    if (failed)
        return failed;
    for (j = 0; j < P; j++) {
        memcpy(column(&b, A, 0), work + j * m->G, (size_t)m->G * sizeof(double));
        if (!eliminate(&b, 0))
            return 1;
        come_down(&b, V);
        for (i = 0; i <= j; i++)
            information[i * P + j] -= dot(work + i * m->G, column(&b, SUM, 0), m->G);
    }
    mirror_square(P, information);
    return 0;
}
