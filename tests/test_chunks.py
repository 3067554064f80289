"""Sums over many rows are made a chunk at a time: the same as of all rows at once."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace_core.engine import parts
from interlace_core.engine.mode import ModeSettings
from interlace_core.fitting import precondition, start
from interlace_core.fitting.standard import standard_of

NAMES = {"binomial": "y ~ x + (1 + x | g)", "negativebinomial": "k ~ x + (1 | g)"}


def problem_of(family, n=3000, levels=70):
    rng = np.random.default_rng(8)
    g, x = rng.integers(0, levels, n), rng.normal(size=n)
    eta = 0.3 * x + rng.normal(size=levels)[g]
    data = pd.DataFrame({"x": x, "g": g, "y": rng.binomial(1, 1 / (1 + np.exp(-eta)))})
    data["k"] = rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, n))
    return interlace.glmer(NAMES[family], data, family, kernels="off").training.problem


def begun(problem):
    """Return the start and the scales, made anew."""
    problem.cache.clear()
    inside = standard_of(problem).problem
    found = start.find_start(inside)
    scales = precondition.precondition(inside, found, slice(0, 0), np.zeros(q_of(inside)))
    return found, scales


def q_of(problem):
    return sum(len(term.levels) * len(term.names) for term in problem.terms)


@pytest.mark.parametrize("family", NAMES)
def test_start_and_scales_are_those_of_all_rows_at_once(family, monkeypatch):
    problem = problem_of(family)
    monkeypatch.setattr(precondition, "LOOSE", ModeSettings())  # or modes differ by what is left
    whole, at_once = begun(problem)
    seen = []
    subset = parts.subset
    for module in (start, precondition):
        monkeypatch.setattr(module, "subset", lambda p, rows: seen.append(rows) or subset(p, rows))
    monkeypatch.setattr(parts, "CHUNK_ROWS", 256)
    other, by_chunk = begun(problem)
    assert len(seen) > 20
    assert other.psi == pytest.approx(whole.psi, rel=1e-9, abs=1e-10)
    assert other.units == pytest.approx(whole.units, rel=1e-9)
    assert by_chunk.B == pytest.approx(at_once.B, rel=1e-7, abs=1e-9)


def test_chunks_take_all_rows_once_and_do_not_divide_levels(monkeypatch):
    monkeypatch.setattr(parts, "CHUNK_ROWS", 100)
    problem = problem_of("binomial", n=1234)
    starts = np.concatenate([[0], np.sort(np.random.default_rng(1).choice(1234, 30)), [1000]])
    starts = np.unique(starts)
    for given in (None, starts):
        found = parts.chunks(problem, given)
        rows = np.concatenate([np.arange(1234)[each] for each in found])
        assert np.array_equal(rows, np.arange(1234)) and len(found) > 4
    assert {each.start for each in found} <= set(starts.tolist())


def test_levels_of_hundreds_of_thousands_of_rows_are_one_chunk_each(monkeypatch):
    monkeypatch.setattr(parts, "CHUNK_ROWS", 10)
    problem = problem_of("binomial", n=200)
    assert parts.chunks(problem, np.array([0])) == [slice(0, 200)]
    assert parts.chunks(problem, np.array([0, 150])) == [slice(0, 150), slice(150, 200)]


@pytest.mark.parametrize("family", ["binomial", "poisson", "negativebinomial"])
def test_columns_of_compiled_rows_are_made_by_chunks(family, monkeypatch):
    rows = pytest.importorskip("interlace_kernels.rows")
    found = pytest.importorskip("interlace_kernels.library").library()
    if found is None:
        pytest.skip("no library was built")
    formula, data = "cbind(y, 9 - y) ~ 1 + (1 | g)", pd.DataFrame({"g": np.arange(60) % 6})
    data["y"] = np.arange(60) % 8
    if family != "binomial":
        formula = "y ~ 1 + (1 | g)"
    problem = interlace.glmer(formula, data, family).training.problem
    whole = rows.row_kernel(found, problem.family, problem.y)
    monkeypatch.setattr(rows, "CHUNK_ROWS", 7)
    chunked = rows.row_kernel(found, problem.family, problem.y)
    assert chunked.address == whole.address
    assert np.array_equal(chunked.columns, whole.columns)
