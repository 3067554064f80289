"""Levels that several threads evaluate: the same bits as by one."""

import ctypes
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.contract import RowKernel, Status
from interlace_core.engine import ModeSettings, layout_of
from interlace_core.engine.compiled import SIGNATURE, compiled_rows
from interlace_core.fitting.standard import standard_of

objectives = pytest.importorskip("interlace_kernels.objectives")
library = pytest.importorskip("interlace_kernels.library").library

pytestmark = pytest.mark.skipif(library() is None, reason="no library was built")

N = 40_000
FORMULAS = ("y ~ x + (1 | g)", "y ~ x + (1 + x | g)", "y ~ x + (1 + x + z | g)")


def rows(n=N, levels=900):
    rng = np.random.default_rng(5)
    g, x, z = rng.integers(0, levels, n), rng.normal(size=n), rng.normal(size=n)
    eta = 0.3 * x - 0.5 + rng.normal(size=levels)[g]
    y = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    return pd.DataFrame({"y": y, "x": x, "z": z, "g": g})


def objective(problem, threads, kernel=None):
    problem = replace(problem, compiled=replace(problem.compiled, threads=threads))
    layout = layout_of(problem)
    own = compiled_rows(layout.problem).kernel
    kernel = own if kernel is None else kernel(own)
    return objectives.LaplaceObjective(library(), layout, kernel, ModeSettings(), None)


def problem_of(formula, data):
    fit = interlace.glmer(formula, data, "binomial", nAGQ=0)
    return standard_of(fit.training.problem).problem, fit.fit.psi


def same(one, other):
    assert one.status is other.status
    assert one.value == other.value
    assert np.array_equal(one.gradient, other.gradient)
    assert np.array_equal(one.mode, other.mode)


@pytest.mark.parametrize("formula", FORMULAS)
def test_evaluations_are_the_same_bits_for_any_number_of_threads(formula):
    problem, psi = problem_of(formula, rows())
    by_one, *others = (objective(problem, threads) for threads in (1, 2, 3, 70))
    for step in (0.0, 0.05, -0.02):
        wanted = by_one(psi + step)
        assert wanted.status is Status.OK
        for each in others:
            same(each(psi + step), wanted)


def test_a_fit_is_the_same_bits_for_any_number_of_threads():
    one, three = (interlace.glmer(FORMULAS[0], rows(), "binomial", threads=t) for t in (1, 3))
    assert "objective" in three.settings["kernel"]
    assert three.training.problem.compiled.threads == 3
    same(_As(three), _As(one))
    assert one.fe_bse.equals(three.fe_bse)


class _As:
    """A fit as an evaluation."""

    status = None

    def __init__(self, result):
        self.value, self.gradient, self.mode = (
            getattr(result.fit, name) for name in ("value", "gradient", "mode")
        )


def test_a_level_of_many_shares_is_one_piece_of_work():
    data = rows()
    data.loc[data["g"] < 600, "g"] = 600  # two thirds of the rows in one level
    problem, psi = problem_of(FORMULAS[0], data)
    same(objective(problem, 4)(psi), objective(problem, 1)(psi))


def test_rows_that_fail_in_one_share_fail_for_all_threads():
    problem, psi = problem_of(FORMULAS[0], rows())

    def failing(own):
        inner = ctypes.CFUNCTYPE(*SIGNATURE)(own.address)
        start = own.columns.ctypes.data

        @ctypes.CFUNCTYPE(*SIGNATURE)
        def evaluate(data, n, y, *others):
            late = (y - start) // 8 > 30_000
            return 7 if late else inner(data, n, y, *others)

        kept.append((evaluate, inner, own))
        return RowKernel(ctypes.cast(evaluate, ctypes.c_void_p).value, own.columns, own.data)

    kept = []
    one, three = (objective(problem, threads, failing) for threads in (1, 3))
    assert one(psi).status is not Status.OK
    same(three(psi), one(psi))


def test_rows_in_python_can_be_called_by_several_threads():
    problem, psi = problem_of(FORMULAS[1], rows())
    calls = []

    def through_python(own):
        inner = ctypes.CFUNCTYPE(*SIGNATURE)(own.address)

        @ctypes.CFUNCTYPE(*SIGNATURE)
        def evaluate(*arguments):
            calls.append(1)
            return inner(*arguments)

        kept.append((evaluate, inner))
        return RowKernel(ctypes.cast(evaluate, ctypes.c_void_p).value, own.columns, own.data)

    kept = []
    found = objective(problem, 3, through_python)(psi)
    assert len(calls) > 40
    same(found, objective(problem, 1)(psi))
