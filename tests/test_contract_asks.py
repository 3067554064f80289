"""Plugins are asked for what their contracts declare, and for nothing else by chance.

A plugin's own fields may have any names that do not stand in a contract: nothing of the core or of
`interlace` looks whether an object happens to have them.
"""

import ast
from dataclasses import dataclass
from inspect import get_annotations
from pathlib import Path

import numpy as np
import pytest

import interlace
from interlace_core.contract import Approximation, Covariance, Family, Optimizer, hookimpl
from interlace_core.registry.registry import Registry, default_registry

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "core": ROOT / "interlace_core" / "src" / "interlace_core",
    "interlace": ROOT / "interlace",
}
STAYS = {
    ("core", "registry/loader.py"): "what an entry point gave may be any object",
    ("core", "registry/meets_contract.py"): "a class is held against its contract here",
    ("core", "registry/registry.py"): "a registered object may be a module or anything else",
    ("core", "registry/blame.py"): "who failed is named, whatever the class lacks",
    ("core", "contract/composition.py"): "its contract names `base` as what it is made of",
    ("core", "messages/checks.py"): "a wrong value may be any object",
    ("interlace", "data/frames.py"): "a data frame of any library",
    ("interlace", "data/evaluation.py"): "what a transform of formulaic gave",
    ("interlace", "formulas/functions.py"): "a function of NumPy that may be no ufunc",
    ("interlace", "plots/canvas.py"): "what a user gave to be plotted",
    ("interlace", "commands/models.py"): "what a command's parser was given, options that it has",
    ("interlace", "commands/tables.py"): "a stream of any kind; what an error of the system says",
    ("interlace", "parts/shuffle.py"): "pyarrow of any version",
    ("interlace", "parts/sources.py"): "a dataset or relation of any library and version",
    ("interlace", "prediction/kinds.py"): "polars or another library of frames",
    ("interlace", "progress.py"): "a shell of IPython, of any kind",
    ("interlace", "config/files.py"): "whether the system has owners of files",
    ("interlace", "saving/files.py"): "what an error of the system says",
    ("interlace", "parts/aside.py"): "what an error of the system says",
    ("interlace", "threads.py"): "a library of linear algebra, of any version",
    ("core", "families/poisson_density.py"): "a number may be a Taylor number",
    ("core", "testing/optimizer.py"): "the kit looks for what is missing",
    ("core", "testing/optimizer_form.py"): "the kit looks for what is missing",
    ("core", "testing/family_form.py"): "the kit looks at what it was given",
    ("core", "testing/family_arrays.py"): "the kit looks at what it was given",
    ("interlace", "plots/profiles.py"): "what a user gave to be plotted",
    ("interlace", "sklearn/inputs.py"): "a data frame of any library",
    ("interlace", "sklearn/regressors.py"): "a response of any library may have a name",
    ("interlace", "sklearn/classifiers.py"): "a response of any library may have a name",
    ("interlace", "marginaleffects.py"): "a data frame of any library",
}
"""Files that ask whether an object has an attribute, with the reason."""


