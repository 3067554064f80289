"""What the caller has set does not reach into the library: NumPy's error state, the streams."""

import io
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.messages.errors import InterlaceWarning
from interlace_core.registry.registry import default_registry
from interlace_core.testing.supports import SUPPORTS
from reference_fits import load_data

FAMILIES = sorted(each.name for each in default_registry().classes("family"))


def response(family, rng, n):
    """Return a response in a family's support, from the registry's own description of it."""
    support = default_registry().family(family).support
    if support in ("real", ""):
        return rng.normal(size=n)
    examples = SUPPORTS[support].examples()
    return examples[rng.integers(0, len(examples), n)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_fits_where_numpy_is_asked_to_raise(family):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=24)})
    y = response(family, rng, 24)
    if y.ndim == 2:
        data["a"], data["b"] = y.T
        formula = "cbind(a, b) ~ x"
    else:
        data["y"], formula = y, "y ~ x"
    if family == "cumulative":
        data["y"] = rng.integers(1, 4, 24)
    before = np.geterr()
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("ignore", InterlaceWarning)
        fit = interlace.glmer(formula, data, family)
        fit.predict(type="link"), fit.summary().to_html(), fit.conf_int()
        assert np.geterr() == dict.fromkeys(before, "raise")
    assert np.geterr() == before
    assert np.isfinite(fit.llf)


AFTER = {
    "confint": lambda m: m.confint(),
    "profile": lambda m: m.profile("x", points=2),
    "bootstrap": lambda m: m.bootstrap(2, seed=1),
    "residuals": lambda m: m.residuals("deviance"),
    "r2": lambda m: m.r2("response"),
    "intervals": lambda m: m.predict(interval="prediction", n_sim=5, seed=1),
    "influence": lambda m: m.influence(exact=1),
    "explain": lambda m: str(m.explain()),
    "tests": lambda m: m.term_tests(),
    "drop1": lambda m: m.drop1(),
    "refit": lambda m: m.refit(m.simulate(seed=1, raw=True)[0]),
    "family_params": lambda m: m.family_params,
}


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(10), 8), "x": rng.normal(size=80)})
    mu = np.exp(1.0 + 0.5 * data["x"] + rng.normal(0, 0.5, 10)[data["g"]])
    data["y"] = rng.negative_binomial(3, 3 / (3 + mu))
    return interlace.glmer("y ~ x + (1 | g)", data, "negativebinomial")


@pytest.mark.parametrize("what", AFTER)
def test_what_follows_a_fit_does_where_numpy_is_asked_to_raise(fitted, what):
    with np.errstate(all="raise"):
        AFTER[what](fitted)


class Broken(io.StringIO):
    """A stream on which nothing works."""

    def isatty(self):
        """Fail as a closed stream does."""
        raise ValueError("I/O operation on closed file")

    def write(self, text):
        """Fail as a full disk does."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Broken(), object()], ids=["none", "broken", "no stream"])
def test_fits_need_no_standard_error(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("interlace.progress.DELAY", 0.0)
    monkeypatch.setattr("interlace.progress.INTERVAL", 0.0)
    sleep = load_data("sleepstudy")
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep, verbose=True)
    assert fit.converged
    assert fit.bootstrap(1, seed=1).failures == ()
