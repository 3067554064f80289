"""The accuracy report: right where Laplace is exact, poor where it is known to be poor."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.diagnostics.approximation_error import finer_approximation
from interlace.inference.accuracy import independent_parts, sample_likelihood
from interlace_approximations.laplace import Laplace
from interlace_core.messages.errors import ConvergenceWarning, UnsupportedModelError
from reference_fits import load_data, load_fit


@pytest.fixture(scope="module")
def cbpp():
    return interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", load_data("cbpp"), "binomial"
    )


def test_report_by_quadrature_gives_the_exact_log_likelihood(cbpp):
    found = cbpp.accuracy()
    checks = load_fit("cbpp_logit_lme4")["extras"]["checks"]
    # by another quadrature, at lme4's estimates: the value there is flat to 1e-5
    assert found.loglik_better == pytest.approx(checks["logLik_independent_agq25"], abs=2e-5)
    assert "fine" in found.verdict and found.largest_move < 0.05
    exact = interlace.glmer(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)",
        load_data("cbpp"),
        "binomial",
        nAGQ=25,
    )
    moves = np.abs(exact.fit.psi - cbpp.fit.psi) / np.sqrt(np.diag(cbpp.fit.vcov))
    assert found.largest_move == pytest.approx(moves.max(), abs=1e-3)


@pytest.fixture(scope="module")
def pairs():
    """Binary pairs with a large variance: what Laplace's approximation is known to be bad at."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(60), 2)
    mu = 1 / (1 + np.exp(-3 * rng.normal(size=60)[g]))
    return interlace.glmer(
        "y ~ 1 + (1 | g)", pd.DataFrame({"g": g, "y": rng.binomial(1, mu)}), "binomial"
    )


def test_report_advises_quadrature_where_laplace_is_poor_and_the_summary_says_so(pairs, cbpp):
    found = pairs.accuracy()
    assert "Use nAGQ=" in found.verdict and found.move_of == "theta_1"
    assert found.difference < -1.0
    assert "approximation is poor" in str(pairs.summary())
    assert "approximation is poor" not in str(cbpp.summary())


@pytest.mark.parametrize("split", [True, False])
def test_sampled_likelihood_is_that_of_quadrature(cbpp, split):
    problem, psi = cbpp.training.problem, cbpp.fit.psi
    exact = -finer_approximation(problem, 25).objective(problem)(psi).value
    rng = np.random.default_rng(1)
    parts = independent_parts(problem) if split else [problem]
    assert len(parts) == (15 if split else 1)
    found = [sample_likelihood(part, psi, 200, rng) for part in parts]
    total = sum(each.loglik for each in found)
    error = np.sqrt(sum(each.error**2 for each in found))
    assert abs(total - exact) < 4 * error and error < 0.12
    # the approximation itself is off by 0.04: seen in one group's likelihood at many draws
    assert min(each.effective_share for each in found) > 0.3


def test_report_by_sampling_is_fine_where_the_approximation_is_exact():
    """A linear model's likelihood is Laplace's; here with two columns of random effects."""
    fit = interlace.glmer("Reaction ~ Days + (Days | Subject)", load_data("sleepstudy"), "gaussian")
    found = fit.accuracy(n=200)
    assert abs(found.difference) < 4 * found.error and "fine" in found.verdict
    crossed = interlace.glmer(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", load_data("Penicillin"), "gaussian"
    )
    assert len(independent_parts(crossed.training.problem)) == 1
    whole = crossed.accuracy(n=200)
    assert abs(whole.difference) < 4 * whole.error or "No verdict" in whole.verdict


def test_report_refuses_what_has_no_approximation():
    fit = interlace.glmer("y ~ 1", pd.DataFrame({"y": [1.0, 2.0, 4.0]}), "poisson")
    with pytest.raises(UnsupportedModelError, match="no random effects"):
        fit.accuracy()


def of_a_logarithmic_series(seed, **options):
    """Return a fit of counts that do not depend on the mean of a truncated NB1 that tends to 0.

    A group's density is then flat towards one side, its curvature at the mode can vanish, and
    Laplace's approximation rises beyond bounds, while the likelihood has its maximum at a
    variance of 0.
    """
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"y": rng.logseries(0.7, size=300), "g": np.repeat(np.arange(30), 10)})
    family = "truncated_negativebinomial1"
    return interlace.glmer("y ~ 1 + (1 | g)", data, family, **options), interlace.glmer(
        "y ~ 1", data, family
    )


class Alone(Laplace):
    """Laplace's approximation without a stand-in for what has lost a mode."""

    def bounded(self, problem):
        return None


def test_search_that_followed_laplace_error_is_told_so():
    with pytest.warns(ConvergenceWarning):
        fit, without = of_a_logarithmic_series(2, approximation=Alone())
    assert not fit.converged
    assert any("followed the approximation's error" in note for note in fit.notes)
    exact, _ = of_a_logarithmic_series(2, nAGQ=25)
    assert exact.converged
    assert exact.theta == 0.0
    assert not any("approximation's error" in note for note in exact.notes)
    assert exact.llf == pytest.approx(without.llf, abs=1e-6)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_stand_in_ends_at_the_maximum_beside_a_rise_without_end(seed):
    """No optimum is claimed of an approximation that rises from there."""
    with pytest.warns(ConvergenceWarning, match="bounded stand-in"):
        fit, without = of_a_logarithmic_series(seed)
    assert not fit.converged and "nAGQ" in fit.status
    assert fit.theta == 0.0
    assert fit.llf == pytest.approx(without.llf, abs=1e-6)
    assert any(-each.value > fit.llf + 2.0 for each in fit.fit.searches), (
        "which rises beyond bounds"
    )


def test_a_note_that_nobody_has_read_yet_is_kept(tmp_path):
    with pytest.warns(ConvergenceWarning):
        fit, _ = of_a_logarithmic_series(2, approximation=Alone())
    small = fit.without_training()
    fit.save(tmp_path / "fit.interlace", data=False)
    again = interlace.load(tmp_path / "fit.interlace")
    assert any("followed the approximation's error" in note for note in small.notes)
    assert small.notes == again.notes == fit.notes
