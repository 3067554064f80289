"""A fit that was saved and loaded does what the fit does; without its data it says what is missing.

Every public method and property of results is tried on both.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import datasets, plots
from interlace.results.result import GLMMResult
from interlace.saving import pack_result, unpack_result
from interlace_core.messages.errors import (
    InterlaceError,
    NotAvailableError,
    OptionError,
    SavedFileError,
)
from reference_fits import load_data

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

NOT_ASKED = {"save", "to_json", "from_json"}
"""Apart from these, which write or read files."""

ARGUMENTS: dict[str, Callable[[GLMMResult], Any]] = {
    "accuracy": lambda m: m.accuracy(n=20),
    "bootstrap": lambda m: m.bootstrap(2, seed=1),
    "bse_of": lambda m: m.bse_of(0),
    "confint": lambda m: m.confint("sd", method="profile"),
    "contrast_df": lambda m: m.contrast_df(np.eye(len(m.fe_params))[0]),
    "influence": lambda m: m.influence(exact=1),
    "joint_test": lambda m: m.joint_test(0, np.eye(len(m.fe_params))[:1], np.zeros(1)),
    "parameter_index": lambda m: m.parameter_index(0),
    "params_of": lambda m: m.params_of(0),
    "profile": lambda m: m.profile("sd", level=0.8, points=2),
    "refit": lambda m: m.refit(m.simulate(1, seed=2, raw=True)[0]).fe_params,
    "refit_ml": lambda m: m.refit_ml().llf,
    "simulate": lambda m: m.simulate(2, seed=3),
    "scaled_residuals": lambda m: m.scaled_residuals(20).tests(),
    "tabled": lambda m: m.tabled().__maketables_coef_table__,
    "wald_test": lambda m: m.wald_test(np.eye(len(m.fe_params))[:1]),
    "wald_tests": lambda m: m.wald_tests(0),
    "with_derived": lambda m: m.with_derived().llf,
    "without_training": lambda m: m.without_training().llf,
}
"""Calls of what needs arguments, or would take long."""

WITHOUT_DATA = {
    "summary", "explain", "tidy", "glance", "predict", "r_code", "vcov", "ranef", "residuals",
    "term_tests", "wald_test", "random_effects", "fittedvalues", "conf_int", "fe_pvalues", "tabled",
    "aic", "aicc", "bic", "llf", "scale", "variance_components", "family_params", "held",
}  # fmt: skip
"""What docs/saving.md says of results without their data."""

FITS: dict[str, Callable[[], GLMMResult]] = {
    "glmer": lambda: interlace.glmer(
        "incidence / size ~ period + (1 | herd)", datasets.load("cbpp"), "binomial", weights="size"
    ),
    "zero-inflated": lambda: interlace.glmer(
        "count ~ mined + (1 | site)", datasets.load("Salamanders").iloc[::2], "poisson",
        ziformula="~ 1",
    ),
    "linear": lambda: interlace.fit(
        "Reaction ~ Days + (Days | Subject)", datasets.load("sleepstudy"), offset="Days"
    ),
    "ordinal": lambda: interlace.clmm("rating ~ temp", load_data("wine"), groups="judge"),
}  # fmt: skip


@cache
def fitted(name: str) -> GLMMResult:
    return FITS[name]()


@cache
def loaded(name: str, data: bool) -> GLMMResult:
    model = fitted(name)
    return unpack_result(pack_result(model, data=data), type(model))


def answers_of(model: GLMMResult) -> list[str]:
    """Return the public names of a result, but the fields of its record."""
    cls = type(model)
    names = [name for name in dir(cls) if not name.startswith("_") and name not in NOT_ASKED]
    return [name for name in names if name not in cls.__dataclass_fields__]


def answer(model: GLMMResult, name: str) -> Any:
    if name in ARGUMENTS:
        return ARGUMENTS[name](model)
    found = getattr(model, name)
    if not inspect.ismethod(found):
        return found
    given = inspect.signature(found).parameters.values()
    needed = [each.name for each in given if each.default is each.empty and each.kind < 2]
    return found(*(0 for _ in needed)) if set(needed) <= {"k", "parameter"} else None


def same(one: Any, other: Any) -> bool:
    """Return whether two answers are the same to the last digits of a refit."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, rtol=1e-6, atol=1e-9)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, rtol=1e-6, atol=1e-9)
    elif isinstance(one, np.ndarray | float | int):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        assert all(same(one[key], other[key]) for key in one)
    elif isinstance(one, tuple | list):
        assert all(same(a, b) for a, b in zip(one, other, strict=True))
    elif isinstance(one, str) or not hasattr(one, "__dict__"):
        assert one == other
    else:
        assert type(one) is type(other)
        assert all(same(vars(one)[key], vars(other)[key]) for key in vars(one) if key[0] != "_")
    return True


