"""Structures whose reference was made otherwise than by glmmTMB: R's own code, nlme's gls."""

import numpy as np
import pandas as pd
import pytest

import interlace
from reference_fits import load_data, load_fit
from test_parity import (
    TOL_LOGLIK,
    all_factors,
    assert_same_coefficients,
    assert_same_covariances,
    assert_same_standard_errors,
)


def test_heterogeneous_autoregressive_effects():
    reference = load_fit("rep_hetar1_pois_own")
    ours = interlace.glmer(reference["formula"], load_data("sim_rep"), "poisson")
    assert_same(ours, reference)
    assert_same_covariances(ours, reference)


def test_a_known_matrix_times_a_variance():
    reference = load_fit("comm_propto_pois_own")
    species = [f"s{k}" for k in range(1, 6)]
    K = pd.DataFrame(reference["extras"]["known_matrix"], index=species, columns=species)
    K = K.iloc[::-1, ::-1]  # in whatever order it comes
    ours = interlace.glmer(
        "yp ~ species + env + propto(0 + species | site)",
        load_data("sim_comm"),
        "poisson",
        known={"species": K},
    )
    assert_same(ours, reference)
    prior = ours.effects["site"].prior
    assert prior == pytest.approx(np.array(reference["varcor"]["site"]["cov"]), rel=5e-3)
    # what is known with its size is the same as what is held at it
    sd = ours.confint("sd").loc["sd | site", "estimate"]
    known = interlace.glmer(
        "yp ~ species + env + equalto(0 + species | site)",
        load_data("sim_comm"),
        "poisson",
        known={"species": sd**2 * K},
    )
    assert known.llf == pytest.approx(ours.llf, abs=1e-9)
    assert known.df == ours.df - 1
    held = interlace.glmer(
        "yp ~ species + env + propto(0 + species | site)",
        load_data("sim_comm"),
        "poisson",
        known={"species": K},
        hold={"sd": {"site": sd}},
    )
    assert held.llf == pytest.approx(ours.llf, abs=1e-9)


def test_autoregressive_residuals_with_a_standard_deviation_for_each_time():
    reference = load_fit("rep_hetar1_gauss_nlme")
    ours = interlace.fit(
        "yg ~ x", load_data("sim_rep"), method="ML", dispformula="~ tf", correlation="ar1(t | id)"
    )
    assert_same(ours, reference)


def test_loadings_along_principal_axes_do_not_depend_on_a_rotation():
    reference = load_fit("comm_rr2_binom_tmb")
    data = load_data("sim_comm")
    formula = reference["formula"]
    ours = interlace.glmer(formula, data, "binomial")
    axes = ours.principal_axes()
    covariance = np.array(reference["varcor"]["site"]["cov"])
    values, vectors = np.linalg.eigh(covariance)
    assert sorted(axes["axis"].unique()) == [1, 2]
    for k, value in ((1, values[-1]), (2, values[-2])):
        own = axes[axes["axis"] == k]
        assert own["sd"].iloc[0] ** 2 == pytest.approx(value, rel=5e-3)
        assert own["share"].iloc[0] == pytest.approx(value / np.sum(values[-2:]), rel=5e-3)
        along = vectors[:, -k] @ own["loading"].to_numpy() / np.sqrt(value)
        assert abs(along) == pytest.approx(1.0, abs=5e-3)
        assert own["loading"].abs().max() == own["loading"].max()
    # in another order of its columns the structure has other loadings, and the same axes
    other = interlace.glmer(
        formula, data.assign(species=reordered(data["species"])), "binomial"
    ).principal_axes()
    assert other.groupby("axis")["sd"].first().to_numpy() == pytest.approx(
        axes.groupby("axis")["sd"].first().to_numpy(), rel=1e-4
    )


def reordered(column):
    return pd.Categorical(column, categories=sorted(set(column))[::-1])


def assert_same(ours, reference):
    assert ours.llf == pytest.approx(reference["logLik"], abs=TOL_LOGLIK)
    assert ours.df == reference["df"]
    named = {**reference, "factors": all_factors(reference)}
    assert_same_coefficients(ours, named)
    assert_same_standard_errors(ours, named)
