"""Densities of all families with a zero part or none, with one predictor far out."""

import numpy as np
import pytest

from interlace.components import as_family
from interlace_core.families import differentiate
from interlace_core.registry.registry import default_registry
from interlace_proportions.betabinomial import BetaBinomialFamily

FAR = [-700.0, -300.0, -60.0, -40.0, -35.0, -30.0, -20.0, -10.0, 10.0, 20.0, 40.0, 300.0, 700.0]

COUNTS = ["poisson", "negativebinomial", "negativebinomial1", "negativebinomial12", "compois",
          "genpois"]  # fmt: skip
FAMILIES = [
    *(f"{part}_{base}" for part in ("truncated", "hurdle", "zeroinflated") for base in COUNTS),
    *(f"{part}_{base}" for part in ("truncated", "hurdle", "zeroinflated")
      for base in ("binomial", "betabinomial")),
    *(f"hurdle_{base}" for base in ("gamma", "inversegaussian", "lognormal", "beta")),
    "oneinflated_beta",
    "zeroinflated_tweedie",
]  # fmt: skip


def responses(family):
    if family.support in ("trials", "positive trials"):
        y = np.array([[0, 1], [1, 1], [0, 7], [1, 7], [7, 7], [1, 1000], [500, 1000]], float)
        return y if family.support == "trials" else y[y[:, 0] > 0]
    if "unit" in family.support:
        return np.array([0.0 if "0" in family.support else 1.0, 1e-6, 0.2, 0.99])
    y = np.array([0.0, 1.0, 2.0, 40.0, 1000.0])
    return y[1:] if "positive" in family.support else y


@pytest.mark.parametrize("name", FAMILIES)
def test_a_density_is_a_number_wherever_one_predictor_is(name):
    family = as_family(name, default_registry(), {}, "test")
    y = responses(family)
    family = family.bind_part(y)
    K = len(family.parameters)
    for k in range(K):
        for far in FAR:
            for other in (-2.0, 0.0, 2.0):
                eta = [np.full(len(y), far if j == k else other) for j in range(K)]
                with np.errstate(all="ignore"):
                    found = family.derivatives(y, eta, 3, tuple(range(K)))
                where = f"{family.parameters[k].name} at {far}, others {other}"
                assert not np.any(np.isnan(found.value)), where
                # an underdispersed generalised Poisson is no probability: its mass exceeds 1
                if family.is_discrete and "genpois" not in name:
                    assert np.all(found.value <= 1e-9), where
                inside = np.isfinite(found.value)
                for partial in found.partials.values():
                    assert np.all(np.isfinite(np.broadcast_to(partial, inside.shape)[inside])), (
                        where
                    )


@pytest.mark.parametrize("trials", [1, 2, 7, 60])
def test_a_beta_binomial_success_is_as_likely_as_its_product_says(trials):
    """P(Y = 0) is a product over trials of (b + j) / (phi + j)."""
    family = BetaBinomialFamily().bind_part(np.array([[0.0, trials]]))
    for eta in (-300.0, -40.0, -30.0, -10.0, -4.2, -4.0, -3.9, -1.0, 2.0):
        for log_phi in (-30.0, -5.0, 0.0, 3.0, 15.0):
            mu, phi = 1.0 / (1.0 + np.exp(-eta)), np.exp(log_phi)
            terms = np.log1p(-mu * phi / (phi + np.arange(trials)))
            at = [np.array([eta]), np.array([log_phi])]
            found = family.cloglog_positive(at)[0]
            assert found == pytest.approx(np.log(-np.sum(terms)), abs=1e-10)


def test_its_derivatives_are_those_of_differences():
    family = BetaBinomialFamily().bind_part(np.array([[0.0, 7.0]]))

    def at(place, order):
        eta = [np.array([each]) for each in place]
        return differentiate(family.cloglog_positive, eta, order, (0, 1))

    h = 1e-4
    for place in map(
        np.array, ((-30.0, 0.0), (-10.0, 2.0), (-5.0, -3.0), (-4.5, 5.0), (-1.0, 1.0))
    ):
        for key, partial in at(place, 3).partials.items():
            *rest, last = key
            step = h * np.eye(2)[last]
            values = [
                each.partials[tuple(rest)] if rest else each.value
                for each in (at(place + step, 2), at(place - step, 2))
            ]
            slope = (values[0] - values[1]) / (2 * h)
            assert partial[0] == pytest.approx(slope[0], rel=1e-6, abs=1e-7)
