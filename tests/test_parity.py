"""Whole fits held against reference fits made with R; see tests/reference/README.md.

glmmTMB is the reference for Laplace's approximation, lme4 for quadrature. The references were
made at tight tolerances (`max_abs_grad` in each file), so that the tolerances below are those
of the comparison, not of the reference.
"""

import re

import numpy as np
import pytest

import interlace
from interlace_core.messages.errors import ConvergenceWarning
from interlace_core.registry.registry import default_registry
from reference_fits import coefficient_name, fit_ids, load_data, load_fit, load_schema

FAMILIES = {
    "Gamma": "gamma",
    "beta": "beta",
    "betabinomial": "betabinomial",
    "binomial": "binomial",
    "compois": "compois",
    "gaussian": "gaussian",
    "genpois": "genpois",
    "nbinom1": "negativebinomial1",
    "nbinom2": "negativebinomial",
    "poisson": "poisson",
    "t": "student_t",
    "truncated_nbinom1": "truncated_negativebinomial1",
    "truncated_nbinom2": "truncated_negativebinomial",
    "truncated_poisson": "truncated_poisson",
    "tweedie": "tweedie",
}
"""Names here of glmmTMB's families."""

INSTALLED = {each.name: each.cls for each in default_registry().classes("family")}
COORDINATES = {
    "areas": {"pos": "xc + yc"},
    "sp": {"pos": "xc + yc"},
    "gap": {"npos": "pos"},
    "ts": {"npos": "pos"},
    "series": {"np": "time"},
}
"""Columns behind the coordinates that glmmTMB packs into a factor, by the first part of an id."""

HOMOGENEOUS = {
    "rep_homcs_pois_tmb": ("cs(", "homcs("),
    "rep_homdiag_binom_tmb": ("diag(", "homdiag("),
    "rep_homtoep_pois_tmb": ("toep(", "homtoep("),
}
"""Structures that glmmTMB 1.1.5 has by mapping parameters alone."""

HELD = {
    "map_coef_binom_tmb": {"x1": 0.5},
    "map_coef_shared_gauss_tmb": {"x1": "x2"},
    "map_disp_nb2_tmb": {"theta": 1.5},
    "map_revar_equal_pois_tmb": {"sd": {"h": "g"}},
    "map_revar_one_of_two_pois_tmb": {"sd": {"h": 0.3}},
    "map_revar_pois_tmb": {"sd": {"g": 0.5}},
    "map_sigma_gauss_tmb": {"sigma": 0.7},
}
"""What glmmTMB held by its argument map."""

FLAT = {"areas_mat_gauss_tmb"}
"""The likelihood hardly tells range and smoothness apart (standard errors of 6 and 12 of their
logarithms): the log-likelihood binds."""

TOL_LOGLIK = 1e-5
TOL_COEFFICIENT = 2e-3
"""Of a standard error."""
TOL_STANDARD_ERROR = 5e-3
"""Relative; both sides use finite differences of the gradient for the Hessian."""
TOL_COVARIANCE = 5e-3
"""Relative to the product of standard deviations."""
TOL_MEAN = 1e-4
"""Relative."""
NO_VARIANCE = 1e-7
"""glmmTMB works with the logarithm of a standard deviation and cannot reach 0."""
UNDETERMINED = 100.0
"""Standard error of a coefficient on the logit scale that goes to infinity; where either side
stops on the way there is arbitrary."""
LOOSE_REFERENCE = 1e-5
"""Largest gradient entry beyond which a reference's own optimum is inexact: only its
log-likelihood binds."""


def expressible(fit):
    """Return whether families and structures that exist can fit this model."""
    return (
        FAMILIES.get(fit.get("family")) in INSTALLED
        and not fit.get("REML")
        and fit["logLik"] is not None
    )


def refit(fit, **options):
    """Return our fit of a reference's model."""
    weights = re.search(r"weights = (\w+)", fit["r_call"])
    zero, dispersion = fit.get("zi_formula"), fit.get("disp_formula")
    return interlace.glmer(
        formula_of(fit),
        load_data(fit["dataset"]),
        INSTALLED[FAMILIES[fit["family"]]](**link_of(fit), **fixed_of(fit)),
        weights=weights.group(1) if weights else None,
        ziformula=None if zero in (None, "~0") else zero,
        dispformula=None if dispersion in (None, "~0", "~1") else dispersion,
        hold=HELD.get(fit["id"]),
        **options,
    )


def formula_of(fit):
    """Return a fit's formula with what is written otherwise here."""
    formula = fit["formula"].replace(*HOMOGENEOUS.get(fit["id"], ("", "")))
    for name, columns in COORDINATES.get(fit["id"].partition("_")[0], {}).items():
        formula = re.sub(rf"\b{name} \|", f"{columns} |", formula)
    return formula


def link_of(fit):
    """Return the link as an argument where it is not the family's default."""
    default = INSTALLED[FAMILIES[fit["family"]]]().parameters[0].link.name
    return {} if fit["link"] == default else {"link": fit["link"]}


