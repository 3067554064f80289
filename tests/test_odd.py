"""Each public argument is tried with odd values; `nox -s odd` does so at length.

An answer must be that of the plain call or of a twin that says the same, an error this library's.
"""

import inspect

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.inference.bootstrap import Bootstrap
from interlace.results.after_fit import AfterFit
from interlace.results.reports import Reports
from interlace.results.result import GLMMResult
from interlace_core.messages.errors import InterlaceError
from odd.calls import data, doors, fits
from odd.run import ended, judged
from odd.values import MAKERS

DOORS = doors()
PUBLIC = [
    name
    for name in interlace.__all__
    if inspect.isfunction(getattr(interlace, name)) and name not in ("anova", "options", "plugins")
]
NOT_TRIED = {"joint_test", "prediction_interval"}
"""For use within the library, and of fits with known variances alone."""


def public_methods(cls):
    """Return the public methods of a class that take an argument."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and inspect.isfunction(member) and name not in NOT_TRIED:
            arguments = set(inspect.signature(member).parameters) - {"self", "uncertainty"}
            if arguments:
                yield name, arguments


@pytest.mark.parametrize("cls", [AfterFit, Reports, GLMMResult, Bootstrap])
def test_every_argument_of_a_method_has_a_door(cls):
    tried = {}
    for door in DOORS:
        for part in door.name.split(".")[-2:]:
            tried.setdefault(part.split(" ")[0], set()).update(door.legal)
    for name, arguments in public_methods(cls):
        assert name in tried, f"{cls.__name__}.{name} is not in tests/odd/calls.py"
        assert arguments <= tried[name] | {"refit", "kind", "options"}, (
            name,
            arguments - tried[name],
        )


def test_every_argument_of_a_function_has_a_door():
    tried = {door.name: set(door.legal) for door in DOORS}
    for name in PUBLIC:
        arguments = set(inspect.signature(getattr(interlace, name)).parameters)
        assert arguments <= tried[name] | {"link", "kernels", "threads", "nominal", "scale"}, (
            name,
            arguments - tried[name],
        )


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_odd_values_end_in_words(door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    how, plain = ended(door, dict(door.plain))
    assert how == "answer" or not door.plain, plain
    rng = np.random.default_rng(len(door.name))
    for argument in door.legal:
        if argument == "n_jobs":
            continue
        make = MAKERS[rng.integers(len(MAKERS))]
        assert judged(door, argument, make, plain) is None, argument


D = data()
KNOWN_ONCE = {
    "priors": lambda: interlace.glmer("y ~ x", D, "poisson", priors=np.array([])),
    "groups": lambda: interlace.glmer("y ~ x", D, "poisson", groups=np.array(3)),
    "weights": lambda: interlace.glmer("y ~ x", D, "poisson", weights="I(1/0)"),
    "known": lambda: interlace.fit(
        "z ~ x", D, "g", known={"g": pd.DataFrame("a", list("abcdefgh"), list("abcdefgh"))}
    ),
    "method": lambda: interlace.fit("z ~ x", D, "g", method=np.ones(2)),
    "load": lambda: interlace.load(3),
    "load none": lambda: interlace.load(None),
    "load missing": lambda: interlace.load("/no/such/file"),
    "load folder": lambda: interlace.load("."),
    "save": lambda: fits()["glmm"].save(0),
    "save empty": lambda: fits()["glmm"].save(""),
    "save nul": lambda: fits()["glmm"].save("a\0b"),
    "tidy": lambda: fits()["glmm"].tidy(effects=3),
    "statistic": lambda: fits()["glmm"].bootstrap(2, statistic=3),
    "wald text": lambda: fits()["glmm"].wald_test(""),
    "wald value": lambda: fits()["glmm"].wald_test([0, 1, 0], value=[]),
    "wald parameter": lambda: fits()["glmm"].wald_test([0, 1, 0], parameter=np.ones(2)),
    "vcov": lambda: fits()["glmm"].term_tests(vcov="a"),
    "drop1": lambda: fits()["glmm"].drop1(terms=3),
    "ragged": lambda: fits()["glmm"].refit([[1], [2, 3]]),
    "kind": lambda: fits()["glmm"].residuals(np.ones(2)),
    "n_jobs": lambda: fits()["glmm"].bootstrap(2, n_jobs=10**30),
    "power": lambda: interlace.power(
        "y ~ x + (1 | g)", D, "poisson", fixed=3, sd={"g": 1.0}, test="x", n=2
    ),
    "pedigree": lambda: interlace.pedigree(3, 4, 5),
    "columns": lambda: interlace.glmer("y ~ bs(x, df=50000)", D, "poisson", groups="g"),
}


@pytest.mark.parametrize("what", KNOWN_ONCE)
def test_what_once_ended_in_an_exception_of_another_library(what):
    with pytest.raises(InterlaceError):
        KNOWN_ONCE[what]()


def test_a_group_with_a_letter_that_cannot_be_written_is_fitted_and_shown_or_refused():
    odd = D.assign(g=pd.Series([f"{each}\ud800" for each in D["g"]], dtype=object))
    try:
        fit = interlace.glmer("y ~ x + (1 | g)", odd, "poisson")
    except InterlaceError as error:
        assert str(error).encode()
        return
    assert fit.llf == interlace.glmer("y ~ x + (1 | g)", D, "poisson").llf
    with pytest.raises(InterlaceError):
        fit.save("/no/such/folder/m")


@pytest.mark.parametrize("path", ["", " ", "\0", "x" * 5000, "*\0", ".", b"x"])
def test_a_text_that_is_no_path_of_data_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InterlaceError, match="data"):
        interlace.fit("z ~ x + (1 | g)", path)
    with pytest.raises(InterlaceError, match="data"):
        interlace.glmer("y ~ x", interlace.in_parts(path), "poisson")


@pytest.mark.parametrize(
    ("what", "options"),
    [(("effects",), {}), (("residuals",), {"nonsense": 1}), (("path", 1, 2), {})],
)
def test_a_picture_with_other_arguments_is_refused(what, options):
    with pytest.raises(InterlaceError, match="plot: expected the arguments of plots"):
        fits()["glmm"].plot(*what, **options)