def asked(model: GLMMResult, name: str) -> tuple[Any, str]:
    """Return an answer, or what was said in its place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return answer(model, name), ""
        except InterlaceError as error:
            return None, str(error)


@pytest.mark.parametrize("name", FITS)
def test_every_method_of_a_loaded_fit_gives_the_fits_answer(name: str) -> None:
    model = fitted(name)
    for each in answers_of(model):
        (one, said), (other, again) = (asked(fit, each) for fit in (model, loaded(name, True)))
        assert said == again, each
        assert same(one, other), each


@pytest.mark.parametrize("name", FITS)
def test_without_its_data_a_loaded_fit_says_precisely_that(name: str) -> None:
    model, small = fitted(name), loaded(name, False)
    refused = set()
    for each in answers_of(model):
        if each == "augment":  # whose offsets are among the data
            continue
        (one, said), (other, again) = (asked(fit, each) for fit in (model, small))
        if "needs the data of the fit" in again:
            refused.add(each)
            assert "data=False" in again and "save it with its data" in again
        else:
            assert said == again, each
            assert same(one, other), each
    assert {"profile", "confint", "refit", "bootstrap", "simulate", "influence"} <= refused
    assert not refused & WITHOUT_DATA


def test_a_loaded_fit_is_compared_drawn_and_predicted_from_like_the_fit(tmp_path: Path) -> None:
    data = load_data("sleepstudy")
    small = interlace.fit("Reaction ~ Days + (1 | Subject)", data)
    small.save(tmp_path / "small.interlace")
    again = interlace.load(tmp_path / "small.interlace")
    large = loaded("linear", True)
    pd.testing.assert_frame_equal(interlace.anova(again, large), interlace.anova(small, large))
    bent = interlace.fit("Reaction ~ Days + (1 | Subject)", data, offset=data["Days"] ** 2)
    bent.save(tmp_path / "bent.interlace")
    table = interlace.anova(interlace.load(tmp_path / "bent.interlace"), large)
    assert table["reference"].iloc[1] == "not nested: different offsets"
    pd.testing.assert_frame_equal(interlace.anova(again, again), interlace.anova(small, small))
    ax = plots.coefficients(again)
    np.testing.assert_allclose(ax.lines[-1].get_xdata(), small.fe_params.drop("Intercept"))
    pd.testing.assert_frame_equal(
        again.predict(data.head(5), interval="prediction", seed=1),
        small.predict(data.head(5), interval="prediction", seed=1),
    )


def relation() -> pd.DataFrame:
    labels = [str(each) for each in load_data("sleepstudy")["Subject"].unique()]
    return pd.DataFrame(np.eye(19) + 0.3, index=[*labels, "new"], columns=[*labels, "new"])


def errors(data: pd.DataFrame) -> np.ndarray:
    """Return a correlation of the rows of a subject."""
    codes = pd.factorize(data["Subject"])[0]
    return 0.7 * np.eye(len(data)) + 0.3 * (codes[:, None] == codes)


SPECIAL: dict[str, Callable[[pd.DataFrame], GLMMResult]] = {
    "priors": lambda data: interlace.glmer(
        "slow ~ Days + (1 | Subject)", data, "binomial",
        priors={"fixed": interlace.normal(0.0, 2.5)},
    ),
    "quadrature, another optimizer": lambda data: interlace.glmer(
        "slow ~ Days + (1 | Subject)", data, "binomial", nAGQ=7, optimizer="lbfgsb",
        optimizer_options={"max_evaluations": 300},
    ),
    "correlated rows": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject)", data, correlation="ar1(Days | Subject)"
    ),
    "precisions": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject)", data, weights="Days + 1"
    ),
    "known levels": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject)", data, known={"Subject": relation()}
    ),
    "kenward-roger": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject)", data, df_method="kenward-roger"
    ),
    "times": lambda data: interlace.glmer(
        "Reaction ~ 1 + ar1(0 + C(part) | Subject)", data, "gaussian"
    ),
    "held": lambda data: interlace.glmer(
        "slow ~ Days + (1 | Subject) + (1 | part)", data, "binomial",
        hold={"Days": 0.3, "sd": {"part": 0.2}},
    ),
    "equal variances": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject) + (1 | part)", data, hold={"sd": {"part": "Subject"}}
    ),
    "known variances": lambda data: interlace.fit(
        "Reaction ~ Days + (1 | Subject)", data, known_variance=400.0 * errors(data)
    ),
    "no random effects": lambda data: interlace.glmer("slow ~ Days", data, "binomial"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECIAL)
def test_components_and_designs_come_back_as_they_were(case: str) -> None:
    data = load_data("sleepstudy").assign(
        slow=lambda d: (d["Reaction"] > 290.0).astype(int),
        part=lambda d: (d["Days"] // 4).astype(int),
    )
    model = SPECIAL[case](data)
    again = unpack_result(pack_result(model), type(model))
    assert model.training is not None and again.training is not None
    psi = model.fit.psi + 0.01
    one, other = (
        each.approximation.objective(each.problem)(psi) for each in (model.training, again.training)
    )
    assert other.value == pytest.approx(one.value, rel=1e-12)
    np.testing.assert_allclose(other.gradient, one.gradient, rtol=1e-8, atol=1e-10)
    assert again.training.approximation == model.training.approximation
    assert again.training.optimizer == model.training.optimizer
    assert pack_result(again) == pack_result(model)


def test_every_field_of_a_problem_comes_back() -> None:
    """Fields that are added need their place in `interlace.saving.training`."""
    from interlace.results.fitted_model import Training
    from interlace_core.contract.problem import Predictor, Problem, RandomTerm
    from interlace_core.contract.row_correlation import RowCorrelation

    known = {
        Problem: "y weights family predictors terms constants correlation cache compiled given "
        "parts",
        Predictor: "parameter X names offset",
        RandomTerm: "label predictor group codes levels Z names covariance relation options "
        "column_levels points theta_of measured along across",
        RowCorrelation: "structure label codes times",
        Training: "problem approximation optimizer tol_decrement threads",
    }
    for cls, names in known.items():
        assert [each.name for each in fields(cls)] == names.split(), cls.__name__


def test_a_file_without_data_is_smaller_and_has_no_covariates(tmp_path: Path) -> None:
    model = fitted("glmer")
    assert len(pack_result(model, data=False)) < len(pack_result(model))
    model.save(tmp_path / "m.interlace", data=False)
    assert interlace.load(tmp_path / "m.interlace").training is None
    assert unpack_result(pack_result(model.without_training()), GLMMResult).training is None
    with pytest.raises(OptionError, match="data must be True or False, got 'no'"):
        model.save(tmp_path / "m.interlace", data="no")  # type: ignore[arg-type]


def test_an_optimizer_of_no_plugin_is_refused_with_its_data_only() -> None:
    from dataclasses import replace

    model = fitted("glmer")
    assert model.training is not None

    class Mine(type(model.training.optimizer)):  # type: ignore[misc]
        """An optimizer that no plugin provides."""

    mine = replace(model, training=replace(model.training, optimizer=Mine()))
    with pytest.raises(SavedFileError, match="optimizer .*data=False"):
        pack_result(mine)
    assert pack_result(mine, data=False)


def forged(change: Callable[[Any], None]) -> bytes:
    """Return the file of a fit with its document changed, and hashes that are right."""
    from interlace.saving.archive import pack, unpack
    from interlace.saving.schema import SCHEMA

    document, store = unpack(pack_result(fitted("glmer")), SCHEMA)
    change(document["training"])
    return pack(document, store, SCHEMA, {})


FORGERIES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another design": (
        lambda t: t["problem"]["predictors"][0].update(X=t["problem"]["terms"][0]["Z"]),
        r"predictors\[0\].X: expected \(56, 4\), got \(56, 1\)",
    ),
    "no predictors": (lambda t: t["problem"].update(predictors=[]), "predictors: expected 1"),
    "too many terms": (lambda t: t["problem"]["terms"].append(t["problem"]["terms"][0]), "terms"),
    "not an array": (lambda t: t["problem"]["terms"][0].update(Z="a999"), "name of an array"),
    "an optimizer of nowhere": (
        lambda t: t["components"]["optimizer"].update(name="interlace-scipy:anneal"),
        "no installed plugin has the optimizer",
    ),
    "an option of nowhere": (
        lambda t: t["components"]["optimizer"].update(options={"command": "x"}),
        "options among",
    ),
    "an option of another type": (
        lambda t: t["components"]["optimizer"].update(options={"max_evaluations": "many"}),
        "optimizer",
    ),
    "a prior on nothing": (
        lambda t: t["components"]["approximation"].update(priors=[["x", {}]]), "a density among"
    ),
    "nothing": (lambda t: t.clear(), "components and problem"),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGERIES)
def test_what_does_not_go_with_the_result_is_refused(case: str) -> None:
    change, said = FORGERIES[case]
    with pytest.raises(InterlaceError, match=said):
        unpack_result(forged(change), GLMMResult)


def test_levels_outside_the_groups_are_refused() -> None:
    from interlace.saving.archive import pack, unpack
    from interlace.saving.schema import SCHEMA

    for wrong in (99, -1):
        document, store = unpack(pack_result(fitted("glmer")), SCHEMA)
        name = document["training"]["problem"]["terms"][0]["codes"]
        codes = store.arrays[name].copy()
        codes[3] = wrong
        store.arrays[name] = codes
        with pytest.raises(SavedFileError, match=r"terms\[0\].codes"):
            unpack_result(pack(document, store, SCHEMA, {}), GLMMResult)


def test_a_file_of_the_schema_before_is_refused_in_words() -> None:
    path = Path(__file__).parent / "data" / "saved_by_schema_4.interlace"
    with pytest.raises(SavedFileError, match="schema 4.*fit the model again and save it"):
        interlace.load(path)


def test_needs_of_data_are_errors_of_their_own_kind() -> None:
    with pytest.raises(NotAvailableError, match="profile: needs the data of the fit"):
        loaded("glmer", False).profile()
