"""Whole likelihoods against the integral over each group's random effect, by SciPy's `quad`.

They need the approximations, which the tests of this distribution alone are run without.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.covariances import Unstructured
from interlace_proportions.beta import BetaFamily
from interlace_proportions.betabinomial import BetaBinomialFamily
from interlace_proportions.ordered_beta import OrderedBetaFamily
from interlace_proportions.zero_one_inflated import ZeroOneInflatedBetaFamily

approximations = pytest.importorskip("interlace_approximations.agq")
laplace = pytest.importorskip("interlace_approximations.laplace")
scipy_optimizers = pytest.importorskip("interlace_scipy.lbfgsb")

GROUPS, ROWS = 12, 10
TRUE = {
    "beta": (BetaFamily(), (0.3, 2.0)),
    "betabinomial": (BetaBinomialFamily(), (0.3, 2.0)),
    "zerooneinflated_beta": (ZeroOneInflatedBetaFamily(), (0.3, 2.0, -1.0, -1.5)),
    "ordered_beta": (OrderedBetaFamily(), (0.3, 2.0, -1.2, 1.1)),
}
PARAMETERS = [
    ("beta", {}),
    ("betabinomial", {}),
    ("zerooneinflated_beta", {}),
    ("ordered_beta", {}),
    ("zerooneinflated_beta", {"p1": "~ x"}),
    ("ordered_beta", {"phi": "~ x"}),
]


def simulated(name):
    """Return data with a random intercept of standard deviation 0.7 and a slope of 0.5."""
    rng = np.random.default_rng(21)
    family, constants = TRUE[name]
    n = GROUPS * ROWS
    data = pd.DataFrame({"g": np.repeat(np.arange(GROUPS), ROWS).astype(str)})
    data["x"] = rng.normal(size=n)
    eta = [np.full(n, value) for value in constants]
    eta[0] = eta[0] + 0.5 * data["x"].to_numpy() + np.repeat(rng.normal(0.0, 0.7, GROUPS), ROWS)
    data["size"] = 9.0
    if name == "betabinomial":
        trials = np.column_stack([np.arange(n) % 2, np.full(n, 9.0)])
        draws = family.bind(trials).simulate(eta, rng)
        data["y"], data["rest"] = draws[:, 0], draws[:, 1] - draws[:, 0]
    else:
        data["y"] = family.simulate(eta, rng)
    return data


def problem_of(name, parameters, term="(1 | g)"):
    left = "cbind(y, rest)" if name == "betabinomial" else "y"
    formula, family = f"{left} ~ x{' + ' + term if term else ''}", TRUE[name][0]
    request = ModelRequest(formula, simulated(name), family, parameters=parameters)
    return build_problem(request, family, covariance=lambda _: Unstructured).problem


def integrated(problem, psi):
    """Return the log-likelihood with one random intercept, one integral per group."""
    (term,) = problem.terms
    eta, sd = problem.fixed_part(psi), abs(psi[0])
    total = 0.0
    for level in range(len(term.levels)):
        rows = term.codes == level

        def joint(b, rows=rows):
            shifted = [e[rows] for e in eta]
            shifted[term.predictor] = shifted[term.predictor] + b
            density = problem.family.log_density(problem.y[rows], shifted)
            return float(np.sum(density)) - 0.5 * (b / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))

        grid = np.linspace(-6.0 * sd, 6.0 * sd, 241)
        values = [joint(b) for b in grid]
        top, at = max(values), grid[int(np.argmax(values))]
        mass = integrate.quad(
            lambda b, top=top, joint=joint: np.exp(joint(b) - top),
            -10.0 * sd,
            10.0 * sd,
            points=[at],
            limit=200,
            epsabs=1e-12,
            epsrel=1e-10,
        )[0]
        total += top + np.log(mass)
    return total


def fitted(problem, approximation):
    from interlace_core.fitting.fit import fit_problem

    fit = fit_problem(problem, approximation, scipy_optimizers.LBFGSB())
    assert fit.verdict.converged
    return fit


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
def test_quadrature_is_the_integral(name, parameters):
    problem = problem_of(name, parameters)
    fit = fitted(problem, approximations.AdaptiveGaussHermite(25))
    assert fit.psi[0] > 0.2
    assert -fit.value == pytest.approx(integrated(problem, fit.psi), abs=1e-5)


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS)
def test_laplace_is_near_the_integral(name, parameters):
    """Laplace's error is of order 1 / rows in each group; here below 0.01 each."""
    problem = problem_of(name, parameters)
    fit = fitted(problem, laplace.Laplace())
    assert -fit.value == pytest.approx(integrated(problem, fit.psi), abs=0.01 * GROUPS)


def test_random_effects_on_the_probability_of_zero():
    problem = problem_of("zerooneinflated_beta", {"p0": "~ 1 + (1 | g)"}, term="")
    psi = np.concatenate([[0.8], [0.3, 0.5, 2.0, -1.0, -1.5]])
    value = approximations.AdaptiveGaussHermite(25).objective(problem)(psi).value
    assert -value == pytest.approx(integrated(problem, psi), abs=1e-5)


def test_shares_of_zero_and_one_are_their_estimates():
    """The likelihood of p0 and p1 is that of the three counts, whatever the beta part."""
    data = simulated("zerooneinflated_beta")
    problem = problem_of("zerooneinflated_beta", {})
    fit = fitted(problem, laplace.Laplace())
    eta = [np.array(v) for v in (*fit.psi[1:2], *fit.psi[-3:])]
    p0, p1, _ = problem.family.probabilities(eta)
    assert p0 == pytest.approx(np.mean(data["y"] == 0), abs=1e-6)
    assert p1 == pytest.approx(np.mean(data["y"] == 1), abs=1e-6)


@pytest.mark.parametrize("name", sorted(TRUE))
def test_refits_of_simulated_data_recover_the_parameters(name):
    problem = problem_of(name, {})
    fit = fitted(problem, laplace.Laplace())
    true = np.array([0.7, TRUE[name][1][0], 0.5, *TRUE[name][1][1:]])
    z = (fit.psi - true) / np.sqrt(np.diagonal(fit.vcov))
    assert np.abs(z).max() < 4.0, z


def test_the_result_reports_the_shares():
    interlace = pytest.importorskip("interlace")
    data = simulated("zerooneinflated_beta")
    result = interlace.glmer("y ~ x + (1 | g)", data, "zerooneinflated_beta")
    share = np.mean(data["y"] == 0)
    error = np.sqrt(share * (1.0 - share) / len(data))
    assert result.family_params.loc["p0", "value"] == pytest.approx(share, abs=1e-6)
    assert result.family_params.loc["p0", "se"] == pytest.approx(error, rel=1e-3)
    assert result.predict(type="zero").to_numpy() == pytest.approx(share, abs=1e-6)
