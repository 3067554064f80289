"""Quadrature over correlated effects: against a grid, against GLMMadaptive, and by its refusals."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.data.problem import build_problem
from interlace.data.request import ModelRequest
from interlace_core.messages.errors import UnsupportedModelError
from interlace_core.registry.registry import default_registry
from reference_fits import coefficient_name, load_data, load_fit

INSTALLED = {each.name: each.cls for each in default_registry().classes("family")}
FAMILIES = {"binomial": "binomial", "poisson": "poisson", "negative binomial": "negativebinomial"}
REFERENCES = [
    "bacteria_agq11_mixmod",
    "binslope_agq11_mixmod",
    "epil_agq11_mixmod",
    "epil_nb2_agq11_mixmod",
    "epil_slope_agq11_mixmod",
]
STOPPED_EARLY = {"epil_agq11_mixmod", "epil_slope_agq11_mixmod"}
"""GLMMadaptive's coefficients are up to half a standard error off the optimum here: ours is 0.05
and 0.25 higher by its own log-likelihood, and for the first equals lme4's."""
TOL_SAME_POINT = 1e-4
"""At the reference's parameters, which GLMMadaptive's last nodes are not quite centred for; they
are also turned otherwise than by a Cholesky factor."""
TOL_LOGLIK = 2e-3
"""Of optima: GLMMadaptive holds its nodes between updates (the fits' notes say 1e-3)."""
TOL_COEFFICIENT = 2e-2
"""Of a standard error, for the same reason."""
TOL_STANDARD_ERROR = 1e-2
"""Relative."""
TOL_COVARIANCE = 3e-2
"""Relative to the product of standard deviations; in log-likelihood this is TOL_LOGLIK."""


def random_slopes(groups=25, rows=16, seed=11):
    """Return binary data with a correlated random intercept and slope."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=g.size)
    b = rng.normal(size=(groups, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    eta = -0.3 + 0.6 * x + b[g, 0] + b[g, 1] * x
    y = (rng.random(g.size) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return pd.DataFrame({"y": y, "x": x, "g": g})


def integrated(model, data):
    """Return the log-likelihood at a fit's estimates by a trapezium rule over both effects.

    The rule is exact to rounding for a smooth integrand that has vanished at the ends: 10 prior
    standard deviations on each side, in steps of 1/8.
    """
    T = np.linalg.cholesky(model.variance_components["g"].to_numpy())
    unit = np.linspace(-10.0, 10.0, 161)
    u0, u1 = np.meshgrid(unit, unit, indexing="ij")
    b0, b1 = T[0, 0] * u0, T[1, 0] * u0 + T[1, 1] * u1
    fixed, total = model.fe_params.to_numpy(), 0.0
    for _, rows in data.groupby("g"):
        joint = -0.5 * (u0**2 + u1**2) - np.log(2 * np.pi)
        for y, x in zip(rows["y"], rows["x"], strict=True):
            eta = fixed[0] + fixed[1] * x + b0 + b1 * x
            joint -= np.logaddexp(0.0, eta if y == 0 else -eta)
        top = joint.max()
        total += top + np.log(np.sum(np.exp(joint - top)) * (unit[1] - unit[0]) ** 2)
    return total


def test_a_random_slope_agrees_with_integration_on_a_grid():
    data = random_slopes()
    model = interlace.glmer(
        "y ~ x + (x | g)", data, "binomial", approximation="agq-vector", nAGQ=25
    )
    exact = integrated(model, data)
    assert model.converged
    assert model.llf == pytest.approx(exact, abs=1e-5)
    laplace = interlace.glmer("y ~ x + (x | g)", data, "binomial")
    assert abs(laplace.llf - exact) > 1e-2  # what quadrature is for


def formula_of(reference):
    return f"{reference['formula']} + ({reference['random'].removeprefix('~')})"


def covariance_of(reference):
    (structure,) = reference["varcor"].values()
    return np.array(structure["cov"])


@pytest.mark.parametrize("fit_id", REFERENCES)
def test_the_value_at_the_references_parameters_is_the_references(fit_id):
    reference = load_fit(fit_id)
    registry = default_registry()
    family = INSTALLED[FAMILIES[reference["family"]]]()
    request = ModelRequest(formula_of(reference), load_data(reference["dataset"]), family)
    problem = build_problem(request, family, covariance=registry.covariance).problem
    names = {coefficient_name(n, reference["factors"]): v for n, v in reference["fixef"].items()}
    T = np.linalg.cholesky(covariance_of(reference))
    psi = [*T.T[np.triu_indices_from(T)], *(names[name] for name in problem.predictors[0].names)]
    psi += list(reference.get("phis_log", {}).values())
    vector = registry.approximation("agq-vector")(points=reference["nAGQ"])
    value = vector.objective(problem)(np.array(psi)).value
    assert -value == pytest.approx(reference["logLik"], abs=TOL_SAME_POINT)


@pytest.mark.parametrize("fit_id", REFERENCES)
def test_vector_quadrature_agrees_with_the_reference(fit_id):
    reference = load_fit(fit_id)
    model = interlace.glmer(
        formula_of(reference),
        load_data(reference["dataset"]),
        INSTALLED[FAMILIES[reference["family"]]](),
        approximation="agq-vector",
        nAGQ=reference["nAGQ"],
    )
    assert model.converged
    assert model.df == reference["df"]
    assert model.llf >= reference["logLik"] - TOL_SAME_POINT
    if fit_id in STOPPED_EARLY:
        return
    assert model.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    for name, value in reference["fixef"].items():
        ours, se = coefficient_name(name, reference["factors"]), reference["se"][name]
        assert model.fe_params[ours] == pytest.approx(value, abs=TOL_COEFFICIENT * se)
        assert model.fe_bse[ours] == pytest.approx(se, rel=TOL_STANDARD_ERROR)
    cov = covariance_of(reference)
    got = np.atleast_2d(np.asarray(next(iter(model.variance_components.values()))))
    scale = np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    assert np.abs((got - cov) / scale).max() < TOL_COVARIANCE


def test_an_intercept_alone_is_the_scalar_quadrature():
    data = random_slopes()
    scalar = interlace.glmer("y ~ x + (1 | g)", data, "binomial", nAGQ=9)
    vector = interlace.glmer(
        "y ~ x + (1 | g)", data, "binomial", approximation="agq-vector", nAGQ=9
    )
    assert vector.llf == pytest.approx(scalar.llf, rel=1e-12)
    assert vector.settings["approximation"] == "agq-vector, 9 points"


class TestRefusals:
    data = random_slopes(groups=8).assign(h=lambda d: d.index % 5, z=lambda d: d["x"] ** 2)

    def refusal(self, formula, **options):
        with pytest.raises(UnsupportedModelError) as caught:
            interlace.glmer(formula, self.data, "binomial", **options)
        return str(caught.value)

    def test_nAGQ_with_a_slope_names_the_alternative(self):
        message = self.refusal("y ~ x + (x | g)", nAGQ=5)
        assert "nAGQ=1 (Laplace)" in message and "approximation='agq-vector'" in message

    @pytest.mark.parametrize("bars", ["(1 | g) + (1 | h)", "(1 + x + z + I(x * z) | g)"])
    def test_nAGQ_names_no_alternative_that_would_refuse_as_well(self, bars):
        assert "agq-vector" not in self.refusal(f"y ~ x + {bars}", nAGQ=5)
        message = self.refusal(f"y ~ x + {bars}", approximation="agq-vector")
        assert "up to 3 random effects of one grouping factor" in message
        assert "nAGQ=1" in message
