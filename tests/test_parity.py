"""Whole fits held against reference fits made with R; see tests/reference/README.md.

glmmTMB is the reference for Laplace's approximation, lme4 for quadrature. The references were
made at tight tolerances (`max_abs_grad` in each file), so that the tolerances below are those
of the comparison, not of the reference.
"""

import re

import numpy as np
import pytest

import interlace
from reference_fits import coefficient_name, fit_ids, load_data, load_fit

FAMILIES = {"binomial": "binomial", "poisson": "poisson", "nbinom2": "negativebinomial"}
SPECIAL_STRUCTURES = re.compile(r"\b(ar1|cs|toep|rr|exp|gau|mat|ou)\(")
"""Covariance structures that are not built."""

TOL_LOGLIK = 1e-5
TOL_COEFFICIENT = 2e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-3
"""Relative; both sides use finite differences of the gradient for the Hessian."""
TOL_COVARIANCE = 5e-3
"""Relative to the product of standard deviations."""
TOL_MEAN = 1e-4
"""Relative."""
LOOSE_REFERENCE = 1e-5
"""Largest gradient entry beyond which a reference's own optimum is inexact: only its
log-likelihood binds."""


def expressible(fit):
    """Return whether families and structures that exist can fit this model."""
    return (
        fit.get("family") in FAMILIES
        and fit.get("zi_formula") in (None, "~0")
        and fit.get("disp_formula") in (None, "~1")
        and not SPECIAL_STRUCTURES.search(fit["formula"])
        and "|" in fit["formula"]
        and fit["logLik"] is not None
    )


def refit(fit, **options):
    """Return our fit of a reference's model."""
    data = load_data(fit["dataset"])
    weights = re.search(r"weights = (\w+)", fit["r_call"])
    return interlace.glmer(
        fit["formula"],
        data,
        as_family(fit),
        weights=weights.group(1) if weights else None,
        **options,
    )


def as_family(fit):
    from interlace_core.registry import default_registry

    return default_registry().family(FAMILIES[fit["family"]])(link=fit["link"])


LAPLACE = [
    fit_id for fit_id in fit_ids() if fit_id.endswith("_tmb") and expressible(load_fit(fit_id))
]
QUADRATURE = [
    fit_id
    for fit_id in fit_ids()
    if load_fit(fit_id)["engine"] == "lme4"
    and expressible(load_fit(fit_id))
    and (load_fit(fit_id).get("nAGQ") or 1) > 1
]


def test_the_reference_models_are_found():
    assert len(LAPLACE) >= 25
    assert len(QUADRATURE) >= 10


@pytest.mark.parametrize("fit_id", LAPLACE)
def test_laplace_agrees_with_the_reference(fit_id):
    reference = load_fit(fit_id)
    ours = refit(reference)
    assert ours.converged
    assert ours.llf >= reference["logLik"] - TOL_LOGLIK
    assert ours.nobs == reference["n"]
    assert ours.df == reference["df"]
    if reference["max_abs_grad"] > LOOSE_REFERENCE:
        return
    assert ours.llf <= reference["logLik"] + TOL_LOGLIK
    assert_same_coefficients(ours, reference)
    assert_same_standard_errors(ours, reference)
    assert_same_covariances(ours, reference)
    assert_same_means(ours, reference)
    if reference["sigma_or_dispersion"] is not None:
        theta = ours.family_params.loc["theta", "value"]
        assert theta == pytest.approx(reference["sigma_or_dispersion"], rel=TOL_COVARIANCE)


@pytest.mark.parametrize("fit_id", QUADRATURE)
def test_quadrature_agrees_with_the_reference(fit_id):
    """lme4's own optimum is good to about 1e-4 of a coefficient (its optimiser's tolerance)."""
    reference = load_fit(fit_id)
    ours = refit(reference, nAGQ=reference["nAGQ"])
    assert ours.converged
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    assert_same_coefficients(ours, reference)
    assert_same_covariances(ours, reference)


def test_quadrature_reaches_the_exact_integral():
    fit = refit(load_fit("cbpp_logit_agq25_lme4"), nAGQ=25)
    assert fit.llf == pytest.approx(-91.98337, abs=1e-5)


def test_one_point_is_laplace():
    reference = load_fit("cbpp_logit_tmb")
    one = refit(reference, approximation="agq", nAGQ=1)
    assert one.llf == pytest.approx(refit(reference).llf, abs=1e-8)


def assert_same_coefficients(ours, reference):
    for name, value in reference["fixef"].items():
        ours_name = coefficient_name(name, reference["factors"])
        error = TOL_COEFFICIENT * reference["se"][name]
        assert ours.fe_params[ours_name] == pytest.approx(value, abs=error), name


def assert_same_standard_errors(ours, reference):
    for name, value in reference["se"].items():
        ours_name = coefficient_name(name, reference["factors"])
        assert ours.fe_bse[ours_name] == pytest.approx(value, rel=TOL_STANDARD_ERROR), name


def assert_same_covariances(ours, reference):
    by_parts = {frozenset(group.split(":")): group for group in ours.effects}
    for group, expected in merged_by_group(reference["varcor"]).items():
        found = ours.effects[by_parts[frozenset(group.split(":"))]].prior
        sd = np.sqrt(np.diag(expected))
        assert np.allclose(found, expected, rtol=0, atol=TOL_COVARIANCE * np.outer(sd, sd)), group


def merged_by_group(varcor):
    """Return one covariance per group: lme4 lists independent terms as g, g.1, ..."""
    merged = {}
    for entry in varcor.values():
        covariance = np.array(entry["cov"])
        if entry["group"] in merged:
            known = merged[entry["group"]]
            top = np.hstack([known, np.zeros((len(known), len(covariance)))])
            bottom = np.hstack([np.zeros((len(covariance), len(known))), covariance])
            covariance = np.vstack([top, bottom])
        merged[entry["group"]] = covariance
    return merged


def assert_same_means(ours, reference):
    fitted = reference["fitted_head"]
    assert ours.fittedvalues.to_numpy()[: len(fitted)] == pytest.approx(fitted, rel=TOL_MEAN)
    population = reference["predict_pop_head"]
    predicted = ours.predict(include_re=False).to_numpy()[: len(population)]
    assert predicted == pytest.approx(population, rel=TOL_MEAN)
