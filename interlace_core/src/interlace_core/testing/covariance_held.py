"""Whether what a structure offers where numbers are held is itself with these."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.records import Array
from interlace_core.testing.covariance_case import CovarianceCase, thetas_of
from interlace_core.testing.differences import gradient
from interlace_core.testing.verdicts import expect, expect_close

TOL_REL_COVARIANCE = 1e-6

TOL_REL_DIFFERENCES = 1e-7


def check_holding(case: CovarianceCase) -> None:
    """Require that `holding` has the covariances with the held number, by the numbers left."""
    rng = np.random.default_rng(9)
    for covariance, where in case.each():
        names = covariance.names([f"x{j}" for j in range(covariance.size)])
        for theta in thetas_of(covariance):
            natural = covariance.natural(theta)
            for k, name in enumerate(names):
                held = {k: float(natural[k])}
                other = covariance.holding(held, {name: held[k]})
                if other is None:
                    continue
                where_k = f"of holding({held}) {where}"
                inside = _expect_same(covariance, other, theta, k, where_k)
                dT = rng.normal(size=(covariance.size,) * 2)

                def F(x: Array, c: Covariance = other, dT: Array = dT) -> float:
                    return float(np.sum(dT * c.template(x)))

                expect_close(
                    other.pullback(inside, dT.copy()),
                    gradient(F, inside, 1e-4),
                    what=f"the pullback {where_k}, by differences of its template,",
                    tol=TOL_REL_DIFFERENCES,
                    scale=1.0 + np.abs(dT).sum(),
                    advice="pullback() is the transposed derivative of template().",
                )


def _expect_same(
    covariance: Covariance, other: Covariance, theta: Array, k: int, where: str
) -> Array:
    """Return its theta for the numbers of the structure's, after a look at what that gives."""
    natural, T = covariance.natural(theta), covariance.template(theta)
    left = np.delete(natural, k)
    columns = [f"x{j}" for j in range(covariance.size)]
    told = other.n_theta, other.names(columns), other.kinds()
    names, kinds = covariance.names(columns), covariance.kinds()
    expect(
        told == (left.size, names[:k] + names[k + 1 :], kinds[:k] + kinds[k + 1 :]),
        f"a theta, names and kinds {where} without number {k}",
        told,
        "What is held is no parameter, and is in `fixed`.",
    )
    inside = other.from_natural(left)
    S = other.template(inside)
    expect_close(
        S @ S.T,
        T @ T.T,
        what=f"the covariance {where}, that of the structure with the same numbers,",
        tol=TOL_REL_COVARIANCE,
        scale=float(np.trace(T @ T.T)) + 1e-300,
        advice="from_natural() takes the numbers that are left.",
    )
    expect_close(
        other.natural(inside),
        left,
        what=f"natural {where}, what is left of the structure's,",
        tol=TOL_REL_COVARIANCE,
        scale=1.0 + float(np.max(np.abs(natural))),
        advice="Numbers are the structure's own.",
    )
    moved = other.template(inside + 0.1)
    found = covariance.natural(covariance.nearest(moved @ moved.T))[k]
    expect_close(
        np.array([found]),
        natural[[k]],
        what=f"number {k} {where}, at another theta,",
        tol=1e-5,
        scale=1.0 + float(np.abs(natural[k])),
        advice="What is held stays, whatever theta is.",
    )
    return np.asarray(inside)
