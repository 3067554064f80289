"""What variance parameters do to the marginal covariance of the rows, by action on vectors.

`V = sum_t Z_t (K_t x Sigma_t) Z_t' + R`. Its derivatives `M_j` are never formed: `M_j v` takes sums
over levels. Matrices are linearly dependent where their actions on enough random vectors are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.incidence import Covariates, Incidence, times_effects
from interlace_core.contract.problem import Predictor, RandomTerm
from interlace_core.contract.row_correlation import RowCorrelation
from interlace_core.engine.elimination.chain import ChainRoot
from interlace_core.records import Array, IntArray

TOL_REL_DEPENDENT = 1e-9
"""Singular value, relative to the largest, that counts as 0 among actions of unit length. Rounding
and differences of templates leave 1e-12; two rows among a million that share a level leave 1e-6."""

TOL_REL_COLLINEAR = 1e-11
"""Share of a column that is left of it beside those before it, below which nothing is: rounding
leaves 1e-15, a year 1e8 spreads away from 0 leaves 1e-8."""

STEP = 1e-3
"""Of the differences of templates: their error of fourth order is below 1e-12, as is rounding."""

PROBES = (2, 4, 8, 16, 32)
"""Random vectors in use when dependence is judged; it is believed when two numbers agree."""


@dataclass(frozen=True)
class Dependence:
    """Combinations of slopes that vanish.

    Attributes
    ----------
    terms : ndarray, shape (J, a)
        Of the slopes of the random effects alone, a basis.
    both : ndarray, shape (J, b)
        Of those that mix them with the slopes of the residuals, a basis; their part in the former.
    """

    terms: Array
    both: Array


MANY_COLUMNS, FEW_SLOPES = 64, 4
"""Columns from which products with whole matrices, c^3 each, are avoided where slopes are few."""


class TermSlopes:
    """`Z (K x D_j) Z' v` for the directions D_j in which a term's covariance moves.

    Parameters
    ----------
    term : RandomTerm
    rows : ndarray of intp, shape (m,)
        Rows in use.
    """

    def __init__(self, term: RandomTerm, rows: IntArray) -> None:
        codes = term.codes[rows]
        present = np.bincount(codes) > 0
        levels = np.flatnonzero(present)
        self.size = levels.size
        self.codes = codes if np.all(present) else (np.cumsum(present) - 1)[codes]
        self.root = None if term.relation is None else term.relation.root[levels]
        self.Z: Covariates = term.Z[rows]
        self.D: Sequence[Array | Direction]
        c = term.covariance.size
        if term.covariance.n_theta == c * (c + 1) // 2:
            # whatever the units and the origin of the covariates: all covariances are possible
            self.Z, self.D = orthonormal(np.asarray(self.Z)), _symmetric(c)
        else:
            self.D = _directions(term.covariance)

    def act(self, v: Array) -> Array:
        """Return the actions on v, shape (m, J)."""
        sums = self._sums(v)
        if self.root is not None:
            sums = self.root @ (self.root.T @ sums)
        moved = [times_effects(self.Z, (sums @ D).T, self.codes) for D in self.D]
        return np.stack(moved, axis=1) if moved else np.zeros((v.size, 0))

    def _sums(self, v: Array) -> Array:
        """Return Z'v of each level, shape (L, c)."""
        Z, L = self.Z, self.size
        if not isinstance(Z, Incidence):
            return np.stack([np.bincount(self.codes, z * v, L) for z in Z.T], axis=1)
        sums: Array = np.bincount(Z.cells(self.codes, L), Z.z * v, Z.size * L)  # type: ignore[assignment]
        return sums.reshape(Z.size, L).T


class ResidualSlopes:
    """Slopes of the residuals' covariance `S C S` in the parameters of S and C.

    Parameters
    ----------
    X : ndarray, shape (m, d)
        Design of the logarithm of the standard deviation.
    offset : ndarray, shape (m,)
        Its known part.
    correlation : RowCorrelation, optional
        Of these rows.
    """

    def __init__(self, X: Array, offset: Array, correlation: RowCorrelation | None = None) -> None:
        self.X = orthonormal(X)
        m, d = self.X.shape
        wave = self.X @ np.random.default_rng(5).normal(size=d) * np.sqrt(m / max(d, 1))
        centred = offset - np.mean(offset) + 0.3 * (wave - np.mean(wave))
        self.sd = np.exp(np.clip(centred, -50.0, 50.0))
        self.correlation = correlation
        if correlation is not None:
            start = correlation.structure.start(correlation.largest)
            links = [each.link for each in correlation.parameters]
            # away from the start, which may be special, as independence is
            values = [float(link.mu(eta + 0.5)) for link, eta in zip(links, start, strict=True)]
            matrix, slopes = correlation.structure.matrix, correlation.structure.slopes
            self.C = [matrix(batch.times, values) for batch in correlation.batches]
            self.dC = [slopes(batch.times, values) for batch in correlation.batches]

    def act(self, v: Array) -> Array:
        """Return the actions on v, shape (m, d), or (m, d + r) with r parameters of C."""
        if self.correlation is None:
            return np.asarray(self.X * (np.square(self.sd) * v)[:, None])
        moved = self.X * self._act(self.C, v)[:, None]
        moved += np.stack([self._act(self.C, x * v) for x in self.X.T], axis=1)
        r = len(self.dC[0])
        return np.column_stack(
            [moved, *(self._act([dC[j] for dC in self.dC], v) for j in range(r))]
        )

    def _act(self, blocks: Sequence[Array], v: Array) -> Array:
        assert self.correlation is not None
        found = np.zeros_like(v)
        for batch, C in zip(self.correlation.batches, blocks, strict=True):
            inner = (self.sd * v)[batch.rows]
            found[batch.rows] = np.einsum("gij,gj->gi", C[batch.pattern], inner)
        return np.asarray(self.sd * found)


