"""What 50,000 x 20,000 sparsely crossed levels cost: exact elimination, or random probes.

    python benchmarks/stretch.py [rows a-levels b-levels]

The curvature H = Lambda' Z' W Z Lambda + I of a model with intercepts for a and b, after the
elimination of a, is the Schur complement S on b, scaled here to D_b^(1/2) (I - M'M) D_b^(1/2).
Two things are printed. First the work of a sparse Cholesky of S in minimum-degree order. Then the
error of log|S| by stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017,
https://doi.org/10.1137/16M1104974): its standard deviation, and that of its derivative in theta,
for one probe; t probes divide both by sqrt(t). W is that of the case's parameters with the
random effects at 0.
`docs/performance.md` says what follows from it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from cases import crossed
from scipy import linalg, sparse

THETA = np.array([0.7, 0.5])  # as in cases.crossed
# What is left is factorised as dense when each level has this share of the others as neighbours.
DENSE = 0.9
# Twenty steps and thirty differ by less than 1e-12 in log|S| for these designs.
LANCZOS_STEPS = 20


@dataclass(frozen=True)
class Fill:
    """The work of a sparse Cholesky factorisation.

    Attributes
    ----------
    nonzeros : int
        Of the lower triangle of the matrix, with the diagonal.
    filled : int
        Of the factor.
    operations : float
        Multiplications and additions.
    """

    nonzeros: int
    filled: int
    operations: float


def main(rows: int = 300_000, a_levels: int = 50_000, b_levels: int = 20_000) -> None:
    """Print both findings for one design."""
    C = weighted_pairs(rows, a_levels, b_levels)
    began = time.perf_counter()
    logdet = lanczos_logdet(C, THETA, probes(b_levels, 10, seed=0))
    print(f"10 probes: log|H| = {logdet:.2f} in {time.perf_counter() - began:.1f} s")
    print("one probe, standard deviations:", probe_errors(C, THETA))
    fill = count_fill(((C.T @ C) != 0).toarray())
    dense = b_levels * (b_levels + 1) // 2
    print(f"nonzeros of S: {fill.nonzeros} ({fill.nonzeros / dense:.2%} of dense)")
    print(
        f"of its factor: {fill.filled} ({fill.filled / dense:.1%}, {fill.filled / 2**27:.2f} GiB)"
    )
    print(f"operations: {fill.operations:.3g} ({fill.operations / (b_levels**3 / 3):.1%} of dense)")


def weighted_pairs(rows: int, a_levels: int, b_levels: int) -> sparse.csr_array:
    """Return Z_a' W Z_b, shape (a_levels, b_levels), of the sparsely crossed case."""
    data = crossed(rows, (a_levels, b_levels), "binomial")
    a, b = data["a"].cat.codes.to_numpy(), data["b"].cat.codes.to_numpy()
    # The variance of a binary row with the case's coefficients, the random effects at 0.
    p = 1 / (1 + np.exp(-(0.3 + 0.4 * data["x"].to_numpy())))
    shape = (a.max() + 1, b.max() + 1)
    return sparse.csr_array((p * (1 - p), (a, b)), shape=shape)