def fixed_of(fit):
    """Return the standard deviation that glmmTMB fixes where there is no dispersion at all."""
    none = fit.get("disp_formula") == "~0" and fit["family"] == "gaussian"
    return {"sigma": fit["sigma_or_dispersion"]} if none else {}


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


NOT_DETERMINED = {"sal_zinb1_mined_tmb"}
"""R's standard errors of its zero part are 1,200: at mined sites the counts explain all zeros."""


@pytest.mark.parametrize("fit_id", LAPLACE)
def test_laplace_agrees_with_the_reference(fit_id):
    reference = load_fit(fit_id)
    if fit_id in NOT_DETERMINED:
        with pytest.warns(ConvergenceWarning, match="not determined.*of pi"):
            ours = refit(reference)
    else:
        ours = refit(reference)
    assert ours.converged
    assert ours.llf >= reference["logLik"] - TOL_LOGLIK
    assert ours.nobs == reference["n"]
    assert ours.df == reference["df"]
    if reference["max_abs_grad"] > LOOSE_REFERENCE or fit_id in FLAT:
        return
    assert ours.llf <= reference["logLik"] + TOL_LOGLIK
    assert_same_coefficients(ours, reference)
    assert_same_standard_errors(ours, reference)
    assert_same_covariances(ours, reference)
    assert_same_means(ours, reference)
    assert_same_further_coefficients(ours, reference)


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


def assert_same_further_coefficients(ours, reference):
    """Compare dispersion (log scale, where a Gaussian has its variance) and zero part."""
    unit = 0.5 if reference["family"] == "gaussian" else 1.0
    for role, kind, scale in (("dispersion", "disp", unit), ("zero", "zi", 1.0)):
        for name, value in (reference.get(f"{kind}_fixef") or {}).items():
            ours_name = coefficient_name(name, all_factors(reference))
            if reference[f"{kind}_se"][name] is None:
                continue  # fixed
            se = reference[f"{kind}_se"][name] * scale
            if se > UNDETERMINED:
                continue
            estimate, error = ours.params_of(role)[ours_name], ours.bse_of(role)[ours_name]
            assert estimate == pytest.approx(scale * value, abs=TOL_COEFFICIENT * se), name
            assert error == pytest.approx(se, rel=TOL_STANDARD_ERROR), name
    for name, value in (reference.get("shape_params") or {}).items():
        parameter = {"Student-t df": "nu", "Tweedie power": "power"}[name]
        assert ours.family_params.loc[parameter, "value"] == pytest.approx(value, rel=5e-3)


def all_factors(reference):
    """Return the factors of the data: a fit lists only those of its mean."""
    columns = load_schema()[reference["dataset"]]["columns"]
    return {
        name: {"levels": column["levels"], "contrasts": "contr.treatment"}
        for name, column in columns.items()
        if "levels" in column
    }


def assert_same_coefficients(ours, reference):
    for name, value in reference["fixef"].items():
        ours_name = coefficient_name(name, reference["factors"])
        error = TOL_COEFFICIENT * reference["se"][name] or 1e-12
        assert ours.fe_params[ours_name] == pytest.approx(value, abs=error), name


def assert_same_standard_errors(ours, reference):
    for name, value in reference["se"].items():
        ours_name = coefficient_name(name, reference["factors"])
        assert ours.fe_bse[ours_name] == pytest.approx(value, rel=TOL_STANDARD_ERROR), name


def assert_same_covariances(ours, reference):
    by_parts = {frozenset(group.split(":")): group for group in ours.effects}
    for group, expected in merged_by_group(reference).items():
        effects = ours.effects[by_parts[frozenset(group.split(":"))]]
        places = places_of(reference, group, effects.names)[: len(expected)]
        found = effects.prior[np.ix_(places, places)]  # a long one is listed in part
        sd = np.sqrt(np.diag(expected))
        error = np.maximum(TOL_COVARIANCE * np.outer(sd, sd), NO_VARIANCE)
        assert np.all(np.abs(found - expected) <= error), group


def places_of(reference, group, names):
    """Return the places of the reference's columns among ours, which are sorted otherwise."""
    terms = reference["varcor"].get(group, {}).get("terms", ())
    points = [re.fullmatch(r"\w+\((.*)\)", term) for term in terms]
    if not points or not all(points) or terms[0] == "(Intercept)":
        return np.arange(len(names))
    ours = [tuple(map(float, re.findall(r"\[(.*?)\]", name))) for name in names]
    return np.array([ours.index(tuple(map(float, each[1].split(",")))) for each in points])


def merged_by_group(reference):
    """Return one covariance per group: independent terms are listed apart, as g, g.1, ..."""
    merged = {}
    entries = [*(reference["varcor"] or {}).values(), *(reference.get("zi_varcor") or {}).values()]
    for entry in entries:
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
    if reference.get("zi_varcor"):
        return  # glmmTMB 1.1.5 leaves the zero part's random effects in its population mean
    population = reference["predict_pop_head"]
    predicted = ours.predict(include_re=False).to_numpy()[: len(population)]
    assert predicted == pytest.approx(population, rel=TOL_MEAN)