def dependence(
    terms: Sequence[TermSlopes], residual: ResidualSlopes | None, m: int, fixed: Array | None = None
) -> Dependence:
    """Return which combinations of slopes vanish, within rounding.

    Parameters
    ----------
    terms : sequence of TermSlopes
    residual : ResidualSlopes, optional
    m : int
        Number of rows.
    fixed : ndarray, shape (m, p), optional
        Fixed effects, where only contrasts free of them count (a restricted likelihood).
    """
    project = _Contrasts(fixed)
    rng = np.random.default_rng(17)
    sources: list[TermSlopes | ResidualSlopes] = [*terms, *([residual] if residual else [])]
    J = sum(len(term.D) for term in terms)
    R = scale = None
    before: tuple[int, int] | None = None
    for stop, start in zip(PROBES, (0, *PROBES), strict=False):
        for _ in range(start, stop):
            v = project(rng.normal(size=m))
            moved = project(np.column_stack([each.act(v) for each in sources]))
            if scale is None:
                norms = np.linalg.norm(moved, axis=0)
                largest = np.max(norms, initial=0.0)
                scale = np.where(norms > TOL_REL_DEPENDENT * largest, norms, np.inf)
            more = moved / scale if R is None else np.vstack([R, moved / scale])
            R = np.asarray(np.linalg.qr(more, "r"))
        assert R is not None
        found = _split(R, J)
        now = (found.terms.shape[1], found.both.shape[1])
        if now == (0, 0) or now == before:
            break
        before = now
    return found


def orthonormal(X: Array) -> Array:
    """Return an orthonormal basis of the columns in their order, 0 where a column adds none."""
    largest = np.max(np.abs(X), axis=0, initial=0.0)
    if X.shape[1] == 1 and largest[0] > 0.0:
        unit = X / largest
        return np.asarray(unit / np.linalg.norm(unit))
    Q, R = np.linalg.qr(X / np.where(largest > 0.0, largest, 1.0))
    Q = np.column_stack([Q, np.zeros((len(X), X.shape[1] - Q.shape[1]))])
    left = np.zeros(X.shape[1])
    left[: len(R)] = np.abs(np.diagonal(R))
    Q[:, left <= TOL_REL_COLLINEAR * np.linalg.norm(R, axis=0)] = 0.0
    return Q


class _Contrasts:
    """Takes fixed effects out of vectors."""

    def __init__(self, X: Array | None) -> None:
        self.Q = None if X is None or not X.shape[1] else orthonormal(X)

    def __call__(self, v: Array) -> Array:
        if self.Q is None:
            return v
        for _ in range(2):  # the second time removes what rounding left in the first
            v = v - self.Q @ (self.Q.T @ v)
        return v


def _split(R: Array, J: int) -> Dependence:
    """Return the null vectors of all columns by whether they need those beyond the first J."""
    own = _null(R[:, :J])
    other = _null(R[:, J:])
    both = _null(R)
    for columns, known in ((slice(J), own), (slice(J, None), other)):
        both[columns] -= known @ (known.T @ both[columns])
    left, size, _ = np.linalg.svd(both, full_matrices=False)
    return Dependence(own, left[:, size > 1e-6][:J])


def _null(R: Array) -> Array:
    """Return an orthonormal basis of the vectors that R takes to 0, shape (columns, dimension)."""
    if not R.shape[1]:
        return np.zeros((0, 0))
    _, size, right = np.linalg.svd(R)
    size = np.concatenate([size, np.zeros(R.shape[1] - size.size)])
    return np.asarray(right[size <= TOL_REL_DEPENDENT * max(float(size[0]), 1e-300)].T)


def _symmetric(c: int) -> list[Array]:
    """Return a basis of the symmetric c x c matrices, the diagonal's entry 1."""
    basis = []
    for a in range(c):
        for b in range(a + 1):
            D = np.zeros((c, c))
            D[a, b] = D[b, a] = 1.0
            basis.append(D)
    return basis