def asks(source):
    """Return the lines that ask whether an object has an attribute, or take another value."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and (node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) > 2))
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_component_is_asked_for_what_no_contract_declares(package):
    folder = PACKAGES[package]
    found = {
        (package, path.relative_to(folder).as_posix()): lines
        for path in sorted(folder.rglob("*.py"))
        if (lines := asks(path.read_text("utf-8")))
    }
    assert set(found) == {key for key in STAYS if key[0] == package}, found


def test_questions_are_seen():
    assert asks("x = getattr(approximation, 'points', None)\ny = hasattr(x, 'inner')") == [1, 2]
    assert asks("getattr(np, name)") == []


ODD = (
    "inner",
    "outer",
    "base",
    "points",
    "held",
    "priors",
    "restricted",
    "weights",
    "levels",
    "options",
    "problem",
    "cache",
    "fields",
    "cloglog_positive",
    "numbers",
    "data",
)
"""Names that other classes of the library use, and that no contract declares."""


def declared(contract):
    return {name for cls in contract.__mro__ for name in (*vars(cls), *get_annotations(cls))}


@pytest.mark.parametrize("contract", [Approximation, Covariance, Family, Optimizer])
def test_odd_names_are_free(contract):
    assert not set(ODD) & declared(contract)


def with_odd_fields(cls):
    """Return a frozen dataclass derived from a component, with fields of odd names and values."""
    own = [name for name in ODD if not hasattr(cls, name)]
    body = {name: 5 if k % 2 else "five" for k, name in enumerate(own)}
    notes = {name: int if k % 2 else str for k, name in enumerate(own)}
    return dataclass(frozen=True)(
        type(f"My{cls.__name__}", (cls,), body | {"__annotations__": notes})
    )


@pytest.fixture(scope="module")
def cbpp():
    return interlace.datasets.load("cbpp")


def everything(fit):
    """Use what reads components: reports, code, a copy, accuracy."""
    words = [str(fit.summary()), str(fit.explain()), fit.r_code(), str(fit.heading)]
    assert all(words)
    assert fit.tidy().shape[0] > 0
    fit.accuracy(n=50, seed=0)


def fit_of(cbpp, **arguments):
    return interlace.glmer(
        "incidence / size ~ period + (1 | herd)", cbpp, **{"family": "binomial", **arguments},
        weights="size",
    )  # fmt: skip


APPROXIMATIONS = ("laplace", "agq", "agq-vector", "joint-mode")


@pytest.mark.parametrize("name", APPROXIMATIONS)
def test_an_approximation_with_fields_of_its_own_fits(cbpp, name):
    cls = default_registry().approximation(name)
    mine = fit_of(cbpp, approximation=with_odd_fields(cls)())
    plain = fit_of(cbpp, approximation=cls())
    assert mine.fitted_by == plain.fitted_by
    assert mine.llf == plain.llf
    everything(mine)


def test_the_case_of_the_report(cbpp):
    laplace = default_registry().approximation("laplace")

    @dataclass(frozen=True)
    class Mine(laplace):
        inner: int = 5
        points: str = "many"

    fit = fit_of(cbpp, approximation=Mine(), priors={"fixed": interlace.normal(0, 2.5)})
    assert str(fit.fitted_by) == "laplace, penalised"
    assert "penalised maximum likelihood" in str(fit.summary())


@pytest.mark.parametrize("name", ["ml", "reml"])
def test_linear_criteria_with_fields_of_their_own_fit(name):
    data = interlace.datasets.load("sleepstudy")
    cls = default_registry().approximation(name)
    own = [each for each in ODD if each not in vars(cls) and not hasattr(cls, each)]
    mine = dataclass(frozen=True)(
        type("Mine", (cls,), {"__annotations__": dict.fromkeys(own, int)} | dict.fromkeys(own, 5))
    )
    formula = "Reaction ~ Days + (Days | Subject)"
    found = interlace.glmer(formula, data, "gaussian", approximation=mine())
    assert found.restricted == (name == "reml")
    assert found.fitted_by.words in str(found.explain())


def test_a_family_with_fields_of_its_own_fits(cbpp):
    cls = with_odd_fields(default_registry().family("binomial"))
    # a class of its own has no compiled rows, which round differently
    assert fit_of(cbpp, family=cls()).llf == pytest.approx(fit_of(cbpp).llf, rel=1e-12)
    everything(fit_of(cbpp, family=cls()))


def test_a_continuous_family_that_says_no_support_is_not_taken_for_counts():
    class Plain(default_registry().family("gamma")):
        name = "plain"
        support = ""

    rng = np.random.default_rng(1)
    data = {"y": rng.gamma(3.0, size=60), "x": rng.normal(size=60), "g": np.arange(60) % 12}
    fit = interlace.glmer("y ~ x + (1 | g)", data, Plain())
    assert "count" not in str(fit.explain())


@pytest.mark.parametrize("name", ["lbfgsb", "bobyqa"])
def test_an_optimizer_with_fields_of_its_own_fits(cbpp, name):
    cls = default_registry().optimizer(name)
    assert fit_of(cbpp, optimizer=with_odd_fields(cls)()).llf == fit_of(cbpp, optimizer=cls()).llf


def test_a_structure_with_fields_of_its_own_fits(monkeypatch):
    class Mine(default_registry().covariance("us")):
        name = "mine"

        def __init__(self, size):
            super().__init__(size)
            for each in ODD:
                setattr(self, each, 5)

    class Plugin:
        @hookimpl
        def interlace_covariances(self):
            return [Mine]

    registry = Registry()
    registry.register_plugin(Plugin(), distribution="mine", version="1")
    monkeypatch.setattr("interlace.fits.default_registry", lambda: registry)
    data = interlace.datasets.load("sleepstudy")
    fits = [
        interlace.fit(f"Reaction ~ Days + {structure}(1 + Days | Subject)", data)
        for structure in ("mine", "us")
    ]
    assert fits[0].llf == fits[1].llf
    assert str(fits[0].summary()) and str(fits[0].explain())
