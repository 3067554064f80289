"""One search is not enough where it ends in doubt; what the data do not determine is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.calculus.links import Identity, Log
from interlace_core.contract.approximation import Approximation
from interlace_core.contract.family import Family, Parameter
from interlace_core.fitting.verdict import Verdict, with_undetermined
from interlace_core.messages.errors import ConvergenceWarning, NumericalError
from interlace_core.records import Evaluation

LIMITS = Path(__file__).parent / "reference" / "limits"


def model(number):
    return pd.read_csv(LIMITS / f"model_{number}.csv")


SEVERAL_OPTIMA = {
    # glmmTMB 1.1.5, and brute force for the first: its second optimum is 154 lower, at the limit
    # of the logarithmic series
    "446": (
        ("y ~ x + (1 | g)", "hurdle_negativebinomial1", {}),
        -951.5386,
    ),
    # glmmTMB: zeros by the zero part of one level only
    "164": (
        ("y ~ x + (1 | g)", "zeroinflated_negativebinomial1", {"ziformula": "~ f"}),
        -92.1232,
    ),
    # the variance is 0, so that Laplace is exact; glmmTMB ends at the other one, -358.1889
    "39": (
        ("y ~ x + f + z + (1 | g)", "zeroinflated_negativebinomial", {"ziformula": "~ x"}),
        -358.0104,
    ),
}


@pytest.mark.parametrize("number", SEVERAL_OPTIMA)
@pytest.mark.parametrize("more", [{}, {"start": {"theta": [1.0]}}], ids=["alone", "start"])
def test_fit_ends_at_the_highest_of_several_optima(number, more):
    (formula, family, further), right = SEVERAL_OPTIMA[number]
    fit = interlace.glmer(formula, model(number), family, **further, **more)
    assert fit.llf == pytest.approx(right, abs=2e-4)
    assert fit.converged
    if fit.fit.searches:
        assert max(-each.value for each in fit.fit.searches) == pytest.approx(fit.llf, abs=1e-6)
        assert "Searches" in str(fit.summary())
    else:
        assert number == "446"  # where the first search may end there too


def test_positive_part_of_a_hurdle_model_ends_there_too():
    data = model("446")
    fit = interlace.glmer("y ~ x + (1 | g)", data[data.y > 0], "truncated_negativebinomial1")
    # glmmTMB's truncated_nbinom1
    assert fit.llf == pytest.approx(-625.4846, abs=2e-4)


@pytest.mark.parametrize(
    ("scale", "shift"), [(1.0, 0.0), (1e9, 0.0), (1e-10, 0.0), (1.0, 1e5), (1.0, 3e6)]
)
def test_units_of_a_covariate_change_no_test(scale, shift):
    """b = 0.56222 with standard error 0.14485 is R's glmer on the column as it was drawn."""
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(10), 6), rng.normal(size=60)
    y = rng.poisson(np.exp(0.4 + 0.5 * x + 0.6 * rng.normal(size=10)[g]))
    data = pd.DataFrame({"y": y, "x": scale * x + shift, "g": g})
    fit = interlace.glmer("y ~ x + (1 | g)", data, "poisson")
    assert fit.llf == pytest.approx(-89.594832, abs=1e-6)
    assert fit.fe_params["x"] * scale == pytest.approx(0.56222, abs=6e-6)
    assert fit.fe_bse["x"] * scale == pytest.approx(0.14485, abs=6e-6)
    assert fit.status.startswith("optimum (")


def test_years_and_their_squares_have_the_tests_of_centred_years():
    """z of the square: R's glmmTMB on year - 2010 has -0.975 and 0.163."""
    rng = np.random.default_rng(20)
    n = 1500
    data = pd.DataFrame({"site": rng.integers(0, 40, n), "year": rng.integers(2000, 2020, n)})
    effect = rng.normal(0, 0.7, 40)[data["site"]]
    rate = 1 / (1 + np.exp(-(0.06 * (data["year"] - 2010) + effect)))
    data["seen"] = (rng.random(n) < rate).astype(int)
    data["count"] = rng.poisson(np.exp(0.3 + 0.04 * (data["year"] - 2010) + effect))
    for response, family, z in (("seen", "binomial", -0.975), ("count", "poisson", 0.163)):
        fit = interlace.glmer(f"{response} ~ year + I(year ** 2) + (1 | site)", data, family)
        assert (fit.fe_params / fit.fe_bse).iloc[2] == pytest.approx(z, abs=5e-4)


def underdispersed():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(20), 8)
    mean = np.exp(1.0 + 0.4 * rng.normal(size=20)[g])
    return pd.DataFrame({"y": rng.binomial(np.ceil(2 * mean).astype(int), 0.5), "g": g})


def test_parameter_at_a_limit_is_named_and_has_no_standard_error():
    fit = interlace.glmer("y ~ 1 + (1 | g)", underdispersed(), "negativebinomial")
    poisson = interlace.glmer("y ~ 1 + (1 | g)", underdispersed(), "poisson")
    assert fit.status.startswith("optimum at a limit: theta is not determined by the data")
    assert "nothing higher was found" in fit.status
    assert fit.fit.verdict.undetermined == ("theta",)
    assert fit.bse_of("theta").iloc[0] == np.inf
    assert fit.vcov().loc["theta: Intercept", "theta: Intercept"] == np.inf
    # and it does no harm to the others
    assert fit.llf == pytest.approx(poisson.llf, abs=1e-4)
    assert fit.fe_bse.iloc[0] == pytest.approx(poisson.fe_bse.iloc[0], rel=1e-4)


