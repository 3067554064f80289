"""Compiled kernels against NumPy: rows slot by slot, and which way a model takes."""

import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import interlace
from interlace_core.contract import CompiledObjective, CompiledSlopes, Kernels
from interlace_core.registry.registry import default_registry
from interlace_core.testing import ConformanceError, kernel_checks

(REGISTERED,) = default_registry().classes("kernel")
KERNELS: Kernels = REGISTERED.cls()
BUILT = bool(KERNELS.build)
OPTIONS = {
    "cumulative": [
        {"link": link, "threshold": threshold}
        for link in ("logit", "probit")
        for threshold in ("flexible", "symmetric", "equidistant")
    ]
}


def served():
    """Yield an instance of each family that is served, with each link."""
    for distribution, name, link in sorted(KERNELS.families):
        (found,) = [
            each
            for each in default_registry().classes("family")
            if (each.distribution, each.name) == (distribution, name)
        ]
        fields = getattr(found.cls, "__dataclass_fields__", {})
        usual = [{"link": link}] if "link" in fields else [{}]
        for options in OPTIONS.get(name, usual):
            yield found.cls(**options)


@pytest.mark.parametrize(
    "name, check", [pair for family in served() for pair in kernel_checks(KERNELS, family)]
)
def test_rows_are_those_of_numpy(name, check):
    check()


def test_a_library_is_there_exactly_where_a_compiler_was():
    """What a machine without a compiler lacks is said, and what one with it has is used."""
    compiler = shutil.which("cc")
    works = compiler and subprocess.run([compiler, "--version"], check=False).returncode == 0
    assert bool(works) == BUILT


class Spoilt(type(KERNELS)):
    """Kernels of which one number is a millionth off."""

    def __init__(self, part):
        object.__setattr__(self, "part", part)

    def slopes(self, problem, rows, random):
        sums = super().slopes(problem, rows, random)
        part = self.part
        return lambda beta: replace(found := sums(beta), **{part: getattr(found, part) * 1.000001})

    def objective(self, *arguments):
        return Misinformed(super().objective(*arguments), self.part)


class Misinformed(CompiledObjective):
    def __init__(self, inner, part):
        self.inner, self.part = inner, part

    def __call__(self, psi):
        return self.inner(psi)

    def information(self, psi):
        found = self.inner.information(psi)
        if self.part == "coefficients":
            return replace(found, coefficients=found.coefficients * 1.000001)
        return replace(found, effects=[each * 1.000001 for each in found.effects])


@pytest.mark.skipif(not BUILT, reason="no library was built")
@pytest.mark.parametrize(
    ("part", "check"),
    [
        *(
            (part, "sums are those of the rows")
            for part in ("value", "gradient", "information", "pull")
        ),
        *((part, "information at the mode") for part in ("coefficients", "effects")),
    ],
)
def test_a_sum_that_is_off_fails_its_check(part, check):
    family = default_registry().family("binomial")
    with pytest.raises(ConformanceError):
        dict(kernel_checks(Spoilt(part), family))[check]()


class Strays(type(KERNELS)):
    """Kernels whose climbs end elsewhere, or where somebody should have looked."""

    def __init__(self, change, move):
        object.__setattr__(self, "change", change)
        object.__setattr__(self, "move", move)

    def slopes(self, problem, rows, random):
        return Climbing(super().slopes(problem, rows, random), self.change, self.move)


class Climbing(CompiledSlopes):
    def __init__(self, inner, change, move):
        self.inner, self.change, self.move = inner, change, move

    def __call__(self, beta):
        return self.inner(beta)

    def climb(self, climb):
        found = self.inner.climb(replace(climb, **self.change))
        return None if found is None else found + self.move


@pytest.mark.skipif(not BUILT, reason="no library was built")
@pytest.mark.parametrize(
    ("change", "move"),
    [
        ({}, 1e-4),
        ({"rise": np.inf}, 0.0),
        ({"no_pull": -1.0}, 0.0),
        ({"max_iterations": 1}, 0.0),
    ],
    ids=str,
)
def test_a_climb_that_strays_fails_its_check(change, move):
    family = default_registry().family("poisson")
    with pytest.raises(ConformanceError):
        dict(kernel_checks(Strays(change, move), family))["a climb ends where the slope does"]()


@pytest.mark.skipif(not BUILT, reason="no library was built")
def test_start_and_scales_are_computed_in_compiled_code(monkeypatch):
    """Nothing of a fit of one factor passes over the rows in NumPy."""

    def passed(*_, **__):
        raise AssertionError("NumPy's derivatives were asked for")

    data = interlace.datasets.load("cbpp")
    arguments = ("incidence / size ~ period", data, "binomial")
    first = interlace.glmer(*arguments, groups="herd", weights="size")
    for module in ("fitting.start", "engine.joint_density"):
        monkeypatch.setattr(f"interlace_core.{module}.weighted_derivatives", passed)
    again = interlace.glmer(*arguments, groups="herd", weights="size")
    assert again.llf == first.llf
