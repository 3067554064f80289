"""Public functions and methods with plain arguments, and what else each argument may be.

A value that is accepted must be legal for the argument by what is written here, or change nothing
of the answer. A legal value has a twin where it says the same as another one.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import interlace
from interlace import plots
from interlace_core.messages.errors import InterlaceWarning

ROWS = 40
Legal = Callable[[Any], bool]


@dataclass(frozen=True)
class Door:
    """A public function with plain arguments.

    Attributes
    ----------
    name : str
    call : callable
    plain : mapping from str to object
        Arguments of the plain call.
    legal : mapping from str to callable
        For each argument that is tried, whether a value may be accepted.
    """

    name: str
    call: Callable[..., Any]
    plain: Mapping[str, Any]
    legal: Mapping[str, Legal] = field(default_factory=dict)


def is_whole(least: int = 0, most: int = 10**9) -> Legal:
    """Return whether a value is a whole number in a range."""

    def legal(value: Any) -> bool:
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        return bool(whole and least <= value <= most)

    return legal


def is_real(least: float = -math.inf, most: float = math.inf) -> Legal:
    """Return whether a value is a finite number strictly inside a range."""

    def legal(value: Any) -> bool:
        real = isinstance(value, (int, float, np.integer, np.floating))
        return bool(real and not isinstance(value, bool) and least < value < most)

    return legal


def never(value: Any) -> bool:
    """Return False: only None, or what changes nothing, may pass."""
    return False


def anything(value: Any) -> bool:
    """Return True."""
    return True


def axes(value: Any) -> bool:
    """Return whether a value may be axes: what can be drawn on."""
    return hasattr(value, "axhline")


def pair_of_texts(value: Any) -> bool:
    """Return whether a value is two texts."""
    try:
        return len(value) == 2 and all(isinstance(each, str) for each in value)
    except TypeError:
        return False


def mapping(value: Any) -> bool:
    """Return whether a value is a mapping."""
    return isinstance(value, Mapping)


def flag(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, (bool, np.bool_))


def one_of(*choices: Any) -> Legal:
    """Return whether a value is among some."""

    def legal(value: Any) -> bool:
        return isinstance(value, (str, int)) and not isinstance(value, bool) and value in choices

    return legal


def text(value: Any) -> bool:
    """Return whether a value is a text."""
    return isinstance(value, str)


def names(*known: str) -> Legal:
    """Return whether a value is a known name or a collection of them."""

    def legal(value: Any) -> bool:
        if isinstance(value, str):
            return value in known
        try:
            return all(isinstance(each, str) and each in known for each in value)
        except Exception:
            return False

    return legal


def numbers(*shapes: tuple[int, ...]) -> Legal:
    """Return whether a value is an array of finite numbers of one of some shapes."""

    def legal(value: Any) -> bool:
        try:
            found = np.asarray(value, dtype=np.float64)
        except Exception:
            return False
        return found.shape in shapes and bool(np.all(np.isfinite(found)))

    return legal


def function(value: Any) -> bool:
    """Return whether a value can be called."""
    return callable(value)


def either(*rules: Legal) -> Legal:
    """Return whether a value passes one of anything rules."""
    return lambda value: any(rule(value) for rule in rules)


@cache
def data() -> pd.DataFrame:
    """Return the data of all calls."""
    rng = np.random.default_rng(7)
    d = pd.DataFrame({"g": np.repeat(list("abcdefgh"), 5), "x": rng.normal(size=ROWS)})
    effect = rng.normal(0, 0.7, 8)[np.repeat(np.arange(8), 5)]
    d["f"] = rng.choice(["u", "v"], ROWS)
    d["y"] = rng.poisson(np.exp(0.5 + 0.4 * d["x"] + effect))
    d["z"] = 0.5 * d["x"] + effect + rng.normal(size=ROWS)
    d["r"] = 1 + np.clip(np.round(d["z"] + 1.0), 0, 2).astype(int)
    return d


@cache
def fits() -> dict[str, Any]:
    """Return a fit of each kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InterlaceWarning)
        return {
            "glmm": interlace.glmer("y ~ x + f + (1 | g)", data(), "poisson"),
            "lmm": interlace.fit("z ~ x + f + (1 | g)", data()),
            "clmm": interlace.clmm("r ~ x + (1 | g)", data()),
        }


COLUMN = names("x", "y", "z", "r", "g", "f", "1")
WEIGHTS = either(names("x", "y", "z", "r", "1", "0.95"), numbers((ROWS,)))
GROUPS = names("g", "x", "f", "r", "y", "z")


def table(value: Any) -> bool:
    """Return whether a value may be new data; without it the rows of the fit are meant."""
    return value is None or isinstance(value, pd.DataFrame)


