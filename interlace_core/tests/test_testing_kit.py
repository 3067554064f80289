"""The conformance kit: a good component passes all checks, each faulty twin fails one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import twins_approximation
import twins_composition
import twins_covariance
import twins_family
import twins_laws
import twins_optimizer
from dense_laplace import DenseLaplace
from twins_family_law import DropsWeights
from twins_hurdle import Hurdle

from interlace_core.calculus.links import LINKS, LogProbability
from interlace_core.contract.family import Family, Parameter
from interlace_core.contract.optimizer import OptimizerFacts
from interlace_core.messages.errors import InterlaceError, OptionError
from interlace_core.testing import (
    ConformanceError,
    Support,
    approximation_checks,
    covariance_checks,
    family_checks,
    laws,
    optimizer_checks,
)
from interlace_core.testing.family_sample import FamilyCase
from interlace_core.testing.verdicts import shown

KITS = {
    "family": (family_checks, Hurdle, twins_family.TWINS),
    "approximation": (approximation_checks, twins_approximation.Small, twins_approximation.TWINS),
    "optimizer": (optimizer_checks, twins_optimizer.QuasiNewton, twins_optimizer.TWINS),
    "covariance": (covariance_checks, twins_covariance.Independent, twins_covariance.TWINS),
    "covariance of places": (
        partial(covariance_checks, coordinates=2),
        twins_covariance.Places,
        {
            **dict.fromkeys(dict(covariance_checks(twins_covariance.Independent)), []),
            "points are told apart": [twins_covariance.PlacesByNumber],
        },
    ),
}
TWINS = [
    pytest.param(kit, check, twin, id=f"{check}-{getattr(twin, '__name__', type(twin).__name__)}")
    for kit, (_, _, twins) in KITS.items()
    for check, faulty in twins.items()
    for twin in faulty
]


def failures(checks):
    """Return the messages of the checks that fail, by name."""
    messages = {}
    for name, check in checks:
        try:
            check()
        except ConformanceError as error:
            messages[name] = str(error)
    return messages


@pytest.mark.parametrize("kit", KITS)
def test_the_good_one_passes_all(kit):
    checks, good, _ = KITS[kit]
    assert failures(checks(good)) == {}


@pytest.mark.parametrize(("kit", "check", "twin"), TWINS)
def test_a_faulty_twin_fails_the_check_made_for_it(kit, check, twin):
    found = failures(KITS[kit][0](twin))
    assert list(found) == [check]
    who = getattr(twin, "__name__", type(twin).__name__)
    assert found[check].startswith(who)
    assert "expected" in found[check] and ", got " in found[check]
    assert found[check].endswith(".")


@pytest.mark.parametrize("kit", KITS)
def test_every_check_has_a_twin(kit):
    checks, good, twins = KITS[kit]
    # of a check that runs once per model, one model's twin stands for all
    covered = {name.partition(":")[0] for name in twins}
    assert {name.partition(":")[0] for name, _ in checks(good)} <= covered


def test_every_model_of_the_kit_is_checked():
    """On a plain dense Laplace, whose formulas share no code with the engine."""
    checks = approximation_checks(DenseLaplace)
    assert len(checks) == 48
    assert failures(checks) == {}


@pytest.mark.parametrize("family", twins_laws.KINDS)
def test_every_support_is_checked(family):
    assert failures(family_checks(family, extreme_etas=(40.0,))) == {}


@pytest.mark.parametrize("family", twins_laws.KINDS)
def test_a_lost_constant_is_found_on_every_support(family):
    found = failures(family_checks(family(lost=1e-6), extreme_etas=(40.0,)))
    assert list(found) == ["density sums to one"]


def test_checks_follow_what_a_family_offers():
    names = dict(family_checks(twins_laws.Trials))
    assert "weights equal repeated rows" not in names  # there they can be numbers of trials
    assert "variance is that of the density" not in names
    assert "cdf is that of the density" in names
    assert "domain errors name the row" not in dict(family_checks(twins_laws.OnTheLine))


@pytest.mark.parametrize("twin", twins_composition.TWINS)
def test_a_composition_is_made_of_its_parts_again(twin):
    good = twins_composition.Doubled(twins_laws.Exponential())
    assert failures(family_checks(good)) == {}
    assert "is built without arguments" not in dict(family_checks(good))
    found = failures(family_checks(twin(twins_laws.Exponential())))
    assert list(found) == ["is made of its parts again"]


def test_a_composition_offers_what_its_parts_do():
    names = dict(family_checks(twins_composition.Doubled(twins_composition.Bare())))
    assert "cdf is that of the density" not in names
    full = dict(family_checks(twins_composition.Doubled(twins_laws.Exponential())))
    assert "cdf is that of the density" in full


def test_moderate_predictors_follow_the_links_domain():
    """A square root is positive, the logarithm of a probability negative."""
    root = Parameter("mu", LINKS["sqrt"], role="mean")
    below = Parameter("mu", LogProbability(), role="mean")
    for parameter, low, high in [(root, 0.0, 3.0), (below, -3.0, 0.0)]:
        family = twins_laws.FourSteps()
        object.__setattr__(family, "parameters", (parameter,))
        eta = FamilyCase(family, Support(masses=(0.0, 1.0))).sample.eta
        assert low < eta.min() < eta.max() < high


def test_a_fixed_parameter_needs_no_dataclass():
    class Bare(Family):
        name = "bare"
        log_density, mean = Hurdle.log_density, Hurdle.mean
        parameters, _mu = Hurdle.parameters, Hurdle._mu
        check_response = Hurdle.check_response
        rate = 1.0

        def __init__(self, pi=None):
            self.pi = pi

    dict(family_checks(Bare, support="counts"))["fixed parameters"]()


def test_a_response_that_does_not_vary_may_be_refused():
    class Demanding(Hurdle):
        def bind(self, y):
            if np.ptp(y) == 0:
                raise OptionError("twin: a response that varies is expected")
            return self

    dict(family_checks(Demanding))["start is finite"]()


def test_another_error_than_the_one_expected_is_named():
    class Trips(Hurdle):
        def check_response(self, y, weights):
            if np.any(y < 0):
                raise TypeError("no negative y, please")
            return super().check_response(y, weights)

    with pytest.raises(ConformanceError, match="ResponseError.*got TypeError: no negative y"):
        dict(family_checks(Trips))["domain errors name the row"]()


def test_a_sum_over_counts_ends(monkeypatch):
    """With a mean far beyond the last count summed, the total shows what is missing."""
    monkeypatch.setattr(laws, "MAX_COUNT", 1024)
    found = failures(family_checks(Hurdle(rate=5e3), ranges={"mu": (0.0, 1.0)}))
    assert "density sums to one" in found


def test_components_are_named_by_their_options():
    assert shown(Hurdle(rate=2.0)) == "Hurdle(rate=2.0)"
    assert shown(twins_covariance.Independent(2)) == "Independent()"

    @dataclass(frozen=True)
    class WithArray(Hurdle):
        knots: np.ndarray = field(default_factory=lambda: np.arange(2))

    assert shown(WithArray()).startswith("WithArray(")
    (name, check), *_ = family_checks(Hurdle(rate=2.0))
    assert check.__name__ == "Hurdle(rate=2.0)"  # what pytest shows beside the check's name


def test_bounds_are_checked_where_they_are_supported():
    class Unbounded(twins_optimizer.QuasiNewton):
        facts = OptimizerFacts(uses_gradient=True, supports_bounds=False)

    assert "never asks outside of bounds" not in dict(optimizer_checks(Unbounded))


def test_ranges_and_domains_are_taken_from_the_author():
    checks = dict(family_checks(twins_laws.Share, ranges={"phi": (-3.0, -2.0)}))
    with pytest.raises(ConformanceError, match="density sums to one"):
        checks["density sums to one"]()  # its mass lies within rounding of 0 and 1


def test_a_message_shows_response_and_predictors():
    checks = dict(family_checks(twins_family.SloppyDerivative))
    with pytest.raises(ConformanceError, match=r"at y = \d+\.0, eta = \("):
        checks["derivatives match jets"]()


class TestExpectedFailures:
    twin = DropsWeights
    check = "weights equal repeated rows"

    def test_pass_silently_while_the_check_fails(self):
        checks = family_checks(self.twin, expected_failures={self.check: "weights are trials"})
        assert failures(checks) == {}

    def test_fail_loudly_once_the_check_passes(self):
        reason = {self.check: "weights are trials"}
        found = failures(family_checks(Hurdle, expected_failures=reason))
        assert list(found) == [self.check]
        assert "weights are trials" in found[self.check] and "stale" in found[self.check]

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_need_a_reason(self, reason):
        with pytest.raises(OptionError, match="expected a reason for 'weights equal"):
            family_checks(self.twin, expected_failures={self.check: reason})

    def test_name_a_check(self):
        with pytest.raises(OptionError, match="no check 'weihgts'.*density sums to one"):
            family_checks(self.twin, expected_failures={"weihgts": "a slip"})


def test_an_error_is_an_assertion_and_one_of_ours():
    assert issubclass(ConformanceError, AssertionError)
    assert issubclass(ConformanceError, InterlaceError)


def test_a_support_has_to_be_known():
    class Silent(Hurdle):
        support = None

    with pytest.raises(OptionError, match="support.*counts, positive counts, real"):
        family_checks(Silent)
    with pytest.raises(OptionError, match="'integers'"):
        family_checks(Silent, support="integers")
    assert family_checks(Silent, support=Support(counts_from=0))


def test_a_support_bounded_on_the_right_alone_is_refused():
    with pytest.raises(OptionError, match="mirrored"):
        Support(interval=(-np.inf, 0.0)).examples()


def test_an_optimizers_budget_has_to_be_known():
    with pytest.raises(OptionError, match="'max_steps'.*budget="):
        optimizer_checks(twins_optimizer.QuasiNewton, budget={"max_steps": 12})


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.inf, np.nan])
def test_an_approximations_tolerance_is_positive(tolerance):
    with pytest.raises(OptionError, match="exact=True"):
        approximation_checks(DenseLaplace, tol_abs_group=tolerance)


def test_the_kit_needs_no_test_framework():
    code = "import sys, interlace_core.testing; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