def test_random_starts_are_the_same_in_every_call_and_are_reported():
    data = model("164")
    call = ("y ~ x + (1 | g)", data, "zeroinflated_negativebinomial1")
    fits = [interlace.glmer(*call, ziformula="~ f", starts=3) for _ in range(2)]
    searches = [each.fit.searches for each in fits]
    assert searches[0] == searches[1]
    assert [each.origin for each in searches[0]][-3:] == [f"random start {i}" for i in (1, 2, 3)]
    with interlace.options(starts=2):
        cbpp = interlace.datasets.load("cbpp")
        one = interlace.glmer(
            "incidence / size ~ period", cbpp, "binomial", groups="herd", weights="size"
        )
    assert len(one.fit.searches) == 3
    assert "3, of which 3 ended at the highest log-likelihood" in str(one.summary())


class Counted(Family):
    """Counts whose mean is its own predictor."""

    name = "counted"
    support = "counts"
    parameters = (Parameter("mu", Identity(), role="mean"),)

    def log_density(self, y, eta):
        """Return something that is concave."""
        return -0.5 * (y - eta[0]) ** 2

    def mean(self, eta):
        """Return the mean."""
        return eta[0]


class Steps(Approximation):
    """A smooth function of one coefficient in place of a likelihood, to see where a search goes."""

    name = "steps"

    def __init__(self, value, slope):
        self.value, self.slope = value, slope

    def check(self, problem):
        """Take anything."""

    def objective(self, problem):
        """Return the function of the last entry of psi."""

        def evaluate(psi):
            gradient = np.zeros(psi.size)
            gradient[-1] = self.slope(psi[-1])
            return Evaluation(float(self.value(psi[-1])), gradient, np.zeros(0))

        return evaluate


def sigmoid(t):
    return 1.0 / (1.0 + np.exp(-np.clip(t, -700.0, 700.0)))


def fitted(approximation, **more):
    data = pd.DataFrame({"y": np.array([0.0, 1.0, 2.0, 3.0])})
    return interlace.glmer("y ~ 1", data, Counted(), approximation=approximation, **more)


def test_plateau_is_followed_to_where_the_likelihood_is_higher():
    """At the start, 1.5, slope and curvature are below 1e-28; beyond 5 it is 3 higher."""
    plateau = Steps(
        lambda b: 8.0 - 3.0 * sigmoid(20.0 * (b - 5.0)) + 0.01 * np.maximum(b - 9.0, 0.0) ** 2,
        lambda b: (
            -60.0 * sigmoid(20.0 * (b - 5.0)) * sigmoid(-20.0 * (b - 5.0))
            + 0.02 * np.maximum(b - 9.0, 0.0)
        ),
    )
    fit = fitted(plateau)
    assert fit.llf == pytest.approx(-5.0, abs=1e-6)


def test_direction_without_any_effect_is_not_an_optimum():
    with pytest.warns(ConvergenceWarning, match="not determined"):
        fit = fitted(Steps(lambda b: 8.0, lambda b: 0.0))
    assert fit.fit.verdict.status == "not determined"
    assert "coefficient 'Intercept'" in fit.status
    assert fit.fe_bse.iloc[0] == np.inf
    interval = fit.confint()
    assert np.all(np.isinf(interval[["lower", "upper"]]))


def test_likelihood_above_0_of_counts_is_refused():
    with pytest.raises(NumericalError, match="above 0, which no probability of discrete data"):
        fitted(Steps(lambda b: -5.0 + b**2, lambda b: 2.0 * b))
    # where it is so only far away, the search does not go there
    cliff = Steps(
        lambda b: 4.0 - 1e3 * sigmoid(b - 20.0) + (b - 1.0) ** 2, lambda b: 2.0 * (b - 1.0)
    )
    assert fitted(cliff).llf == pytest.approx(-4.0, abs=1e-4)


class Loud(Family):
    """Reals, whose log-density may be above 0."""

    name = "loud"
    support = "real"
    parameters = (Parameter("mu", Identity(), role="mean"), Parameter("s", Log(), fixed=1e-3))

    def log_density(self, y, eta):
        """Return the normal law's."""
        return -0.5 * ((y - eta[0]) / np.exp(eta[1])) ** 2 - eta[1] - 0.5 * np.log(2.0 * np.pi)

    def mean(self, eta):
        """Return the mean."""
        return eta[0]


def test_likelihood_above_0_of_reals_is_ordinary():
    data = pd.DataFrame({"y": np.array([0.0, 1e-3, 2e-3, 5e-3])})
    assert interlace.glmer("y ~ 1", data, Loud()).llf > 0.0


@pytest.mark.parametrize("looked", [True, False])
def test_searches_that_were_not_made_are_not_said_to_have_found_nothing(looked):
    problem = interlace.glmer("y ~ 1", underdispersed(), "poisson").training.problem
    verdict = Verdict("optimum", True, 0.0, (), "optimum (remaining gain 0)")
    found = with_undetermined(verdict, problem, np.zeros(1), np.array([True]), looked)
    assert ("nothing higher" in found.message) is looked
    assert found.undetermined == ("the coefficient 'Intercept'",)