SEED = either(is_whole(0, 10**40), lambda value: value is None)
PARAMETER = either(one_of(0, "mu", "mean"), is_whole(0, 0))


def _models() -> list[Door]:
    shared = {
        "formula": never,
        "data": never,
        "groups": GROUPS,
        "random": never,
        "weights": WEIGHTS,
        "offset": WEIGHTS,
        "optimizer": never,
        "optimizer_options": never,
        "hold": mapping,
        "known_variance": either(WEIGHTS, numbers((ROWS, ROWS))),
        "start": mapping,
        "starts": is_whole(0, 3),
        "threads": is_whole(1),
        "kernels": flag,
        "known": never,
        "covariance": never,
        "functions": mapping,
        "max_seconds": either(is_real(0.0), lambda value: value == math.inf),
        "callback": function,
        "verbose": flag,
        "priors": never,
    }
    glmer = {
        **shared,
        "family": never,
        "link": never,
        "nAGQ": is_whole(0, 100),
        "REML": flag,
        "approximation": never,
        "dispformula": never,
        "ziformula": one_of("~ x", "1", "x", "~"),
        "parameters": never,
    }
    linear = {
        **shared,
        "method": never,
        "df_method": never,
        "dispformula": one_of("~ x", "x", "1"),
        "correlation": never,
    }
    ordinal = {
        **{name: rule for name, rule in shared.items() if name != "known_variance"},
        "link": never,
        "threshold": never,
        "nominal": names("~ x", "x"),
        "scale": names("~ x", "x"),
        "nAGQ": is_whole(0, 100),
        "approximation": never,
    }
    base = {"data": data()}
    return [
        Door(
            "glmer",
            interlace.glmer,
            {"formula": "y ~ x + (1 | g)", "family": "poisson", **base},
            glmer,
        ),
        Door("fit", interlace.fit, {"formula": "z ~ x + (1 | g)", **base}, linear),
        Door("clmm", interlace.clmm, {"formula": "r ~ x + (1 | g)", **base}, ordinal),
    ]


def _path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _functions() -> list[Door]:
    power = {
        "formula": "y ~ x + (1 | g)",
        "data": data(),
        "family": "poisson",
        "fixed": {"x": 0.3},
        "sd": {"g": 0.5},
        "test": "x",
        "n": 1,
        "seed": 1,
    }
    relatives = {"animal": ["c"], "sire": ["a"], "dam": ["b"]}
    return [
        Door(
            "power",
            interlace.power,
            power,
            {
                "formula": never,
                "data": never,
                "family": never,
                "fixed": mapping,
                "sd": never,
                "test": names("x", "Intercept"),
                "parameters": mapping,
                "n": is_whole(1, 5),
                "alpha": is_real(0.0, 1.0),
                "method": never,
                "seed": SEED,
                "n_jobs": is_whole(1, 10),
                "weights": WEIGHTS,
                "offset": WEIGHTS,
                "nAGQ": is_whole(0, 100),
            },
        ),
        Door(
            "pedigree",
            interlace.pedigree,
            relatives,
            dict.fromkeys((*relatives, "unknown"), anything),
        ),
        *_priors(),
        Door(
            "in_parts",
            _read_in_parts,
            {"data": _parquet()},
            {
                "data": never,
                "memory": either(is_real(-1.0), text),
                "rows": is_whole(1),
                "folder": _path,
                "distinct": flag,
            },
        ),
        Door(
            "shuffle",
            _shuffled,
            {"data": _parquet(), "on": "g", "files": 2},
            {
                "data": never,
                "on": names("x", "y", "z", "r", "g", "f"),
                "folder": _path,
                "files": is_whole(1, 1000),
            },
        ),
        Door("load", interlace.load, {"path": _saved()}, {"path": never}),
        Door("datasets.load", interlace.datasets.load, {"name": "cbpp"}, {"name": never}),
        Door(
            "options",
            _enter,
            {},
            {
                "optimizer": either(text, anything),
                "optimizer_options": mapping,
                "approximation": anything,
                "nAGQ": is_whole(),
                "new_levels": one_of("population", "error", "marginal", "sample"),
                "verbose": flag,
                "prefer": mapping,
                "tol_decrement": is_real(0.0, 0.0100001),
                "starts": is_whole(0, 10_000),
                "max_seconds": either(is_real(0.0), lambda value: value == math.inf),
            },
        ),
    ]


def _priors() -> list[Door]:
    """Return the priors, each with its arguments."""
    place, positive = is_real(), is_real(0.0)
    arguments = {
        "normal": {"loc": place, "scale": positive},
        "cauchy": {"loc": place, "scale": positive},
        "student_t": {"df": positive, "loc": place, "scale": positive},
        "half_normal": {"scale": positive},
        "half_cauchy": {"scale": positive},
        "half_t": {"df": positive, "scale": positive},
        "exponential": {"rate": positive},
        "gamma": {"shape": positive, "rate": positive},
        "lkj": {"eta": positive},
    }
    return [
        Door(name, getattr(interlace, name), {"df": 4.0} if "df" in legal else {}, legal)
        for name, legal in arguments.items()
    ]


