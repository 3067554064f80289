"""Checks of the links of a family's parameters."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from interlace_core.calculus.jets.density import differentiate
from interlace_core.calculus.links import Link
from interlace_core.contract.family import Family
from interlace_core.records import Array
from interlace_core.testing.differences import slope
from interlace_core.testing.family_sample import FamilyCase, Sample
from interlace_core.testing.verdicts import expect, expect_close

TOL_ABS_ROUND_TRIP = 1e-9
"""In units of eta, besides what rounding of mu costs where the link is flat."""

STEP = 1e-3

TOL_SAME = 1e-12
TOL_REL_DIFFERENCES = 1e-7

ADVICE = "Check the link's eta(), mu(), derivatives() and domain."


def check_links(case: FamilyCase) -> None:
    """Require `eta(mu(eta)) = eta`, a rising or falling mu, and mu inside of the link's domain."""
    for parameter in case.sample.family.parameters:
        link, eta = parameter.link, _grid(parameter.link)
        who = f"link {link.name!r} of parameter {parameter.name!r}"
        with np.errstate(all="ignore"):
            mu = np.asarray(link.mu(eta))
            back = np.asarray(link.eta(mu))
            lost = 4.0 * np.finfo(np.float64).eps * np.abs(mu / link.derivatives(eta)[1])
        use = lost < 1e-3
        expect(bool(use.any()), f"{who} to be invertible near 0", "a flat one", ADVICE)
        mu, eta = mu[use], eta[use]
        expect_close(
            back[use],
            eta,
            what=f"eta(mu(eta)) of {who} to be",
            tol=1.0,
            scale=TOL_ABS_ROUND_TRIP * (1.0 + np.abs(eta)) + lost[use],
            advice=ADVICE,
        )
        inside = (mu > link.domain[0]) & (mu < link.domain[1])
        expect(bool(inside.all()), f"mu of {who} in {link.domain}", mu[~inside][:1], ADVICE)
        steps = np.diff(mu)
        monotone = bool(np.all(steps > 0) or np.all(steps < 0))
        expect(monotone, f"{who} strictly monotone", f"steps {steps}", ADVICE)


def check_link_derivatives(case: FamilyCase) -> None:
    """Hold each derivative of mu in eta against differences of the one before."""
    for parameter in case.sample.family.parameters:
        link, eta = parameter.link, _grid(parameter.link)
        taylor = np.array([np.broadcast_to(d, eta.shape) for d in link.derivatives(eta)])
        expect_close(
            taylor[0],
            link.mu(eta),
            what=f"derivatives(eta)[0] of link {link.name!r}, mu,",
            tol=TOL_SAME,
            scale=1.0 + np.abs(taylor[0]),
            advice=ADVICE,
        )
        for order in (1, 2, 3):

            def before(x: Array, link: Link = link, order: int = order) -> Any:
                return link.derivatives(x)[order - 1]

            expect_close(
                taylor[order],
                slope(before, eta, STEP),
                what=f"derivative {order} of link {link.name!r}, by differences,",
                tol=TOL_REL_DIFFERENCES,
                scale=1.0 + np.max(np.abs(taylor[: order + 1]), axis=0),
                advice=ADVICE,
            )


def check_natural(case: FamilyCase) -> None:
    """Require every parameter on its natural scale, inside of its domain, also from jets."""
    sample = case.sample
    family, parameters = sample.family, sample.family.parameters
    values = family.natural(sample.copies()[1])
    expect(
        len(values) == len(parameters),
        f"natural() to return {len(parameters)} parameters",
        f"{len(values)}",
        "One entry per parameter, in their order.",
    )
    for k, parameter in enumerate(parameters):
        low, high = parameter.link.domain
        inside = bool(np.all((values[k] >= low) & (values[k] <= high)))
        expect(inside, f"{parameter.name} in {(low, high)}", values[k], "Check natural().")
        jet = differentiate(partial(_natural, family, k), sample.copies()[1], 1, sample.every)
        for m in sample.every:
            expect_close(
                jet.partials.get((m,), np.zeros_like(jet.value)),
                slope(partial(_natural_along, sample, k, m), sample.eta[m], STEP),
                what=f"the slope of {parameter.name} in eta[{m}], by differences,",
                tol=TOL_REL_DIFFERENCES,
                scale=1.0 + np.abs(jet.value),
                advice="natural() must work on truncated Taylor numbers: NumPy functions only.",
            )


def _natural(family: Family, k: int, eta: list[Any]) -> Any:
    return family.natural(eta)[k]


def _natural_along(sample: Sample, k: int, m: int, x: Array) -> Any:
    eta = sample.copies()[1]
    eta[m] = x
    return sample.family.natural(eta)[k]


def _grid(link: Link) -> Array:
    """Return predictors around 0, away from the ends of the link's domain."""
    low, high = link.eta_domain
    return np.linspace(max(low, -4.0), min(high, 4.0), 23)[1:-1]
