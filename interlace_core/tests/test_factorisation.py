"""The structured factorisation against dense linear algebra."""

import numpy as np
import pytest
from models import random_problem

from interlace_core.covariances import Unstructured
from interlace_core.engine.elimination import (
    cooccurrence,
    crossed,
    multifrontal,
    ordering,
    sparsity,
)
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError, invert
from interlace_core.engine.joint_density import Conditional
from interlace_core.engine.layout import Layout

STRUCTURES = {
    "one scalar": ([(12, 1)], False),
    "one with slopes": ([(12, 3)], False),
    "two crossed": ([(20, 1), (7, 1)], False),
    "three crossed with slopes": ([(20, 2), (7, 1), (5, 3)], False),
    "nested chain": ([(24, 2), (12, 1), (4, 2)], True),
    "two on one factor": ([(12, 1), (12, 2)], True),
}


WAYS = ("gathered", "whole", "in chunks", "level by level", "sparse", "sparse, large fronts")


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("way", WAYS)
def test_solve_logdet_and_selected_inverse_match_dense(name, way, monkeypatch):
    choose(way, monkeypatch)
    groups, nested = STRUCTURES[name]
    conditional, point = conditional_at_random(groups, nested)
    H = dense_H(conditional, point)
    factorisation = conditional.factorise(conditional.information(point))
    structure = conditional.layout.structure
    x = np.random.default_rng(5).normal(size=structure.q)
    solved = structure.join(factorisation.solve(structure.split(x)))
    assert factorisation.logdet == pytest.approx(np.linalg.slogdet(H)[1], rel=1e-12)
    assert np.allclose(solved, np.linalg.solve(H, x), rtol=1e-10, atol=1e-12)
    inverse = np.linalg.inv(H)
    for (i, j), block in factorisation.selected_inverse().items():
        pair = structure.pairs[i, j]
        for a, b in np.ndindex(block.shape[:2]):
            rows = scalar_index(structure.factors[i], a, pair.first)
            columns = scalar_index(structure.factors[j], b, pair.second)
            assert np.allclose(block[a, b], inverse[rows, columns], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("way", ("gathered", "whole", "sparse"))
def test_traces_of_products_match_dense(name, way, monkeypatch):
    choose(way, monkeypatch)
    groups, nested = STRUCTURES[name]
    conditional, point = conditional_at_random(groups, nested)
    factors = conditional.layout.structure.factors
    rng = np.random.default_rng(7)
    D = []
    for factor in factors:
        half = rng.normal(size=(3, len(factor.columns), len(factor.columns)))
        half[1] *= factor is factors[0]  # says nothing of the others
        D.append(half + half.transpose(0, 2, 1))
    found = conditional.factorise(conditional.information(point)).traces(D)
    if len(factors) > 1 and (nested or way == "sparse"):
        assert found is None
        return
    inverse = np.linalg.inv(dense_H(conditional, point))
    whole = np.zeros((3, *inverse.shape))
    for factor, each in zip(factors, D, strict=True):
        whole[:, factor.place, factor.place] = [np.kron(x, np.eye(factor.shape[1])) for x in each]
    products = [[np.trace(inverse @ a @ inverse @ b) for b in whole] for a in whole]
    np.testing.assert_allclose(found.products, products, rtol=1e-10)
    for factor, total in zip(factors, found.sums, strict=True):
        own = inverse[factor.place, factor.place].reshape(*factor.shape, *factor.shape)
        np.testing.assert_allclose(total, np.einsum("albl->ab", own), rtol=1e-10, atol=1e-13)


def choose(way, monkeypatch):
    """Let a crossed factor be eliminated in one of the ways, whatever would be chosen."""
    if way in ("whole", "in chunks"):
        monkeypatch.setattr(crossed, "GATHER_COST", np.inf)
    if way == "in chunks":
        monkeypatch.setattr(crossed, "CHUNK", 20)
    if way in ("gathered", "level by level"):
        monkeypatch.setattr(crossed, "GATHER_COST", 0.0)
    if way == "level by level":
        monkeypatch.setattr(cooccurrence, "MANY", 2)
        monkeypatch.setattr(cooccurrence, "CHUNK", 20)
    if way.startswith("sparse"):
        monkeypatch.setattr(sparsity, "ALWAYS_DENSE", 0)
        monkeypatch.setattr(sparsity, "FULL_SHARE", np.inf)
        monkeypatch.setattr(sparsity, "GAIN", np.inf)
        monkeypatch.setattr(ordering, "DENSE_REST", 1)
        monkeypatch.setattr(ordering, "DENSE_SHARE", 0.5)
    if way == "sparse, large fronts":
        monkeypatch.setattr(multifrontal, "LARGE", 2)


def test_an_indefinite_block_is_refused():
    for c in (1, 2, 3):
        D = np.repeat(np.eye(c)[:, :, None], 4, axis=2)
        D[0, 0, 2] = -1.0
        with pytest.raises(NotPositiveDefiniteError):
            invert(D)


def test_plan_says_what_is_eliminated_how():
    conditional, _ = conditional_at_random([(24, 1), (12, 1), (5, 1)], False)
    words = conditional.layout.plan.describe(conditional.layout.structure)
    assert words == "g0 (block-diagonal); g1, g2 (dense Schur complement, 17 rows)"


def conditional_at_random(groups, nested):
    problem = random_problem(groups=groups, nested=nested, seed=3)
    psi = np.random.default_rng(4).normal(size=problem.n_psi) * 0.3
    layout = Layout.of(problem)
    conditional = Conditional(layout, psi)
    u = np.random.default_rng(6).normal(size=layout.structure.q)
    return conditional, conditional.evaluate(u, 3)


def dense_H(conditional, point):
    """Return Lambda' Z' W Z Lambda + I from an explicit Z Lambda."""
    q = conditional.layout.structure.q
    ZL = np.column_stack([conditional.push(unit)[0] for unit in np.eye(q)])
    W = -point.derivatives.get(0, 0)
    return ZL.T @ (W[:, None] * ZL) + np.eye(q)


def scalar_index(factor, column, levels):
    return factor.place.start + column * factor.rows.size + levels


def test_unstructured_is_used_by_the_random_problem():
    problem = random_problem(groups=[(5, 2)])
    assert isinstance(problem.terms[0].covariance, Unstructured)