@cache
def _parquet() -> str:
    path = os.path.join(tempfile.mkdtemp(), "d.parquet")
    data().to_parquet(path)
    return path


def _read_in_parts(**values: Any) -> Any:
    return interlace.glmer("y ~ x", interlace.in_parts(**values), "poisson").llf


def _shuffled(**values: Any) -> int:
    """Write to a folder of its own where none is given; return how many rows are read again."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"HOME": folder}):
        where = interlace.shuffle(**{"folder": folder, **values})
        return sum(len(pd.read_parquet(each)) for each in Path(where).glob("*.parquet"))


@cache
def _saved() -> str:
    path = os.path.join(tempfile.mkdtemp(), "m.interlace")
    fits()["glmm"].save(path)
    return path


def _enter(**values: Any) -> None:
    with interlace.options(**values):
        pass


NEW = pd.DataFrame({"x": [0.1, 0.2], "f": ["u", "v"], "g": ["a", "b"]})


def _after(kind: str) -> list[Door]:
    m = fits()[kind]
    P = m.fit.psi.size
    p = len(m.fe_params)
    vcov = numbers((P, P))
    parameter = either(PARAMETER, is_whole(0, len(m.coefficients) - 1))
    L = numbers((p,), (1, p), (2, p), *([()] if p == 1 else []))
    labels = names(*m.confint().index, "coefficient", "sd", "correlation", "family")
    cluster = either(names("g"), lambda v: np.shape(v) == (ROWS,))
    types = (
        "response",
        "link",
        "mean",
        "population",
        "mu",
        "prob",
        "cum.prob",
        "class",
        "linear.predictor",
        "location",
    )
    terms = either(flag, names("g", "1 | g", "(1 | g)"))
    boot = {"n": is_whole(1, 5), "seed": SEED, "n_jobs": is_whole(1, 10), "conditional": flag}
    predict = {
        "newdata": table,
        "type": one_of(*types),
        "include_re": terms,
        "new_levels": one_of("population", "error", "marginal", "sample"),
        "offset": either(is_real(), numbers((2,))),
        "se": flag,
        "interval": one_of("confidence", "prediction"),
        "level": is_real(0.0, 1.0),
        "weights": never,
        "n_sim": is_whole(1, 10**4),
        "seed": SEED,
    }
    doors = [
        Door("predict", m.predict, {"newdata": NEW}, predict),
        Door(
            "confint",
            m.confint,
            {},
            {"parm": labels, "method": never, "level": is_real(0.0, 1.0), "vcov": vcov},
        ),
        Door(
            "confint boot",
            m.confint,
            {"method": "boot", "n_boot": 2, "seed": 1},
            {"n_boot": is_whole(1, 5), "seed": SEED, "n_jobs": is_whole(1, 10)},
        ),
        Door(
            "profile",
            m.profile,
            {"parm": "x", "points": 1},
            {
                "parm": either(names(*m.confint().index), lambda v: v is None),
                "level": is_real(0.0, 1.0),
                "points": is_whole(1, 3),
            },
        ),
        Door("bootstrap", m.bootstrap, {"n": 1, "seed": 1}, {**boot, "statistic": never}),
        Door(
            "term_tests",
            m.term_tests,
            {},
            {"type": one_of(2, 3, "II", "III"), "parameter": parameter, "vcov": vcov},
        ),
        Door(
            "wald_test",
            m.wald_test,
            {"L": np.eye(p)[:1]},
            {
                "L": L,
                "value": either(is_real(), numbers((), (1,))),
                "parameter": parameter,
                "vcov": vcov,
            },
        ),
        Door("drop1", m.drop1, {}, {"terms": names("x", "f"), "parameter": parameter}),
        Door("refit", m.refit, {"y": m.y}, {"y": numbers(m.y.shape)}),
        Door(
            "simulate",
            m.simulate,
            {"n": 1, "seed": 1},
            {"n": is_whole(1, 10**4), "seed": SEED, "conditional": flag, "raw": flag},
        ),
        Door(
            "residuals",
            m.residuals,
            {},
            {
                "kind": one_of("response", "pearson", "deviance", "working", "quantile"),
                "seed": SEED,
            },
        ),
        Door(
            "scaled_residuals",
            m.scaled_residuals,
            {"n": 5},
            {"n": is_whole(1, 10**4), "seed": SEED, "conditional": flag},
        ),
        Door("r2", m.r2, {}, {"scale": one_of("link", "response")}),
        Door("ranef", m.ranef, {}, {"level": is_real(0.0, 1.0)}),
        Door("accuracy", m.accuracy, {"n": 5}, {"n": is_whole(1, 10**4), "seed": SEED}),
        Door(
            "tidy",
            m.tidy,
            {},
            {
                "effects": names("fixed", "ran_pars", "ran_vals"),
                "conf_int": flag,
                "level": is_real(0.0, 1.0),
                "exponentiate": flag,
            },
        ),
        Door(
            "augment",
            m.augment,
            {},
            {
                "data": never,
                "newdata": table,
                "type": one_of("response", "link"),
                "residuals": one_of("response", "pearson", "deviance", "working", "quantile"),
                "se_fit": flag,
            },
        ),
        Door(
            "save",
            m.save,
            {"path": os.path.join(tempfile.mkdtemp(), "m")},
            {"path": _path, "data": flag},
        ),
        Door("r_code", m.r_code, {}, {"data": text}),
        Door(
            "tabled",
            m.tabled,
            {},
            {"exponentiate": flag, "random": flag, "level": is_real(0.0, 1.0)},
        ),
        Door(
            "summary",
            m.summary,
            {},
            {
                "digits": is_whole(1, 15),
                "level": is_real(0.0, 1.0),
                "exponentiate": flag,
                "show": names("head", "tables", "notes", "random", "fixed", "family"),
            },
        ),
        Door("conf_int", m.conf_int, {}, {"level": is_real(0.0, 1.0)}),
        Door("params_of", m.params_of, {"parameter": 0}, {"parameter": parameter}),
        Door("bse_of", m.bse_of, {"parameter": 0}, {"parameter": parameter}),
        Door("wald_tests", m.wald_tests, {"parameter": 0}, {"parameter": parameter}),
    ]
    draws, curve = m.bootstrap(2, seed=1), m.profile("x", points=2)
    doors += [
        Door(
            "bootstrap.confint",
            draws.confint,
            {},
            {
                "parm": names(*m.confint().index),
                "level": is_real(0.0, 1.0),
                "kind": one_of("bias-corrected", "percentile", "basic", "normal"),
            },
        ),
        Door("profile.confint", curve.confint, {}, {"level": is_real(0.0, 1.0)}),
        Door(
            "anova",
            lambda other, **more: interlace.anova(m, other, **more),
            {"other": m.refit(m.y)},
            {"other": never, "refit": flag, "names": pair_of_texts},
        ),
    ]
    if kind == "glmm":
        doors += [
            Door("vcov_robust", m.vcov_robust, {}, {"cluster": cluster}),
            Door(
                "influence",
                m.influence,
                {"exact": 0},
                {"cluster": cluster, "exact": is_whole(0, 10)},
            ),
        ]
        doors += [
            Door(
                "plots.coefficients",
                plots.coefficients,
                {"results": m},
                {
                    "results": never,
                    "parameter": either(parameter, one_of("all"), lambda v: v == [0]),
                    "level": is_real(0.0, 1.0),
                    "exponentiate": flag,
                    "intercept": flag,
                    "labels": mapping,
                    "ax": axes,
                },
            ),
            Door(
                "plot",
                m.plot,
                {"kind": "coefficients"},
                {
                    "kind": one_of("caterpillar", "fitted", "path", "residuals"),
                    "what": never,
                    "ax": axes,
                },
            ),
            Door(
                "plots.caterpillar", plots.caterpillar, {"result": m}, {"result": never, "ax": axes}
            ),
            Door(
                "plots.residuals",
                plots.residuals,
                {"result": m},
                {
                    "result": never,
                    "kind": one_of("response", "pearson", "deviance", "working", "quantile"),
                    "seed": SEED,
                },
            ),
            Door(
                "plots.fitted",
                plots.fitted,
                {"result": m},
                {
                    "result": never,
                    "data": never,
                    "include_re": either(flag, names("g")),
                    "ax": axes,
                },
            ),
            Door("plots.path", plots.path, {"result": m}, {"result": never, "axes": never}),
            Door(
                "plots.profile",
                plots.profile,
                {"profile": curve},
                {"profile": never, "level": is_real(0.0, 1.0)},
            ),
        ]
    if kind == "lmm":
        doors += [
            Door(
                "contrast_df",
                m.contrast_df,
                {"contrast": np.eye(p)[0]},
                {"contrast": numbers((p,))},
            ),
        ]
    if kind == "lmm":  # by REML, which is no likelihood to sample
        doors = [each for each in doors if each.name != "accuracy"]
    return [Door(f"{kind}.{each.name}", each.call, each.plain, each.legal) for each in doors]


def doors() -> list[Door]:
    """Return all public functions with their arguments."""
    from odd.bridges import bridges

    found = [*_models(), *_functions(), *bridges()]
    for kind in fits():
        found += _after(kind)
    return found
