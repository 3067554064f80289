"""The recursions of a chain, against dense matrices."""

import numpy as np
import pytest

from interlace_core.contract import Chain
from interlace_core.engine.elimination.chain import ChainRoot, ChainSystem, Recursion
from interlace_core.engine.elimination.smallblocks import NotPositiveDefiniteError
from interlace_core.testing.differences import gradient

SHAPES = [(1, 3), (2, 1), (7, 3), (40, 2)]


def autoregressive(c, rho):
    carry = np.full(c - 1, rho)
    shocks = np.concatenate([np.full(min(c, 1), 1.3), np.sqrt(1.0 - carry**2 + 1e-10)])
    return Chain(0.7, carry, shocks)


@pytest.mark.parametrize(("c", "L"), SHAPES)
@pytest.mark.parametrize("rho", [0.0, 0.6, -0.95, 1.0])
def test_a_system_is_that_of_dense_matrices(c, L, rho):
    rng = np.random.default_rng(c)
    chain = autoregressive(c, rho)
    root, C = ChainRoot(chain, L), chain.root()
    w = rng.exponential(size=(c, L)) * (rng.random((c, L)) < 0.7)
    system = ChainSystem(root, w.ravel())
    H = [C.T @ np.diag(each) @ C + np.eye(c) for each in w.T]
    assert system.logdet == pytest.approx(sum(np.linalg.slogdet(h)[1] for h in H), abs=1e-11)
    x = rng.normal(size=(c, L))

    def each(matrices):
        return np.stack([m @ column for m, column in zip(matrices, x.T, strict=True)], axis=1)

    inverses = [np.linalg.inv(h) for h in H]
    tol = 1e-9 if rho == 1.0 else 1e-12  # the dense matrices lose digits there
    assert system.solve(x.ravel()).reshape(c, L) == pytest.approx(each(inverses), abs=tol)
    relative, v = (part.reshape(c, L) for part in system.respond(x.ravel()))
    responses = each([inverse @ C.T for inverse in inverses])
    assert relative * root.shocks == pytest.approx(responses, abs=tol)
    assert v == pytest.approx(C @ responses, abs=tol)
    variances = np.stack([np.diag(C @ inverse @ C.T) for inverse in inverses], axis=1)
    assert system.variances == pytest.approx(variances, abs=tol)
    assert root.spread(x.ravel()).reshape(c, L) == pytest.approx(C @ x, abs=tol)
    assert root.gather(x.ravel()).reshape(c, L) == pytest.approx(C.T @ x, abs=tol)


def numbers(chain):
    return np.concatenate([chain.carry, chain.shocks])


@pytest.mark.parametrize(("c", "L"), [(2, 1), (7, 3)])
def test_slopes_are_those_of_differences(c, L):
    rng = np.random.default_rng(5)
    chain = autoregressive(c, 0.6)
    w, x, u = rng.exponential(size=(3, c * L))

    def at(values):
        return ChainRoot(Chain(0.7, values[: c - 1], values[c - 1 :]), L)

    found = ChainSystem(at(numbers(chain)), w).slopes()
    wanted = gradient(lambda z: 0.5 * ChainSystem(at(z), w).logdet, numbers(chain), 1e-3)
    assert np.concatenate([found.carry, found.shocks]) == pytest.approx(wanted, abs=1e-9)
    found = at(numbers(chain)).slopes(x, u)
    wanted = gradient(lambda z: float(x @ at(z).spread(u)), numbers(chain), 1e-3)
    assert np.concatenate([found.carry, found.shocks]) == pytest.approx(wanted, abs=1e-9)


def test_a_chain_next_to_constant_loses_nothing():
    """Of a constant effect the determinant is that of its sum of weights."""
    c, w = 2000, np.random.default_rng(1).exponential(size=2000)
    chain = Chain(1.0, np.ones(c - 1), np.concatenate([[1.0], np.full(c - 1, 1e-12)]))
    system = ChainSystem(ChainRoot(chain, 1), w)
    assert system.logdet == pytest.approx(np.log1p(np.sum(w)), rel=1e-14)
    assert system.variances == pytest.approx(np.full((c, 1), 1.0 / (1.0 + np.sum(w))), rel=1e-12)


def test_what_is_not_definite_is_found():
    root = ChainRoot(autoregressive(6, 0.8), 2)
    w = np.ones((6, 2))
    for value, definite in ((-0.2, True), (-3.0, False), (np.nan, False)):
        w[3, 1] = value
        C = root.chain.root()
        H = [C.T @ np.diag(each) @ C + np.eye(6) for each in w.T]
        if definite:
            logdet = sum(np.linalg.slogdet(h)[1] for h in H)
            assert ChainSystem(root, w.ravel()).logdet == pytest.approx(logdet, rel=1e-12)
            continue
        with pytest.raises(NotPositiveDefiniteError):
            ChainSystem(root, w.ravel())


def test_the_transpose_is_the_transpose():
    rng = np.random.default_rng(2)
    k, x, y = rng.normal(size=(3, 9, 4))
    steps = Recursion(k)
    assert np.sum(y * steps.forward(x)) == pytest.approx(np.sum(x * steps.backward(y)), rel=1e-12)


@pytest.mark.parametrize("c", [1, 2, 5])
def test_the_slopes_of_a_template_are_those_of_differences(c):
    chain = autoregressive(c, 0.5)
    dT = np.random.default_rng(0).normal(size=(c, c))

    def value(z):
        return float(np.sum(dT * Chain(z[0], z[1:c], z[c:]).template()))

    found = chain.pullback(dT)
    wanted = gradient(value, np.concatenate([[chain.scale], numbers(chain)]), 1e-3)
    found = np.concatenate([[found.scale], numbers(found)])
    assert found == pytest.approx(wanted, abs=1e-9)
