"""The sparse Cholesky factorisation by fronts against dense linear algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from interlace_core.engine.elimination import multifrontal, multifrontal_plan, ordering, sparsity
from interlace_core.engine.elimination.dense import DenseComplement, mirror
from interlace_core.engine.elimination.ordering import find_elimination
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError

# By default matrices as small as these are one dense front: without limits they make deep trees.
TREES = {
    "as it is": {},
    "many fronts": {"rest": 1, "share": 1.0, "cost": 0.0},
    "many fronts, all large": {"rest": 1, "share": 1.0, "cost": 0.0, "large": 0},
    "few fronts, all large": {"rest": 1, "share": 1.0, "cost": 3_000.0, "large": 0},
    "few fronts": {"rest": 1, "share": 1.0, "cost": 3_000.0},
}


@st.composite
def patterns(draw):
    """Return levels by rows that a random graph makes, and some further pairs of rows.

    A few levels with many partners, many with two; rows that nothing meets, and parts that are
    not connected.
    """
    size = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    part = rng.integers(0, draw(st.integers(1, 4)), size)
    rows, columns = [], []
    for level in range(draw(st.integers(0, 80))):
        own = np.flatnonzero(part == part[rng.integers(size)])
        partners = rng.choice(own, min(own.size, 1 + rng.geometric(0.5)), replace=False)
        rows += [level] * partners.size
        columns += partners.tolist()
    shape = (max(rows, default=0) + 1, size)
    C = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    further = rng.integers(0, size, (2, draw(st.integers(0, 5))))
    return C, [(further[0], further[1])], rng


@pytest.fixture(params=TREES)
def tree(request, monkeypatch):
    """Set what is taken as dense, and how readily fronts are taken together."""
    limits = TREES[request.param]
    monkeypatch.setattr(ordering, "DENSE_REST", limits.get("rest", ordering.DENSE_REST))
    monkeypatch.setattr(ordering, "DENSE_SHARE", limits.get("share", ordering.DENSE_SHARE))
    monkeypatch.setattr(
        multifrontal_plan, "FRONT_COST", limits.get("cost", multifrontal_plan.FRONT_COST)
    )
    monkeypatch.setattr(multifrontal, "LARGE", limits.get("large", multifrontal.LARGE))
    return request.param


@settings(max_examples=40, deadline=None)
@given(patterns())
def test_elimination_makes_the_fill_it_tells(drawn):
    C, rest, _ = drawn
    adjacent = dense_pattern(C, rest)
    np.fill_diagonal(adjacent, False)
    found = find_elimination(csr_array(adjacent.astype(float)))
    assert sorted(found.order.tolist()) == list(range(len(adjacent)))
    for i in range(len(adjacent) - found.n_dense):
        node = found.order[i]
        told = found.neighbours[found.starts[i] : found.starts[i + 1]]
        beside = np.flatnonzero(adjacent[node])
        assert sorted(told.tolist()) == beside.tolist()
        adjacent[np.ix_(beside, beside)] = True
        np.fill_diagonal(adjacent, False)
        adjacent[node] = adjacent[:, node] = False


def test_solve_logdet_and_inverse_match_dense(tree):
    @settings(max_examples=40, deadline=None)
    @given(patterns())
    def check(drawn):
        C, rest, rng = drawn
        complement = sparsity.build_sparse(C, rest)
        S = random_matrix(dense_pattern(C, rest), rng)
        rows, columns = np.nonzero(dense_pattern(C, rest))
        places = complement.places(rows, columns)
        entries = np.zeros(complement.n_entries)
        entries[places] = S[rows, columns]
        factor = complement.factorise(entries)
        x = rng.normal(size=len(S))
        given_x = x.copy()
        assert factor.logdet == pytest.approx(np.linalg.slogdet(S)[1], rel=1e-11, abs=1e-11)
        assert np.allclose(factor.solve(x), np.linalg.solve(S, x), rtol=1e-10, atol=1e-12)
        assert np.array_equal(x, given_x)
        inverse = np.linalg.inv(S)
        assert np.allclose(factor.inverse()[places], inverse[rows, columns], 1e-9, 1e-12)
        # the inverse leaves the factor as it was
        assert np.allclose(factor.solve(x), np.linalg.solve(S, x), rtol=1e-10, atol=1e-12)

    check()


@pytest.mark.parametrize("value", [-5.0, 0.0, np.nan, np.inf])
def test_a_matrix_that_is_not_positive_definite_is_refused(tree, value):
    rng = np.random.default_rng(2)
    C = csr_array((rng.random((60, 40)) < 0.04).astype(float))
    complement = sparsity.build_sparse(C, [])
    pattern = dense_pattern(C, [])
    rows, columns = np.nonzero(pattern)
    S = random_matrix(pattern, rng)
    for node in (0, 17, 39):
        faulty = S.copy()
        faulty[node, node] = value
        entries = np.zeros(complement.n_entries)
        entries[complement.places(rows, columns)] = faulty[rows, columns]
        with pytest.raises(NotPositiveDefiniteError):
            complement.factorise(entries)


def test_a_complement_of_movers_is_sparse_and_a_random_one_dense():
    rng = np.random.default_rng(3)
    home, away = rng.integers(0, 2_000, (2, 20_000))
    moved = rng.random(20_000) < 0.03
    levels = np.concatenate([np.arange(20_000), np.flatnonzero(moved)])
    schools = np.concatenate([home, away[moved]])
    movers = csr_array((np.ones(levels.size), (levels, schools)), shape=(20_000, 2_000))
    movers.sum_duplicates()
    random = csr_array((rng.random((5_000, 500)) < 0.02).astype(float))
    chosen = sparsity.choose_complement(2_000, movers.indptr, movers.indices, [])
    assert chosen.describe().startswith("sparse Schur complement, 2000 rows")
    assert not chosen.bargain
    chosen = sparsity.choose_complement(500, random.indptr, random.indices, [])
    assert chosen == DenseComplement(500)
    assert chosen.bargain


def test_a_school_that_all_meet_leaves_the_rest_sparse():
    # a star: the hub is eliminated last, and nothing fills
    size = 600
    levels = np.repeat(np.arange(size - 1), 2)
    partners = np.column_stack([np.zeros(size - 1), np.arange(1, size)]).ravel()
    C = csr_array((np.ones(levels.size), (levels, partners.astype(int))), shape=(size - 1, size))
    complement = sparsity.build_sparse(C, [])
    assert complement.n_entries == 2 * size - 1
    assert complement.fronts.size < size * size / 8


@pytest.mark.parametrize("size", [1, 255, 256, 700])
def test_mirror_copies_the_lower_triangle(size):
    A = np.random.default_rng(size).normal(size=(size, size))
    expected = np.tril(A) + np.tril(A, -1).T
    mirror(A)
    assert np.array_equal(A, expected)


def dense_pattern(C, rest):
    """Return the pattern of C'C and the further pairs, with its diagonal."""
    pattern = (C.T @ C).toarray() != 0
    for rows, columns in rest:
        pattern[rows, columns] = pattern[columns, rows] = True
    return pattern | np.eye(len(pattern), dtype=bool)


def random_matrix(pattern, rng):
    """Return a positive definite matrix on a pattern, by a dominant diagonal."""
    S = np.tril(pattern * rng.uniform(-1, 1, pattern.shape), -1)
    S = S + S.T
    return S + np.diag(np.abs(S).sum(axis=1) + rng.uniform(0.1, 1.0, len(S)))
