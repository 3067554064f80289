"""What was written in many places is written once, and every entry point goes through it."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import plots
from interlace.config.settings import NEW_LEVELS
from interlace.data.request import ModelRequest
from interlace.fits import options_in_force
from interlace.inference.profile import Profile
from interlace.results.fit_settings import FitSettings
from interlace_core.messages.errors import DataError, DataWarning, InterlaceError, OptionError
from interlace_core.messages.names import did_you_mean

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for pattern in ("interlace/**/*.py", "interlace_core/src/**/*.py", "plugins/*/src/**/*.py")
    for path in sorted(ROOT.glob(pattern))
]


@pytest.fixture(scope="module")
def linear():
    data = interlace.datasets.load("sleepstudy")
    return interlace.fit("Reaction ~ Days + (Days | Subject)", data)


@pytest.fixture(scope="module")
def counts():
    return interlace.datasets.load("grouseticks").head(120)


@pytest.fixture(scope="module")
def poisson(counts):
    return interlace.glmer("TICKS ~ YEAR", counts, "poisson", groups="BROOD")


def profile(fit):
    points = pd.DataFrame({"parameter": "b", "value": [0.0, 1.0, 2.0], "zeta": [-3.0, 0.0, 3.0]})
    return Profile(points, pd.Series({"b": 1.0}))


LEVELS = {
    "conf_int": lambda fit, level: fit.conf_int(level),
    "confint": lambda fit, level: fit.confint(level=level),
    "confint, profile": lambda fit, level: fit.confint(method="profile", level=level),
    "tidy": lambda fit, level: fit.tidy(conf_int=True, level=level),
    "ranef": lambda fit, level: fit.ranef(level=level),
    "predict": lambda fit, level: fit.predict(interval="confidence", level=level),
    "profile": lambda fit, level: fit.profile(level=level),
    "profile().confint": lambda fit, level: profile(fit).confint(level),
    "plots.coefficients": lambda fit, level: plots.coefficients(fit, level=level),
    "plots.caterpillar": lambda fit, level: plots.caterpillar(fit, level=level),
    "plots.profile": lambda fit, level: plots.profile(profile(fit), level=level),
}


@pytest.mark.parametrize("level", ["0.95", 0, 1.0, 95, np.nan, True, None, 1j, [0.95]], ids=str)
@pytest.mark.parametrize("entry", LEVELS)
def test_every_level_is_checked(linear, poisson, entry, level):
    for fit in (linear, poisson):
        with pytest.raises(OptionError, match="level must lie between 0 and 1, got"):
            LEVELS[entry](fit, level)


@pytest.mark.parametrize("alpha", ["0.05", 0, 1, True, np.nan])
def test_the_size_of_a_test_is_checked_alike(counts, alpha):
    with pytest.raises(OptionError, match="power: alpha must lie between 0 and 1"):
        interlace.power(
            "TICKS ~ YEAR + (1 | BROOD)", counts, "poisson", fixed={}, sd={"BROOD": 1.0},
            test="YEAR[96]", alpha=alpha,
        )  # fmt: skip


COUNTS = {
    "simulate": lambda fit, n: fit.simulate(n),
    "bootstrap": lambda fit, n: fit.bootstrap(n=n),
    "scaled_residuals": lambda fit, n: fit.scaled_residuals(n=n),
    "profile": lambda fit, n: fit.profile(points=n),
    "predict": lambda fit, n: fit.predict(interval="prediction", n_sim=n),
    "accuracy": lambda fit, n: fit.accuracy(n=n),
}


@pytest.mark.parametrize("n", ["5", 0, -1, 2.0, True, None], ids=str)
@pytest.mark.parametrize("entry", COUNTS)
def test_every_count_is_checked(poisson, entry, n):
    with pytest.raises(OptionError, match="must be a whole number of at least 1, got"):
        COUNTS[entry](poisson, n)


SEEDS = {
    "simulate": lambda fit, seed: fit.simulate(1, seed=seed),
    "bootstrap": lambda fit, seed: fit.bootstrap(n=2, seed=seed),
    "scaled_residuals": lambda fit, seed: fit.scaled_residuals(n=2, seed=seed),
    "residuals": lambda fit, seed: fit.residuals("quantile", seed=seed),
    "predict": lambda fit, seed: fit.predict(interval="prediction", seed=seed),
    "accuracy": lambda fit, seed: fit.accuracy(seed=seed),
}


@pytest.mark.parametrize("seed", ["1", -1, 1.5, True], ids=str)
@pytest.mark.parametrize("entry", SEEDS)
def test_every_seed_is_checked(poisson, entry, seed):
    with pytest.raises(OptionError, match="seed must be None or a whole number of at least 0"):
        SEEDS[entry](poisson, seed)


@pytest.mark.parametrize("policy", NEW_LEVELS)
def test_what_prediction_does_with_new_levels_can_be_configured(counts, policy):
    """Whatever `predict` takes, `options` takes, and with the same answer."""
    plain = interlace.glmer("TICKS ~ YEAR", counts, "poisson", groups="BROOD")
    with interlace.options(new_levels=policy):
        fit = interlace.glmer("TICKS ~ YEAR", counts, "poisson", groups="BROOD")
    new = counts.assign(BROOD="new").head(3)
    if policy == "error":
        with pytest.raises(DataError, match="were not in the fit"):
            fit.predict(new)
        return
    with pytest.warns(DataWarning) if policy == "population" else nothing():
        asked = plain.predict(new, new_levels=policy, seed=1)
    with pytest.warns(DataWarning) if policy == "population" else nothing():
        assert fit.predict(new, seed=1).tolist() == asked.tolist()


def nothing():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize("policy", ["none", 1, ["population"], np.array(["error"])], ids=str)
def test_an_unknown_policy_is_refused_by_both(poisson, policy):
    for ask in (
        lambda: interlace.options(new_levels=policy),
        lambda: poisson.predict(new_levels=policy),
    ):
        with pytest.raises(OptionError) as caught:
            ask()
        assert all(each in str(caught.value) for each in NEW_LEVELS)


MEANT = {
    "family": lambda fit, data: interlace.glmer("TICKS ~ 1", data, "poison", groups="BROOD"),
    "column": lambda fit, data: interlace.glmer("TICKS ~ YAER", data, "poisson", groups="BROOD"),
    "function": lambda fit, data: interlace.glmer("TICKS ~ centr(HEIGHT)", data, "poisson"),
    "parameter": lambda fit, data: interlace.glmer(
        "TICKS ~ 1", data, "negativebinomial", parameters={"thets": "~ 1"}
    ),
    "prior": lambda fit, data: interlace.glmer(
        "TICKS ~ YEAR", data, "poisson", groups="BROOD", priors={"fixde": interlace.normal()}
    ),
    "option": lambda fit, data: interlace.options(optimiser="lbfgsb"),
    "type": lambda fit, data: fit.predict(type="respons"),
    "parm": lambda fit, data: fit.confint("Intercep"),
    "data set": lambda fit, data: interlace.datasets.load("sleepstudie"),
    "newdata": lambda fit, data: fit.predict(data.rename(columns={"YEAR": "YEARS"})),
}


@pytest.mark.parametrize("entry", MEANT)
def test_every_unknown_name_gets_the_one_that_was_meant(poisson, counts, entry):
    with pytest.raises(InterlaceError, match=r"[.\]] Did you mean '[^']+'\?( |$)"):
        MEANT[entry](poisson, counts)


def test_names_of_another_type_are_no_slip():
    assert did_you_mean(3, ["3"]) == "" and did_you_mean("x", [3]) == ""
    assert did_you_mean("YAER", ["YEAR", 3]) == " Did you mean 'YEAR'?"


@pytest.mark.parametrize(
    ("pattern", "home"),
    [
        (r"Did you mean", "messages/names.py"),
        (r"get_close_matches", "messages/names.py"),
        (r"level must lie between", None),
        (r"0(\.0)? < (level|alpha) < 1", None),
        (r"isinstance\([^()]*, bool\) or not isinstance", None),
        (r"and not isinstance\([^()]*, bool\)", "messages/checks.py"),
        (r"\"population\", \"error\"", "interlace/choices.py"),
        (r"\bobjective\.best(_psi)?\b[^=<>!\n]* = ", None),
        (r"\bobjective\.coordinates\b[^=<>!\n]* = ", None),
    ],
)
def test_a_rule_is_written_in_one_place(pattern, home):
    found = [path.as_posix() for path in SOURCES if re.search(pattern, path.read_text())]
    assert [path for path in found if home is None or not path.endswith(home)] == []
    assert home is None or len(found) == 1


# What is asked, and what was used, as records


def test_what_was_used_is_a_record_that_reads_as_a_mapping(poisson):
    used = poisson.settings
    assert isinstance(used, FitSettings)
    assert used["optimizer"] == used.optimizer and "LBFGSB" in used.optimizer.upper()
    assert list(used) == [each.name for each in fields(FitSettings)]
    assert dict(used)["approximation"] == "laplace" and used.get("kernels") is None
    with pytest.raises(KeyError):
        used["__len__"]
    with pytest.raises(FrozenInstanceError):
        used.optimizer = "another"
    assert used.configured == ()


@pytest.mark.parametrize("parameters", ["~ x", ["~ x"], 3])
def test_formulas_of_parameters_are_a_mapping(counts, parameters):
    with pytest.raises(OptionError, match="parameters: expected a dict"):
        interlace.glmer("TICKS ~ 1", counts, "poisson", parameters=parameters, dispformula="~ 1")


def test_a_request_keeps_what_was_asked(counts):
    request = ModelRequest("TICKS ~ 1", counts, "poisson", groups="BROOD")
    assert request.data is counts and dict(request.parameters) == {}
    with pytest.raises(FrozenInstanceError):
        request.formula = "y ~ 1"


# Options that came from configuration


def rows_of(fit):
    return [line for line in str(fit.summary()).splitlines() if "configuration" in line]


def test_the_summary_names_options_that_configuration_changed(counts, tmp_path, monkeypatch):
    """A loose tolerance in any file up the tree makes any point an optimum: it is shown."""
    (tmp_path / "interlace.toml").write_text("tol_decrement = 1e-3\nverbose = false\nnAGQ = 1\n")
    monkeypatch.chdir(tmp_path)
    fit = interlace.glmer("TICKS ~ YEAR", counts, "poisson", groups="BROOD")
    (line,) = rows_of(fit)
    assert line.split(None, 3)[-1].endswith(f"tol_decrement=0.001 ({tmp_path / 'interlace.toml'})")
    assert "verbose" not in line and "nAGQ" not in line  # changes nothing; is the default
    fit.save(tmp_path / "a.fit")
    assert rows_of(interlace.load(tmp_path / "a.fit")) == [line]
    assert rows_of(fit.refit(fit.simulate(1, seed=1, raw=True)[0])) == [line]


def test_an_option_of_the_call_is_not_configuration(counts):
    with interlace.options(optimizer="bobyqa", starts=1):
        fit = interlace.glmer("TICKS ~ YEAR", counts, "poisson", groups="BROOD", optimizer="lbfgsb")
    assert [str(each) for each in fit.settings.configured] == ["starts=1 (options())"]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ({}, ["approximation"]),
        ({"approximation": "laplace"}, []),
        ({"nAGQ": 1}, []),
    ],
)
def test_an_option_that_another_one_overrules_is_not_named(call, named):
    with interlace.options(nAGQ=5, approximation="agq"):
        found = options_in_force(**call).configured
    assert [each.name for each in found] == named


def test_a_number_of_points_from_the_environment_is_named(monkeypatch):
    monkeypatch.setenv("INTERLACE_NAGQ", "5")
    (found,) = options_in_force().configured
    assert str(found) == "nAGQ=5 (environment variable INTERLACE_NAGQ)"
    assert options_in_force(approximation="ml").configured == ()
