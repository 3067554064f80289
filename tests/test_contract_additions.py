"""What components say beyond a fit: identities that have to hold, and where reports use them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import interlace
from interlace_core.contract import NotAvailableError
from interlace_core.engine import Conditional, ModeMemory, ModeSettings, layout_of, lowest_mode
from interlace_core.registry.registry import default_registry

ROOT = Path(__file__).parent
STRUCTURES = ("us", "diag", "homdiag", "cs", "ar1", "toep")


def structure(name, size):
    return default_registry().covariance(name)(size)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("size", [1, 2, 4])
def test_natural_parameters_are_those_of_the_covariance(name, size):
    covariance = structure(name, size)
    theta = covariance.canonical(covariance.start() + 0.3 * np.sin(np.arange(covariance.n_theta)))
    V = covariance.template(theta) @ covariance.template(theta).T
    sd = np.sqrt(np.diagonal(V))
    R = V / np.outer(sd, sd)
    columns = [f"x{k}" for k in range(size)]
    found = dict(zip(covariance.names(columns), covariance.natural(theta), strict=True))
    wanted = {"sd": sd[0]} | {f"sd(x{k})": sd[k] for k in range(size)}
    wanted |= {f"cor(x{j}, x{i})": R[i, j] for i in range(size) for j in range(i)}
    wanted |= {f"cor at distance {k}": R[k, 0] for k in range(1, size)}
    # of cs the correlation of all, of ar1 that of neighbours
    wanted |= {"cor": R[-1, -2], "rho": R[-1, -2]} if size > 1 else {}
    # ar1 keeps its precision finite at a correlation of 1 by a shock of variance 1e-10
    tol = 1e-10 if name == "ar1" else 1e-12
    assert found == pytest.approx({key: wanted[key] for key in found}, abs=tol)


FOLLOWS = {
    "us": (True, True, True),
    "diag": (False, True, True),
    "cs": (False, True, True),
    "toep": (False, True, True),
    "homdiag": (False, False, True),
    "ar1": (False, False, True),
}
"""Whether a structure is closed under a triangular factor, a diagonal one, a number."""


@pytest.mark.parametrize("name", STRUCTURES)
def test_which_changes_of_units_a_structure_follows(name):
    covariance = structure(name, 3)
    L = np.array([[2.0, 0.0, 0.0], [0.3, 1.5, 0.0], [-0.7, 0.4, 0.5]])
    changes = [covariance.rescaled(M) for M in (L, np.diag([2.0, 1.5, 0.5]), 3.0 * np.eye(3))]
    assert tuple(change is not None for change in changes) == FOLLOWS[name]


LATENT = {
    "logit": stats.logistic,
    "probit": stats.norm,
    "cloglog": stats.gumbel_l,
    "loglog": stats.gumbel_r,
    "cauchit": stats.cauchy,
}


@pytest.mark.parametrize("link", LATENT)
def test_latent_variances_are_those_of_the_distributions(link):
    family = default_registry().family("cumulative")(link=link)
    wanted = np.inf if link == "cauchit" else LATENT[link].var()
    eta = [np.zeros(3)] * len(family.parameters)
    assert family.latent_variance(eta) == pytest.approx(wanted, rel=1e-14)


def test_the_latent_variance_has_the_scale_squared():
    family = default_registry().family("cumulative")(link="probit", scaled=True)
    eta = [np.zeros(3)] * (len(family.parameters) - 1) + [np.log([1.0, 2.0, 3.0])]
    assert family.latent_variance(eta) == pytest.approx([1.0, 4.0, 9.0], rel=1e-14)


def test_the_latent_variance_of_aranda_ordaz_is_that_of_its_density():
    """lambda 1 is the logistic; another by integrating the density numerically."""
    family = default_registry().family("cumulative")(link="aranda-ordaz", scaled=True)
    log_scale, lam = 0.3, 0.4

    def density(x):
        return np.exp(x) * (1.0 + lam * np.exp(x)) ** (-1.0 / lam - 1.0)

    moments = [integrate.quad(lambda x, k=k: x**k * density(x), -60, 60)[0] for k in range(3)]
    variance = (moments[2] - moments[1] ** 2) * np.exp(2.0 * log_scale)
    assert moments[0] == pytest.approx(1.0, abs=1e-8)
    eta = [np.zeros(2)] * (len(family.parameters) - 2)
    eta += [np.full(2, log_scale), np.full(2, np.log(lam))]
    assert family.latent_variance(eta) == pytest.approx(variance, rel=1e-7)


@pytest.mark.parametrize("threshold", ["flexible", "symmetric", "equidistant"])
@pytest.mark.parametrize("categories", [2, 3, 4, 5, 6])
def test_thresholds_stand_in_for_an_intercept(threshold, categories):
    family = default_registry().family("cumulative")(threshold=threshold, categories=categories)
    T = family.design[0]
    np.testing.assert_allclose(T @ family.intercept_stand_in(), 1.0, atol=1e-13)


@pytest.fixture(scope="module")
def wine():
    folder = ROOT / "reference" / "data"
    return pd.read_csv(folder / "wine.csv")


def test_shares_of_variance_of_ordered_categories_are_on_the_latent_scale(wine):
    """R's performance::r2_nakagawa of ordinal::clmm gives 0.414 and 0.578 for the wine data."""
    fit = interlace.clmm("rating ~ temp + contact + (1 | judge)", wine)
    shares = fit.r2()
    assert shares.residual == pytest.approx(np.pi**2 / 3.0)
    assert shares.marginal == pytest.approx(0.414, abs=2e-3)
    assert shares.conditional == pytest.approx(0.578, abs=2e-3)
    assert "odds of a category above any threshold" in str(fit.explain())