def _directions(covariance: Covariance) -> Sequence[Array | Direction]:
    """Return an orthonormal basis of the slopes of T T' in theta, at a theta like any other."""
    rng = np.random.default_rng(3)
    low, high = covariance.bounds()
    margin = 0.05 * np.minimum(high - low, 1.0)
    theta = covariance.start() + rng.normal(scale=0.05, size=covariance.n_theta)
    theta = np.clip(theta, low + margin, high - margin)
    c, n_theta = covariance.size, covariance.n_theta
    if c >= MANY_COLUMNS and n_theta <= FEW_SLOPES:
        # what they do to some vectors tells how long they are and how alike
        some = rng.normal(size=(n_theta, c))
        roots = _Roots(covariance, theta)
        seen = np.stack([np.ravel(some @ Direction(roots, e)) for e in np.eye(n_theta)])
        return [Direction(roots, row) for row in _orthonormal_mixes(seen)]
    T, dT = covariance.template(theta), _template_slopes(covariance, theta)
    halves = dT @ T.T
    slopes = (halves + halves.transpose(0, 2, 1)).reshape(len(dT), -1)
    return [each.reshape(c, c) for each in _orthonormal_mixes(slopes) @ slopes]


class _Roots:
    """`x T` and `x T'` for rows x at a theta, and their slopes; of a chain without its matrix."""

    def __init__(self, covariance: Covariance, theta: Array) -> None:
        self.theta, self.here = theta, _root(covariance, theta)
        self.near = [
            [(weight, _root(covariance, moved)) for weight, moved in _moved(theta, j)]
            for j in range(theta.size)
        ]

    def slope(self, x: Array, mix: Array, transposed: bool) -> Array:
        """Return x times the slope of T, or of T', along a mix of the thetas."""
        found = np.zeros(x.shape)
        for part, near in zip(mix, self.near, strict=True):
            for weight, root in near:
                found += part * weight * root(x, transposed)
        return found


def _root(covariance: Covariance, theta: Array) -> Callable[[Array, bool], Array]:
    """Return what makes x T, or x T', of rows x."""
    chain = covariance.chain(theta)
    if chain is None:
        T = covariance.template(theta)
        return lambda x, transposed: np.asarray(x @ (T.T if transposed else T))

    def product(x: Array, transposed: bool) -> Array:
        root, columns = ChainRoot(chain, len(x)), np.ravel(x.T)
        found = root.spread(columns) if transposed else root.gather(columns)
        return np.asarray(chain.scale * found.reshape(x.T.shape).T)

    return product


class Direction:
    """`dT T' + T dT'`, which is never formed: x @ it for rows x.

    Parameters
    ----------
    roots : _Roots
    mix : ndarray, shape (n_theta,)
        Of the slopes in each theta.
    """

    __array_ufunc__ = None  # that numpy leaves the product to it

    def __init__(self, roots: _Roots, mix: Array) -> None:
        self.roots, self.mix = roots, mix

    def __rmatmul__(self, x: Array) -> Array:
        """Return x times the slope."""
        roots, mix = self.roots, self.mix
        first = roots.here(roots.slope(x, mix, False), True)
        return first + roots.slope(roots.here(x, False), mix, True)


def _moved(theta: Array, j: int) -> Iterator[tuple[float, Array]]:
    """Yield the weights and points of a difference of fourth order in one theta."""
    for factor, weight in ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12)):
        moved = theta.copy()
        moved[j] += factor * STEP
        yield weight / STEP, moved


def _template_slopes(covariance: Covariance, theta: Array) -> Array:
    """Return dT / d theta by differences, shape (n_theta, c, c)."""
    found = np.zeros((covariance.n_theta, covariance.size, covariance.size))
    for j in range(covariance.n_theta):
        for weight, moved in _moved(theta, j):
            found[j] += weight * covariance.template(moved)
    return found


def _orthonormal_mixes(slopes: Array) -> Array:
    """Return M with M times the slopes, shape (n_theta, N), orthonormal, of their rank."""
    if not len(slopes):
        return np.zeros((0, 0))
    norms = np.linalg.norm(slopes, axis=1)
    norms = np.where(norms > 0.0, norms, 1.0)
    R = np.linalg.qr((slopes / norms[:, None]).T, "r")
    _, size, right = np.linalg.svd(R)
    kept = size > 1e-8 * size[0]
    return np.asarray(right[kept] / size[kept, None] / norms)


def log_sd(dispersions: Sequence[Predictor], rows: IntArray) -> tuple[Array, Array]:
    """Return design and offset of the logarithm of the residuals' standard deviation."""
    X = np.column_stack([each.X[rows] for each in dispersions])
    return X, np.sum([each.offset[rows] for each in dispersions], axis=0)
