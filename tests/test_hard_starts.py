"""Fits whose start, mode or blocks could not be computed, and what may be said at their end."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import interlace
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, invert
from interlace_core.fitting import fit as fitting
from interlace_core.fitting.verdict import Verdict, with_ceiling
from interlace_core.messages.errors import ConvergenceWarning, ExactResponseError, StartError
from interlace_families.gamma import GammaFamily

SINGULAR = [
    ["0x1.339cd4a953dfep+18", "-0x1.b6e2be47888fep+0", "0x1.6a56568cf0273p+3"],
    ["-0x1.b6e2be47888fep+0", "0x1.54b087140785dp-17", "-0x1.008695f117980p-14"],
    ["0x1.6a56568cf0273p+3", "-0x1.008695f117980p-14", "0x1.ab1325881eefap-12"],
]
"""Of rank 2. Rounding leaves it a Cholesky factor; elimination with pivots may end at 0."""


def test_a_singular_block_is_not_positive_definite():
    A = np.array([[float.fromhex(each) for each in row] for row in SINGULAR])
    try:
        inverse, _ = invert(A[:, :, None])
    except NotPositiveDefiniteError:
        return
    assert np.all(np.isfinite(inverse))  # other libraries round otherwise


def grouped(seed=0, n=120, groups=12):
    rng = np.random.default_rng(seed)
    g = np.arange(n) % groups
    x = rng.normal(size=n)
    return rng, pd.DataFrame({"g": g, "x": x}), 0.6 * rng.normal(size=groups)[g]


@pytest.mark.parametrize("seed", range(3))
def test_joint_mode_of_a_density_that_is_not_log_concave(seed):
    """The joint minimum over (u, beta) by SciPy's density and BFGS, at the fit's own variances."""
    rng, d, u = grouped(seed)
    d["y"] = np.exp(1.0 + 0.5 * d["x"] + u + 0.5 * rng.normal(size=len(d)))
    fit = interlace.glmer("y ~ x + (1 | g)", d, "inversegaussian", nAGQ=0)
    assert fit.status.startswith("optimum (")
    sd, (phi,) = fit.theta[0], np.exp(fit.fit.psi[3:])

    def f(v):
        mu = np.exp(v[0] + v[1] * d["x"] + sd * v[2:][d["g"]])
        return 0.5 * v[2:] @ v[2:] - np.sum(stats.invgauss.logpdf(d["y"], mu * phi, scale=1 / phi))

    lowest = optimize.minimize(f, np.zeros(14), method="BFGS", options={"gtol": 1e-7})
    assert np.allclose(lowest.x[:2], fit.fe_params, atol=1e-5)
    assert np.allclose(lowest.x[2:], fit.fit.mode, atol=1e-4)


@pytest.mark.parametrize("link", ["logit", "cloglog", "loglog", "cauchit"])
@pytest.mark.parametrize("level", [50.0, -50.0, 1e4])
def test_thresholds_take_up_the_level_of_an_offset(link, level):
    rng, d, u = grouped()
    y = np.digitize(d["x"] + u + rng.logistic(size=len(d)), [-1.0, 0.0, 1.2])
    d["y"], d["o"] = pd.Categorical(y, ordered=True), level
    plain = interlace.clmm("y ~ x + (1 | g)", d, link=link)
    moved = interlace.clmm("y ~ x + offset(o) + (1 | g)", d, link=link)
    assert moved.llf == pytest.approx(plain.llf, abs=1e-7)
    assert moved.fit.n_evaluations == plain.fit.n_evaluations
    thresholds = [each.fit.psi[2:] for each in (plain, moved)]
    assert np.allclose(thresholds[1] - level, thresholds[0], atol=1e-5)


def counts():
    rng, d, u = grouped()
    return d.assign(y=rng.poisson(np.exp(0.5 + 0.5 * d["x"] + u)))


def test_a_start_that_cannot_be_evaluated_gives_way_to_another(monkeypatch):
    usual = interlace.glmer("y ~ x + (1 | g)", counts(), "poisson")
    found = fitting.find_start

    def nowhere(*arguments, **options):
        start = found(*arguments, **options)
        start.psi[-1] = 1e6
        return start

    monkeypatch.setattr(fitting, "find_start", nowhere)
    assert interlace.glmer("y ~ x + (1 | g)", counts(), "poisson").llf == pytest.approx(usual.llf)
    with pytest.raises(StartError, match="start of the fit"):  # the user's own is not replaced
        interlace.glmer("y ~ x + (1 | g)", counts(), "poisson", start={"theta": [1.0]})


@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("shift", [1e3, 1e5, 3e6])
def test_no_points_give_the_same_tests_wherever_a_covariate_has_its_zero(family, shift):
    """Rounding of a covariate so far away moves it by 1e-10 sd; z moved by 1.3 at 1e5."""
    d = counts().assign(f=np.tile(list("abcb"), 30))
    if family == "binomial":
        d["y"] = (d["y"] > 1).astype(int)
    fits = [
        interlace.glmer("y ~ x + f + (1 | g)", d.assign(x=d["x"] + each), family, nAGQ=0)
        for each in (0.0, shift)
    ]
    near, far = (np.array(each.fe_params / each.fe_bse)[1:] for each in fits)
    assert fits[1].llf == pytest.approx(fits[0].llf, abs=1e-6)
    assert np.allclose(far, near, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1e12])
def test_a_response_in_a_small_unit_is_not_separated(unit):
    """Shape 4: the response is far from its ends in any unit."""
    rng, d, _ = grouped()
    d["y"] = rng.gamma(4.0, 0.25 / (1.0 + 0.5 * np.abs(d["x"])))
    d["x"] = np.abs(d["x"])
    family = GammaFamily(link="inverse")
    plain = interlace.glmer("y ~ x", d, family)
    scaled = interlace.glmer("y ~ x", d.assign(y=unit * d["y"]), family)
    assert not scaled.notes
    assert scaled.status.startswith("optimum (")
    assert scaled.llf == pytest.approx(plain.llf - len(d) * np.log(unit), rel=1e-9)


def copies(weight):
    rng = np.random.default_rng(3)
    g, t = np.repeat(np.arange(25), 4), np.tile(np.arange(4), 25)
    y = np.clip(rng.beta(2.0, 2.0, size=100) * 1.8 - 0.4, 0.0, 1.0)
    return pd.DataFrame({"y": y, "g": g, "t": pd.Categorical(t), "x": t / 4.0, "w": weight})


def test_copies_of_rows_with_effects_of_their_own_have_no_maximum():
    """w copies, one effect: s^-w in the rows and s in the effect, without end as s goes to 0."""
    with pytest.raises(ExactResponseError, match="copies of a row"):
        interlace.glmer(
            "y ~ 1 + ar1(0 + t | g)", copies(3.0), "ordered_beta", weights="w", dispformula="~ x"
        )


def test_no_likelihood_of_discrete_data_is_above_0():
    lost = Verdict("not reached", False, np.nan, (), "not reached: nothing is known")
    reached = with_ceiling(lost, 1e-9, 1e-7)
    assert reached.converged
    assert reached.message == "optimum (remaining gain 1.0e-09)"
    assert with_ceiling(lost, 1e-3, 1e-7) is lost


def test_a_limit_that_was_not_reached_is_not_said_to_be_as_good():
    """Multiples of 0.5: Tweedie's density grows without end as its power goes to 1."""
    rng, d, _ = grouped()
    d["y"] = 0.5 * rng.poisson(np.exp(0.5 + 0.3 * d["x"]))
    with pytest.warns(ConvergenceWarning):
        fit = interlace.glmer("y ~ x", d, "tweedie")
    assert not fit.converged
    assert "rise without end" in fit.notes[0]
    assert "next to the same" not in " ".join(fit.notes)