def count_fill(adjacent: np.ndarray) -> Fill:
    """Return the fill of elimination in minimum-degree order.

    Parameters
    ----------
    adjacent : ndarray of bool, shape (L, L)
        Pattern of the symmetric matrix; its diagonal does not matter. Used up.
    """
    np.fill_diagonal(adjacent, False)
    left = len(adjacent)
    degree = adjacent.sum(axis=1).astype(np.int64)
    nonzeros, filled, operations = left + int(degree.sum()) // 2, 0, 0.0
    done = np.iinfo(np.int64).max
    while left:
        pivot = int(degree.argmin())
        least = int(degree[pivot])
        if least >= DENSE * (left - 1):
            return Fill(nonzeros, filled + left * (left + 1) // 2, operations + left**3 / 3)
        clique = np.flatnonzero(adjacent[pivot])
        block = np.ix_(clique, clique)
        degree[clique] += (least - 1) - adjacent[block].sum(axis=1) - 1
        adjacent[block] = True
        adjacent[clique, clique] = False
        adjacent[clique, pivot] = adjacent[pivot] = False
        degree[pivot] = done
        filled, operations, left = filled + least + 1, operations + least**2, left - 1
    return Fill(nonzeros, filled, operations)


def scaled(C: sparse.csr_array, theta: np.ndarray) -> tuple[float, sparse.csr_array]:
    """Return log|D| and M, such that |H| = |D| |I - M'M|."""
    d_a = 1 + theta[0] ** 2 * C.sum(axis=1)
    d_b = 1 + theta[1] ** 2 * C.sum(axis=0)
    left, right = (
        sparse.diags_array(t / np.sqrt(d)) for t, d in zip(theta, (d_a, d_b), strict=True)
    )
    return float(np.log(d_a).sum() + np.log(d_b).sum()), (left @ C @ right).tocsr()


def exact_logdet(C: sparse.csr_array, theta: np.ndarray) -> float:
    """Return log|H| by a dense Cholesky factorisation of the Schur complement."""
    constant, M = scaled(C, theta)
    factor = linalg.cholesky(np.eye(M.shape[1]) - (M.T @ M).toarray())
    return constant + 2 * float(np.log(np.diag(factor)).sum())


def lanczos_logdet(C: sparse.csr_array, theta: np.ndarray, V: np.ndarray) -> float:
    """Return an estimate of log|H| from probes V of -1 and 1, shape (L, t)."""
    constant, M = scaled(C, theta)
    transposed = M.T.tocsr()
    q, before, beta = V / np.sqrt(len(V)), np.zeros(V.shape), np.zeros(V.shape[1])
    basis, alphas, betas = [], [], []
    for _ in range(LANCZOS_STEPS):
        z = q - transposed @ (M @ q) - beta * before
        alpha = (q * z).sum(axis=0)
        z -= alpha * q
        basis.append(q)
        for each in basis:
            z -= (each * z).sum(axis=0) * each
        beta = np.linalg.norm(z, axis=0)
        alphas.append(alpha)
        betas.append(beta)
        before, q = q, z / beta
    diagonals, beside = np.array(alphas).T, np.array(betas[:-1]).T
    return constant + len(V) * float(
        np.mean([log_moment(d, e) for d, e in zip(diagonals, beside, strict=True)])
    )


def log_moment(diagonal: np.ndarray, beside: np.ndarray) -> float:
    """Return e_1' log(T) e_1 of a symmetric tridiagonal T."""
    values, vectors = linalg.eigh_tridiagonal(diagonal, beside)
    return float(vectors[0] ** 2 @ np.log(values))


def probes(levels: int, count: int, *, seed: int) -> np.ndarray:
    """Return columns of -1 and 1, shape (levels, count)."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(levels, count))


def probe_errors(C: sparse.csr_array, theta: np.ndarray, *, draws: int = 10) -> dict[str, float]:
    """Return the standard deviations over single probes of log|H| / 2 and its derivatives."""
    step = 1e-4  # the same probe on both sides: smooth, so that rounding is all that is left

    def half(t: np.ndarray, seed: int) -> float:
        return lanczos_logdet(C, t, probes(C.shape[1], 1, seed=seed)) / 2

    values = [half(theta, seed) for seed in range(draws)]
    slopes = [
        [(half(theta + e, seed) - half(theta - e, seed)) / (2 * step) for e in step * np.eye(2)]
        for seed in range(draws)
    ]
    names = ("half log|H|", "its derivative in theta_a", "its derivative in theta_b")
    return dict(
        zip(
            names,
            map(float, [np.std(values, ddof=1), *np.std(slopes, axis=0, ddof=1)]),
            strict=True,
        )
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
