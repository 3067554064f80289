"""Whether what a structure says of itself as a sequence is what its template is."""

from __future__ import annotations

import numpy as np

from interlace_core.contract.covariance import Covariance
from interlace_core.contract.sequence import Chain
from interlace_core.records import Array
from interlace_core.testing.covariance_case import CovarianceCase, thetas_of
from interlace_core.testing.differences import gradient
from interlace_core.testing.verdicts import expect, expect_close

TOL_TEMPLATE = 1e-12

TOL_REL_DIFFERENCES = 1e-7


def check_chain(case: CovarianceCase) -> None:
    """Require of a structure that gives a chain that it is the template, with its slopes."""
    rng = np.random.default_rng(7)
    for covariance, where in case.each():
        for theta in thetas_of(covariance):
            chain = covariance.chain(theta.copy())
            if chain is None:
                continue
            _expect_form(chain, covariance.size, where)
            expect_close(
                chain.template(),
                covariance.template(theta),
                what=f"the template of chain() {where}, that of the structure,",
                tol=TOL_TEMPLATE,
                scale=1.0 + float(np.max(np.abs(covariance.template(theta)))),
                advice="chain() and template() are the same covariance, by the same root.",
            )
            weights = rng.normal(size=2 * covariance.size)
            slopes = _weighted(weights, covariance.size)

            def F(x: Array, c: Covariance = covariance, slopes: Chain = slopes) -> float:
                found = c.chain(x)
                assert found is not None
                total = slopes.scale * found.scale + slopes.carry @ found.carry
                return float(total + slopes.shocks @ found.shocks)

            expect_close(
                covariance.chain_pullback(theta, slopes),
                gradient(F, theta, 1e-4),
                what=f"chain_pullback {where}, by differences of chain(),",
                tol=TOL_REL_DIFFERENCES,
                scale=1.0 + np.abs(weights).sum(),
                advice="chain_pullback() is the transposed derivative of chain().",
            )


def _expect_form(chain: Chain, size: int, where: str) -> None:
    carry, shocks = np.asarray(chain.carry), np.asarray(chain.shocks)
    fine = carry.shape == (size - 1,) and shocks.shape == (size,)
    expect(
        fine and bool(np.all(np.isfinite(carry)) and np.all(shocks > 0.0)),
        f"a chain of {size - 1} finite carries and {size} shocks greater than 0 {where}",
        chain,
        "Keep shocks from 0, as by sqrt(d^2 + 1e-10).",
    )


def _weighted(weights: Array, size: int) -> Chain:
    return Chain(float(weights[0]), weights[1:size].copy(), weights[size:].copy())
