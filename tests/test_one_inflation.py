"""A part for ones beside families of proportions: the kit, factors, the sequence with zeros."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import OptionError, ResponseError, UnsupportedModelError
from interlace_core.registry.registry import default_registry
from interlace_core.testing import family_checks
from interlace_counts.zeros.compositions import Hurdle, OneInflated


def beta():
    return default_registry().family("beta")()


FAMILIES = {
    "ones": lambda: OneInflated(beta()),
    "zeros and ones": lambda: OneInflated(Hurdle(beta())),
    "fixed": lambda: OneInflated(beta(), one=0.2),
}
CHECKS = [
    pytest.param(check, id=f"{name}-{called}")
    for name, made in FAMILIES.items()
    for called, check in family_checks(made())
]


@pytest.mark.parametrize("check", CHECKS)
def test_families_pass_the_kit(check):
    check()


def shares(n=400, seed=2):
    """Return proportions of which a tenth is 1 and a fifth of the others 0, by groups."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(20), n // 20), rng.normal(size=n)
    mu = 1.0 / (1.0 + np.exp(-(0.3 + 0.5 * x + 0.4 * rng.normal(size=20)[g])))
    y = rng.beta(8.0 * mu, 8.0 * (1.0 - mu))
    y = np.where(rng.random(n) < 0.2, 0.0, y)
    y = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(2.0 - 0.7 * x)), 1.0, y)
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{i}" for i in g]})


def test_the_likelihood_is_that_of_its_factors():
    """Without shared effects the parts are apart: a binomial fit and the rest by itself."""
    data = shares()
    ours = interlace.glmer(
        "y ~ x + (1 | g)", data, "beta", ziformula="~ x", parameters={"one": "~ x"}
    )
    ones = interlace.glmer("one ~ x", data.assign(one=(data["y"] == 1).astype(int)), "binomial")
    rest = interlace.glmer("y ~ x + (1 | g)", data[data["y"] < 1], "beta", ziformula="~ x")
    assert ours.converged
    assert ours.llf == pytest.approx(ones.llf + rest.llf, abs=1e-6)
    assert ours.params_of("one").to_numpy() == pytest.approx(ones.fe_params.to_numpy(), abs=1e-4)
    assert ours.fe_params.to_numpy() == pytest.approx(rest.fe_params.to_numpy(), abs=1e-4)
    alone = data[data["y"] > 0]
    without = interlace.glmer("y ~ x", alone, "beta", parameters={"one": "~ x"})
    factors = [
        interlace.glmer("one ~ x", alone.assign(one=(alone["y"] == 1).astype(int)), "binomial"),
        interlace.glmer("y ~ x", alone[alone["y"] < 1], "beta"),
    ]
    assert without.llf == pytest.approx(sum(each.llf for each in factors), abs=1e-6)


def test_the_sequence_with_constants_is_the_zero_one_inflated_beta():
    data = shares()
    sequence = interlace.glmer(
        "y ~ x + (1 | g)", data, "beta", ziformula="~ 1", parameters={"one": "~ 1"}
    )
    inflated = interlace.glmer("y ~ x + (1 | g)", data, "zerooneinflated_beta")
    assert sequence.llf == pytest.approx(inflated.llf, abs=1e-6)
    assert sequence.fittedvalues.to_numpy() == pytest.approx(
        inflated.fittedvalues.to_numpy(), abs=1e-5
    )


def test_simulate_and_refit_and_files(tmp_path):
    data = shares(n=1000)
    fit = interlace.glmer(
        "y ~ x + (1 | g)", data, "beta", ziformula="~ 1", parameters={"one": "~ x"}
    )
    y = np.asarray(fit.simulate(1, seed=4)).ravel()
    assert abs(np.mean(y == 1) - np.mean(data["y"] == 1)) < 0.06
    assert fit.refit(y).params_of("one")["x"] == pytest.approx(fit.params_of("one")["x"], abs=0.4)
    fit.save(tmp_path / "fit")
    back = interlace.load(tmp_path / "fit")
    new = pd.DataFrame({"x": [0.0, 1.0], "g": ["g0", "g1"]})
    assert np.asarray(back.predict(new)) == pytest.approx(np.asarray(fit.predict(new)))
    assert "one" in str(fit.summary())


def test_what_can_have_no_part_for_ones_is_refused():
    data = shares()
    with pytest.raises(UnsupportedModelError, match="one part.*beta"):
        interlace.glmer("y ~ x", data, "gaussian", parameters={"one": "~ 1"})
    with pytest.raises(ResponseError, match="above 0 and up to 1"):
        interlace.glmer("y ~ x", data, "beta", parameters={"one": "~ 1"})
    with pytest.raises(OptionError, match="between 0 and 1"):
        OneInflated(beta(), one=1.5)