def test_a_latent_scale_without_variance_has_no_shares(wine):
    fit = interlace.clmm("rating ~ temp + contact + (1 | judge)", wine, link="cauchit")
    with pytest.raises(NotAvailableError, match="no variance"):
        fit.r2()


def test_laplace_at_a_mode_that_was_found_elsewhere():
    fit = interlace.glmer(
        "incidence / size ~ period + (1 | herd)", interlace.datasets.load("cbpp"), "binomial",
        weights="size",
    )  # fmt: skip
    problem, laplace, psi = fit.training.problem, fit.training.approximation, fit.fit.psi
    layout = layout_of(problem)
    conditional, q = Conditional(layout, psi), layout.structure.q
    mode = lowest_mode(conditional, np.zeros(q), ModeSettings(), ModeMemory(q))
    value, gradient = laplace.at_mode(conditional, mode, psi)
    wanted = laplace.objective(problem)(psi)
    assert value == pytest.approx(wanted.value, rel=1e-12)
    # at the optimum the gradient is rounding; both searches end within the same tolerance
    np.testing.assert_allclose(gradient, wanted.gradient, atol=1e-7)
    assert default_registry().approximation("agq")().at_mode(conditional, mode, psi) is None


def test_only_a_restricted_likelihood_has_a_volume():
    data = interlace.datasets.load("sleepstudy")
    for method, size in (("REML", 2), ("ML", 0)):
        fit = interlace.fit("Reaction ~ Days + (Days | Subject)", data, method=method)
        volume = fit.training.approximation.restricted_volume(fit.training.problem)
        assert volume.stop - volume.start == size
        assert fit.fitted_by.restricted == bool(size)
        assert ("restricted" in str(fit.explain())) == bool(size)


QUADRATURE = {
    "a part for zeros": {"family": "poisson", "ziformula": "~ 1", "nAGQ": 5},
    "a dispersion": {"family": "negativebinomial", "nAGQ": 5},
    "the joint mode with a dispersion": {"family": "negativebinomial", "nAGQ": 0},
    "two effects": {
        "family": "poisson", "approximation": "agq-vector", "nAGQ": 3,
        "formula": "count ~ mined + (1 + mined | site)",
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::interlace_core.messages.errors.ConvergenceWarning")
@pytest.mark.parametrize("case", QUADRATURE)
def test_r_code_refuses_quadrature_that_lme4_does_not_have(case):
    arguments = {"formula": "count ~ mined + (1 | site)"} | QUADRATURE[case]
    fit = interlace.glmer(data=interlace.datasets.load("Salamanders"), **arguments)
    with pytest.raises(NotAvailableError, match="nAGQ = "):
        fit.r_code()


def test_r_code_keeps_quadrature_that_lme4_has():
    salamanders = interlace.datasets.load("Salamanders")
    fit = interlace.glmer("count ~ mined + (1 | site)", salamanders, "poisson", nAGQ=5)
    assert "glmer(" in fit.r_code() and "nAGQ = 5" in fit.r_code()
